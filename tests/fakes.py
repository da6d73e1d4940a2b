"""Stand-ins for the ports of the event path, each held to its contract by tests of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from relay.dead_letters import DeadLetter, Fate, Parcel
from relay.dead_letters.letters import (
    WAITING_SUFFIX,
    decode,
    encode,
    lane_mark,
    lanes_of,
    unpack,
)
from relay.event import AttributeValue, Event
from relay.failures import DeliveryError, Reason
from relay.filters import compile as compile_filter
from relay.ingress import Arrival, Malformed
from relay.routing import Destination, Kind, Route, key

CLAIM_SECONDS = 60.0
NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)


def an_event(*, data: bytes = b'{"rpm":1450}', **attributes: AttributeValue) -> Event:
    """Return a twin update with some attributes changed."""
    return Event(
        {
            "specversion": "1.0",
            "id": "5d4c",
            "source": "plant-a.api.weu.digitaltwins.azure.net",
            "type": "Microsoft.DigitalTwins.Twin.Update",
            "subject": "pump-17",
            "datacontenttype": "application/json",
            **attributes,
        },
        data,
    )


def an_arrival(
    content: Event | Malformed | None = None, *, lane: str = "twin-events/0", sequence: int = 0
) -> Arrival:
    """Return an arrival of an event, by default of `an_event` with the sequence as its id."""
    return Arrival(lane, sequence, 0, NOON, content or an_event(id=str(sequence)))


def a_route(name: str = "twin-changes", *, wants: str = "true", ordered: bool = True) -> Route:
    """Return a route to a hub."""
    destination = Destination("ANALYTICS", Kind.EVENT_HUB, name)
    return Route(name, compile_filter(wants), destination, ordered)


@dataclass
class MemorySink:
    """A destination in memory, with as many streams as asked for.

    Attributes:
        accepted: what it took, by stream.
        faults: asked at each open and before each batch; an error it returns is raised.
        lost: asked after each batch; an error it returns is raised though the batch was taken.
        latency: seconds that the next open or batch takes.
        poison: whether an event is at fault; a batch with one is refused whole.
        largest_batch: how many events it takes at once.
    """

    streams: int = 1
    largest_batch: int = 100
    faults: Callable[[], DeliveryError | None] = lambda: None
    lost: Callable[[], DeliveryError | None] = lambda: None
    latency: Callable[[], float] = lambda: 0.0
    poison: Callable[[Event], bool] = lambda _: False
    accepted: dict[str, list[Event]] = field(default_factory=dict)

    @property
    def events(self) -> list[Event]:
        """Everything accepted, stream after stream."""
        return [event for stream in self.accepted.values() for event in stream]

    async def open(self) -> None:
        await asyncio.sleep(self.latency())
        _raise(self.faults(), accepted=0)

    def stream(self, event: Event) -> str:
        return str(sum(key(event).encode()) % self.streams)

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        for start in range(0, len(events), self.largest_batch):
            await asyncio.sleep(self.latency())
            _raise(self.faults(), accepted=start)
            batch = events[start : start + self.largest_batch]
            if any(self.poison(event) for event in batch):
                raise DeliveryError(
                    Reason.REJECTED, "a poison event", accepted=start, suspects=len(batch)
                )
            self.accepted.setdefault(stream, []).extend(batch)
            _raise(self.lost(), accepted=start)

    async def probe(self) -> None:
        await self.open()

    async def close(self) -> None:
        await asyncio.sleep(0)


@dataclass
class MemoryDeadLetters:
    """Blob storage in memory: blobs by name, as the text that would be stored.

    Attributes:
        faults: asked before each call; an error it returns is raised.
        lost: asked after each write; an error it returns is raised though it was written.
        latency: seconds that the next call takes.
    """

    blobs: dict[str, str] = field(default_factory=dict)
    faults: Callable[[], DeliveryError | None] = lambda: None
    lost: Callable[[], DeliveryError | None] = lambda: None
    latency: Callable[[], float] = lambda: 0.0
    _versions: dict[str, int] = field(default_factory=dict)
    _writes: int = 0
    _claims: dict[str, float] = field(default_factory=dict)

    async def put(self, name: str, letters: Sequence[DeadLetter], route: str) -> None:
        await self._answer()
        if self._is_claimed(name):
            raise DeliveryError(Reason.REJECTED, "the blob is claimed")
        self._write(name, letters, route)

    async def lanes(self, route: str) -> list[str]:
        await self._answer()
        return lanes_of(name for name in sorted(self.blobs) if name.startswith(f"{route}/"))

    async def waiting(self, route: str, lane: str) -> AsyncIterator[Parcel]:
        await self._answer()
        for name in sorted(self.blobs):
            last = name.rpartition("/")[2]
            if not name.startswith(f"{route}/") or not last.startswith(lane_mark(lane)):
                continue
            if last.endswith(WAITING_SUFFIX):
                await self._answer()
                if name in self.blobs:
                    yield unpack(name, str(self._versions[name]), self.blobs[name].encode())

    @asynccontextmanager
    async def claimed(self, parcel: Parcel) -> AsyncIterator[bool]:
        await self._answer()
        is_current = str(self._versions.get(parcel.name)) == parcel.version
        if not is_current or self._is_claimed(parcel.name):
            yield False
            return
        self._claims[parcel.name] = asyncio.get_running_loop().time() + CLAIM_SECONDS
        try:
            yield True
        finally:
            self._claims.pop(parcel.name, None)

    async def replace(self, parcel: Parcel, letters: Sequence[DeadLetter], route: str) -> None:
        await self._answer()
        self._write(parcel.name, letters, route)

    async def remove(self, parcel: Parcel) -> None:
        await self._answer()
        del self.blobs[parcel.name], self._versions[parcel.name]
        _raise(self.lost())

    async def close(self) -> None:
        await asyncio.sleep(0)

    def letters(self, fate: Fate | None = None, *, route: str = "") -> list[DeadLetter]:
        """Return what is stored, in order of the blobs' names."""
        names = sorted(
            name
            for name in self.blobs
            if (fate is None or name.endswith(f".{fate}.json"))
            and (not route or name.startswith(f"{route}/"))
        )
        return [letter for name in names for letter in decode(self.blobs[name])]

    def put_raw(self, name: str, text: str) -> None:
        """Store a blob that is no work of the relay."""
        self._writes += 1
        self.blobs[name] = text
        self._versions[name] = self._writes

    def _write(self, name: str, letters: Sequence[DeadLetter], route: str) -> None:
        self.put_raw(name, encode(letters, route))
        _raise(self.lost())

    def _is_claimed(self, name: str) -> bool:
        return self._claims.get(name, 0.0) > asyncio.get_running_loop().time()

    async def _answer(self) -> None:
        await asyncio.sleep(self.latency())
        _raise(self.faults())


def _raise(error: DeliveryError | None, *, accepted: int = 0) -> None:
    """Raise a fresh copy of an error, if there is one, after so many accepted events."""
    if error is not None:
        raise DeliveryError(
            error.reason,
            error.detail,
            accepted=accepted,
            suspects=error.suspects,
            refusal=error.refusal,
        )


def failing(*reasons: Reason | None) -> Callable[[], DeliveryError | None]:
    """Fail for these reasons one after the other (`None` is no failure), then no more."""
    return failing_in_turn(reasons)


def failing_in_turn(reasons: Iterable[Reason | None]) -> Callable[[], DeliveryError | None]:
    """Fail for reasons as they come, then no more."""
    left = iter(reasons)

    def fail() -> DeliveryError | None:
        reason = next(left, None)
        return None if reason is None else DeliveryError(reason, f"it was {reason}")

    return fail


def always(reason: Reason) -> Callable[[], DeliveryError | None]:
    """Fail for ever."""
    return lambda: DeliveryError(reason, f"it is {reason}")
