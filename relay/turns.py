"""Lets one at a time use a stream of a sink; whoever waits has his events taken along.

The clients of the Azure SDKs take one call at a time, and lanes of arrival side by side want
the same stream. Much of what a call costs does not depend on how many events it sends, so
whoever has the stream sends what has gathered behind him as well: nobody waits for company, and
the busier a stream is, the less an event costs.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from relay.failures import DeliveryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from relay.event import Event
    from relay.sending import Sink

_OPENING: Final = "\0opening"
_TOGETHER: Final = 2_000
"""Events after which nothing more is taken along: no service's batch holds many more."""


class InTurn:
    """A sink whose streams are used in turn; it is a `Sink` itself.

    A destination that fails takes seconds to say so: whoever waited for his turn meanwhile is
    told the same at once, so that the failure is paid for only once.

    Args:
        sink: the one to be used in turn.

    Attributes:
        stream: as the sink has it.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.stream: Final = sink.stream
        self._streams: WeakValueDictionary[str, _Stream] = WeakValueDictionary()
        self._is_used = False
        self._failed = 0
        self._error: DeliveryError | None = None

    async def open(self, count: float = math.inf) -> None:
        """Make ready to send so many events."""
        async with self._turn(self._stream(_OPENING)):
            self._is_used = True
            await self._sink.open(count)

    async def open_ahead(self) -> None:
        """Open a link before anything is to be sent; whoever comes meanwhile waits for it."""
        async with self._turn(self._stream(_OPENING)):
            if not self._is_used:
                await self._sink.probe()

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        """Send events of one stream in order when its turn has come, or somebody else's has."""
        parcel, used = _Parcel(events), self._stream(stream)
        used.waiting.append(parcel)
        failed_before = self._failed
        try:
            async with used.turn:
                await asyncio.sleep(0)  # whoever comes in this turn of the loop goes along
                while not parcel.is_settled:
                    self._raise_if_failed_since(failed_before, parcel.accepted)
                    await self._send(stream, used.together(parcel))
        finally:
            used.waiting.remove(parcel)
        if parcel.error is not None:
            raise parcel.error

    async def _send(self, stream: str, parcels: Sequence[_Parcel]) -> None:
        """Send parcels as one; each then knows what became of it.

        Where this is cancelled, none does: whose turn is next sends them again.
        """
        try:
            await self._sink.send(stream, [event for each in parcels for event in each.rest])
        except DeliveryError as error:
            self._note(error)
            _share(error, parcels)
        else:
            for parcel in parcels:
                parcel.is_settled = True

    async def probe(self) -> None:
        """Find out whether the destination lets the relay in, when nobody opens it."""
        async with self._turn(self._stream(_OPENING)):
            await self._sink.probe()

    async def close(self) -> None:
        """Let go of connections."""
        await self._sink.close()

    def _stream(self, name: str) -> _Stream:
        """Return a stream; it is forgotten when nobody uses or awaits it any more."""
        found = self._streams.get(name) or _Stream()
        self._streams[name] = found
        return found

    @asynccontextmanager
    async def _turn(self, stream: _Stream) -> AsyncIterator[None]:
        failed_before = self._failed
        async with stream.turn:
            self._raise_if_failed_since(failed_before)
            try:
                yield
            except DeliveryError as error:
                self._note(error)
                raise

    def _note(self, error: DeliveryError) -> None:
        if not error.reason.traits.isolates_event:
            self._failed, self._error = self._failed + 1, error

    def _raise_if_failed_since(self, before: int, accepted: int = 0) -> None:
        if self._error is not None and self._failed > before:
            raise _told_again(self._error, accepted)


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Stream:
    """Who uses a stream, and who waits for it, in the order in which they came."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Parcel] = field(default_factory=list)

    def together(self, first: _Parcel) -> list[_Parcel]:
        """Return what is sent as one: a parcel, and what came meanwhile and may go with it."""
        taken, count = [first], len(first.rest)
        if first.is_alone:
            return taken
        for parcel in self.waiting:
            if parcel is first or parcel.is_settled or parcel.is_alone:
                continue
            count += len(parcel.rest)
            if count > _TOGETHER:
                break
            taken.append(parcel)
        return taken


@dataclass(slots=True, eq=False)
class _Parcel:
    """What one caller wants sent.

    Attributes:
        accepted: how many of its events are.
        is_alone: whether it went with others of which one was refused, nobody knows which.
        is_settled: whether it is known what became of it.
        error: why some of it was not accepted, if so.
    """

    events: Sequence[Event]
    accepted: int = 0
    is_alone: bool = False
    is_settled: bool = False
    error: DeliveryError | None = None

    @property
    def rest(self) -> Sequence[Event]:
        """What is not accepted yet."""
        return self.events[self.accepted :] if self.accepted else self.events


def _share(error: DeliveryError, parcels: Sequence[_Parcel]) -> None:
    """Tell each parcel what the failure of all of them means to it.

    An event that is at fault is somebody's, and no other's events must be blamed for it: all
    that were not accepted go once more, each parcel by itself.
    """
    accepted, suspects = error.accepted, error.suspects
    for parcel in parcels:
        count = len(parcel.rest)
        taken = min(accepted, count)
        suspected = min(suspects, count - taken)
        accepted, suspects = accepted - taken, suspects - suspected
        parcel.accepted += taken
        parcel.is_settled = taken == count
        if parcel.is_settled:
            continue
        if error.reason.traits.isolates_event and len(parcels) > 1:
            parcel.is_alone = True
        else:
            parcel.is_settled = True
            parcel.error = _told_again(error, parcel.accepted, max(suspected, 1))


def _told_again(error: DeliveryError, accepted: int, suspects: int = 1) -> DeliveryError:
    told = DeliveryError(
        error.reason,
        error.detail,
        accepted=accepted,
        suspects=suspects,
        refusal=error.refusal,
        wait=error.wait,
    )
    told.__cause__ = error
    return told
