"""One connection: protocol headers, SASL, open and close, and the sessions in between.

It reads bytes and writes bytes; sockets and WebSockets are a `Wire`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

from lab.messaging.cbs import Cbs
from lab.messaging.codec import CodecError
from lab.messaging.frames import (
    EMPTY_FRAME,
    Begin,
    Close,
    End,
    FrameReader,
    Open,
    decode_frame,
    encode_frame,
)
from lab.messaging.handshake import Handshake, Unwelcome
from lab.messaging.link import Stage
from lab.messaging.node import Error
from lab.messaging.outgoing import OutgoingLink
from lab.messaging.refusals import (
    FRAMING_ERROR,
    INTERNAL,
    NOT_ALLOWED,
    NOT_FOUND,
    idle_link,
    no_links,
    silent,
)
from lab.messaging.rights import Rights
from lab.messaging.session import Link, Session
from lab.messaging.terminus import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.messaging.node import Claim, Outlet
    from lab.messaging.site import Site
    from lab.messaging.switches import Limits

CHANNEL_MAX: Final = 4999
SMALLEST_FRAME: Final = 512

_log = logging.getLogger(__name__)


class Wire(Protocol):
    """What carries a connection's bytes."""

    def write(self, data: bytes) -> None:
        """Send bytes; ignored once the wire is closing."""

    def close(self) -> None:
        """Close after what was written."""

    def abort(self) -> None:
        """Cut, whatever was written."""


class Connection:
    """One client's connection; also the `Peer` that nodes see.

    Attributes:
        host: the namespace as the client named it.
        client_frame_bytes: the largest frame that the client takes.
        is_choked: whether the client reads too slowly for what is written.
    """

    def __init__(
        self,
        wire: Wire,
        limits: Limits,
        find: Callable[[str], Site | None],
        left: Callable[[Connection], None],
    ) -> None:
        self.host = ""
        self.client_frame_bytes = SMALLEST_FRAME
        self.is_choked = False
        self.container = uuid4().hex
        self._wire = wire
        self._limits = limits
        self._find = find
        self._left = left
        self._site: Site | None = None
        self._rights: Rights | None = None
        self._reader = FrameReader(limits.frame_bytes)
        self._handshake = Handshake(self.send)
        self._next: Callable[[bytes], None] = self._receive_handshake
        self._sessions: dict[int, Session] = {}
        self._awake: set[Session] = set()
        self._out: list[bytes] = []
        self._backlog: list[bytes] = []
        self._is_scheduled = False
        self._has_ended = False
        self._client_idle = 0.0
        self._heard = self._wrote = self._linked = time.monotonic()

    @property
    def site(self) -> Site:
        """The namespace; known once the connection is open."""
        assert self._site is not None
        return self._site

    # Bytes in

    def receive(self, chunk: bytes) -> None:
        """Take bytes from the wire."""
        if self._has_ended:
            return
        if self._is_frozen:
            self._backlog.append(chunk)
            return
        self._heard = time.monotonic()
        try:
            for raw in self._reader.feed(chunk):
                self._next(raw)
        except CodecError as error:
            self.close(Error(FRAMING_ERROR, str(error)))
        except Exception:  # noqa: BLE001 - a defect ends one connection, not the lab
            _log.exception("a connection is closed because the lab could not go on")
            self.close(Error(INTERNAL, "The lab could not go on; its log says why."))

    @property
    def _is_frozen(self) -> bool:
        return self._site is not None and self._site.trouble.frozen

    def thaw(self) -> None:
        """Take up what came while the namespace was frozen."""
        backlog, self._backlog = self._backlog, []
        for chunk in backlog:
            self.receive(chunk)
        self._schedule()

    def choke(self) -> None:
        """Stop sending messages: the client does not read."""
        self.is_choked = True

    def clear(self) -> None:
        """Go on sending."""
        self.is_choked = False
        for session in tuple(self._sessions.values()):
            session.offer()

    # Handshake

    def _receive_handshake(self, raw: bytes) -> None:
        try:
            frame = self._handshake.receive(raw)
        except Unwelcome:
            self._end()
            return
        if frame is not None:
            self._open(frame)

    def _receive_nothing(self, raw: bytes) -> None:
        """Take no notice: the connection has ended."""

    def _open(self, frame: Open) -> None:
        self.host = (frame.hostname or "").partition(":")[0]
        self.client_frame_bytes = max(SMALLEST_FRAME, frame.max_frame_size or 2**32 - 1)
        self._client_idle = (frame.idle_time_out or 0) / 1000
        self.send(
            encode_frame(
                0,
                Open(
                    self.container,
                    frame.hostname,
                    self._limits.frame_bytes,
                    CHANNEL_MAX,
                    int(self._limits.connection_silent * 1000),
                ),
            )
        )
        self._enter()

    def _enter(self) -> None:
        site = self._find(self.host)
        if site is None:
            self.close(Error(NOT_FOUND, f"There is no namespace {self.host!r} here."))
            return
        self._site = site
        self._rights = Rights(site, self.host, self.recheck)
        site.connections.add(self)
        self._next = self._receive_frame

    # Claims

    @property
    def rights(self) -> Rights:
        """What the client's tokens allow; there once the connection is open."""
        assert self._rights is not None
        return self._rights

    def cbs(self) -> Cbs:
        """Return a `$cbs` node for a session."""
        return Cbs(self.site, self.rights)

    def allows(self, claim: Claim) -> bool:
        """Tell whether a token of this connection bears this claim now."""
        return self.rights.allows(claim)

    def recheck(self) -> None:
        """Detach the links that may no longer be."""
        if self._rights is not None:
            for link in self.links():
                self._recheck(link)

    def _recheck(self, link: Link) -> None:
        claims = link.end.claims if link.end is not None else ()
        error = self.rights.lost(claims, link.request.name)
        if link.stage is Stage.OPEN and error is not None:
            link.detach(error)

    def outlet(self, link_name: str) -> Outlet | None:
        """Return the open outlet whose link has this name."""
        for link in self.links():
            if isinstance(link, OutgoingLink) and link.request.name == link_name:
                return link.end if link.stage is Stage.OPEN else None
        return None

    # Frames

    def _receive_frame(self, raw: bytes) -> None:
        channel, performative, payload = decode_frame(raw)
        session = self._sessions.get(channel)
        match performative:
            case None:
                return
            case Begin():
                self._begin(channel, performative)
            case Close():
                self.close(None)
            case End() if session is not None:
                self.drop(session)
                session.flush()
                session.send(End())
                session.ended()
            case _ if session is not None:
                session.receive(performative, payload)
            case _:
                _log.debug("a frame for a session that is over: %r", performative)

    def _begin(self, channel: int, frame: Begin) -> None:
        if channel in self._sessions or channel > CHANNEL_MAX:
            self.close(Error(NOT_ALLOWED, f"The channel {channel} is not free."))
            return
        self._sessions[channel] = Session(self, channel, frame)

    def drop(self, session: Session) -> None:
        """Forget a session."""
        self._sessions.pop(session.channel, None)

    def links(self) -> Iterator[Link]:
        """Yield every link, in a copy: the caller may end them."""
        for session in tuple(self._sessions.values()):
            yield from tuple(session.links.values())

    # Bytes out

    def send(self, raw: bytes) -> None:
        """Send bytes when this turn of the loop ends."""
        self._out.append(raw)
        self._schedule()

    def wake(self, session: Session) -> None:
        """Let a session flush when this turn of the loop ends."""
        self._awake.add(session)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._has_ended or self._is_frozen:
            return
        self._write()

    def _write(self) -> None:
        self._settle()
        out, self._out = self._out, []
        if out:
            self._wrote = time.monotonic()
            self._wire.write(b"".join(out))

    def _settle(self) -> None:
        awake, self._awake = self._awake, set()
        for session in awake:
            session.flush()

    # Time

    def sweep(self, now: float) -> None:
        """Close what has been idle for too long, and show a client that this side lives."""
        if self._is_frozen:
            return
        limits = self._limits
        links = list(self.links())
        if links:
            self._linked = now
        if self._site is None:
            if now - self._linked > limits.connection_unopened:
                self.cut()
        elif now - self._heard > limits.connection_silent:
            self.close(silent(self.container, int(limits.connection_silent * 1000)))
        elif now - self._linked > limits.connection_without_links:
            limit = int(limits.connection_without_links * 1000)
            self.close(no_links(self.container, limit))
        else:
            self.expire_links(now)
            self._beat(now)

    def expire_links(self, now: float) -> None:
        """Detach the links that have carried nothing for too long, if it is so late now."""
        limit = self.site.link_idle
        for link in tuple(self.links()):
            if not link.is_internal and now - link.last_used > limit:
                end = "consumer" if isinstance(link, OutgoingLink) else "publisher"
                allowed = str(timedelta(seconds=limit)).rjust(8, "0")
                link.detach(idle_link(link.request.name, end, allowed))

    def _beat(self, now: float) -> None:
        if self._client_idle and now - self._wrote > self._client_idle / 2:
            self.send(EMPTY_FRAME)

    # Ends

    def close(self, error: Error | None) -> None:
        """Close the connection, saying why."""
        if not self._has_ended:
            self._settle()
            self.send(encode_frame(0, Close(None if error is None else described(error))))
            self._end()

    def _end(self) -> None:
        self._write()
        self._wire.close()
        self.lost()

    def cut(self) -> None:
        """Abort the wire without a word."""
        self._wire.abort()
        self.lost()

    def lost(self) -> None:
        """Take notice that the wire is gone; calling it twice does no harm."""
        if self._has_ended:
            return
        self._has_ended = True
        self._next = self._receive_nothing
        if self._rights is not None:
            self._rights.close()
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            session.ended()
        if self._site is not None:
            self._site.connections.discard(self)
        self._left(self)
