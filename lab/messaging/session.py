"""One session: its links, its windows, and what is to be settled at the end of the turn."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from lab.messaging.exchange import Exchange, ReplyOutlet, RequestIntake
from lab.messaging.frames import (
    SERIAL,
    Attach,
    Begin,
    Detach,
    Disposition,
    End,
    Flow,
    Performative,
    Transfer,
    encode_frame,
)
from lab.messaging.incoming import IncomingLink
from lab.messaging.link import CBS, MANAGEMENT
from lab.messaging.node import Error, Released
from lab.messaging.outgoing import OutgoingLink
from lab.messaging.refusals import NOT_ALLOWED, UNATTACHED_HANDLE
from lab.messaging.terminus import ACCEPTED_STATE, described, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.messaging.codec import Described
    from lab.messaging.connection import Connection
    from lab.messaging.node import Intake, LinkRequest, Outlet

WINDOW: Final = 5000
HANDLE_MAX: Final = 255
RECEIVER: Final = True
SENDER: Final = False

_TRANSFER_OVERHEAD: Final = 128

type Link = IncomingLink | OutgoingLink


class Session:
    """A session; its channel and its handles are the client's numbers on both sides."""

    def __init__(self, connection: Connection, channel: int, begin: Begin) -> None:
        self.connection = connection
        self.channel = channel
        self.links: dict[int, Link] = {}
        self._leaving: set[int] = set()
        self._exchanges: dict[str, Exchange] = {}
        self._next_incoming = begin.next_outgoing_id or 0
        self._window = WINDOW
        self._next_outgoing = 1
        self._client_window = begin.incoming_window or 0
        self._next_delivery = 1
        self._held: deque[tuple[Transfer, bytes]] = deque()
        self._unsettled: dict[int, tuple[OutgoingLink, bytes]] = {}
        self._accepted: list[int] = []
        self.send(Begin(channel, self._next_outgoing, WINDOW, WINDOW, HANDLE_MAX))

    def send(self, performative: Performative, payload: bytes = b"") -> None:
        """Send a frame on this session's channel."""
        self.connection.send(encode_frame(self.channel, performative, payload))

    # What the client says

    def receive(self, performative: Performative | None, payload: bytes) -> None:
        """Take a frame."""
        match performative:
            case Transfer():
                self._receive_transfer(performative, payload)
            case Flow():
                self._receive_flow(performative)
            case Disposition():
                self._receive_disposition(performative)
            case Attach():
                self._receive_attach(performative)
            case Detach():
                self._receive_detach(performative)
            case _:
                self.fail(Error(NOT_ALLOWED, "This frame has no place in a session."))

    def _receive_attach(self, frame: Attach) -> None:
        handle = frame.handle or 0
        if handle in self.links or handle > HANDLE_MAX:
            self.fail(Error("amqp:session:handle-in-use", f"The handle {handle} is not free."))
            return
        link = OutgoingLink(self, frame) if frame.role else IncomingLink(self, frame)
        self.links[handle] = link
        link.begin()

    def _receive_transfer(self, frame: Transfer, payload: bytes) -> None:
        self._next_incoming = (self._next_incoming + 1) % SERIAL
        self._window -= 1
        link = self.links.get(frame.handle or 0)
        if isinstance(link, IncomingLink):
            link.transfer(frame, payload)
        elif frame.handle not in self._leaving:
            self.fail(Error(UNATTACHED_HANDLE, f"No link sends on handle {frame.handle}."))
        if self._window <= WINDOW // 2:
            self._window = WINDOW
            self.flow(Flow())

    def _receive_flow(self, frame: Flow) -> None:
        was_blocked = self.is_blocked
        seen = 1 if frame.next_incoming_id is None else frame.next_incoming_id
        ahead = (self._next_outgoing - seen) % SERIAL
        self._client_window = max(0, (frame.incoming_window or 0) - ahead)
        self._release()
        if was_blocked and not self.is_blocked:
            self.offer()
        link = None if frame.handle is None else self.links.get(frame.handle)
        if link is not None:
            link.flow(frame)
        elif frame.handle is None and frame.echo:
            self.flow(Flow())

    def _receive_disposition(self, frame: Disposition) -> None:
        """Take what the receiving client says; a sending one has nothing to tell."""
        if not frame.role:
            return
        result = outcome(frame.state)
        if result is None and not frame.settled:
            return
        for number in self._named(frame.first or 0, frame.last):
            link, tag = self._unsettled[number]
            if frame.settled:
                del self._unsettled[number]
            link.settled(tag, result or Released(), settled=bool(frame.settled))

    def _named(self, first: int, last: int | None) -> list[int]:
        """Return the unsettled numbers of a range, however large the range claims to be."""
        last = first if last is None else last
        if last - first < len(self._unsettled):
            return [each for each in range(first, last + 1) if each in self._unsettled]
        return [each for each in self._unsettled if first <= each <= last]

    def _receive_detach(self, frame: Detach) -> None:
        handle = frame.handle or 0
        link = self.links.pop(handle, None)
        if link is not None:
            self.flush()
            self.send(Detach(handle, frame.closed))
            link.ended()
        self._leaving.discard(handle)

    # What links ask

    def intake(self, request: LinkRequest) -> Intake:
        """Return where a link's messages go; raises `Refusal`."""
        exchange = self._exchange(request.path)
        if exchange is not None:
            return RequestIntake(exchange)
        return self.connection.site.service.intake(request)

    def outlet(self, request: LinkRequest) -> Outlet:
        """Return where a link's messages come from; raises `Refusal`."""
        exchange = self._exchange(request.path)
        if exchange is not None:
            return ReplyOutlet(exchange)
        return self.connection.site.service.outlet(request)

    def _exchange(self, path: str) -> Exchange | None:
        key = path.lower()
        if key != CBS and key.rpartition("/")[2] != MANAGEMENT:
            return None
        if key not in self._exchanges:
            connection = self.connection
            manager = connection.cbs() if key == CBS else connection.site.service.manager(path)
            self._exchanges[key] = Exchange(manager, connection)
        return self._exchanges[key]

    def drop(self, handle: int) -> None:
        """Forget a link that we end, saying last what was taken; a detach is awaited."""
        self.flush()
        if self.links.pop(handle, None) is not None:
            self._leaving.add(handle)

    def flow(self, frame: Flow) -> None:
        """Send a flow with the session's windows filled in."""
        self.send(
            frame._replace(
                next_incoming_id=self._next_incoming,
                incoming_window=self._window,
                next_outgoing_id=self._next_outgoing,
                outgoing_window=WINDOW,
            )
        )

    def settle(self, number: int, state: Described) -> None:
        """Answer an incoming delivery; acceptances are gathered until the turn ends."""
        if state is ACCEPTED_STATE:
            self._accepted.append(number)
            self.connection.wake(self)
        else:
            self.send(_disposition(RECEIVER, number, number, state))

    def dispose(self, number: int, state: Described) -> None:
        """Settle an outgoing delivery."""
        if self._unsettled.pop(number, None) is not None:
            self.send(_disposition(SENDER, number, number, state))

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget outgoing deliveries whose link is no more."""
        for number in numbers:
            self._unsettled.pop(number, None)

    def transfer(self, link: OutgoingLink, payload: bytes, tag: bytes, *, settled: bool) -> int:
        """Send a message in as many frames as it needs; return its delivery number."""
        number = self._next_delivery
        self._next_delivery = (number + 1) % SERIAL
        if not settled:
            self._unsettled[number] = (link, tag)
        room = self.connection.client_frame_bytes - _TRANSFER_OVERHEAD
        frame = Transfer(link.handle, number, tag, 0, settled, len(payload) > room)
        self._push(frame, payload[:room])
        for start in range(room, len(payload), room):
            rest = Transfer(link.handle, more=start + room < len(payload), settled=settled)
            self._push(rest, payload[start : start + room])
        return number

    @property
    def is_blocked(self) -> bool:
        """Whether the client has no room for another frame; then links have no credit."""
        return bool(self._held) or not self._client_window

    def offer(self) -> None:
        """Let every outlet send that may."""
        for link in tuple(self.links.values()):
            if isinstance(link, OutgoingLink):
                link.offer()

    def _push(self, frame: Transfer, payload: bytes) -> None:
        self._held.append((frame, payload))
        self._release()

    def _release(self) -> None:
        while self._held and self._client_window:
            self._client_window -= 1
            self._next_outgoing = (self._next_outgoing + 1) % SERIAL
            self.send(*self._held.popleft())

    # Turns and ends

    def flush(self) -> None:
        """Send the acceptances gathered so far, neighbours in one frame."""
        numbers, self._accepted = self._accepted, []
        for first, last in _ranges(numbers):
            self.send(_disposition(RECEIVER, first, last, ACCEPTED_STATE))

    def fail(self, error: Error) -> None:
        """End the session because the client broke the protocol."""
        self.connection.drop(self)
        self.send(End(described(error)))
        self.ended()

    def ended(self) -> None:
        """Tell every link that it is no more."""
        links = list(self.links.values())
        self.links.clear()
        for link in links:
            link.ended()


def _disposition(role: bool, first: int, last: int, state: Described) -> Disposition:  # noqa: FBT001 - AMQP's role is a boolean
    return Disposition(role, first, last, settled=True, state=state)


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs of neighbouring numbers, as they came."""
    start = previous = None
    for number in numbers:
        if start is None or previous is None:
            start = number
        elif number != previous + 1:
            yield start, previous
            start = number
        previous = number
    if start is not None and previous is not None:
        yield start, previous
