"""Stand-ins for the ports of the event path, each held to its contract by tests of its own."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

from relay.dead_letters import DeadLetter, Fate, Listed
from relay.dead_letters.blobs import Stored
from relay.dead_letters.letters import decode
from relay.dead_letters.names import shelf_of
from relay.dead_letters.portions import LIMITS, Limits
from relay.dead_letters.store import BlobDeadLetters
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

    async def open(self, count: float = math.inf) -> None:  # noqa: ARG002 - all wait alike
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
class MemoryBlobs:
    """A container in memory: blobs by name, as the text that would be stored.

    Attributes:
        faults: asked before each call; an error it returns is raised.
        lost: asked after each write; an error it returns is raised though it was written.
        latency: seconds that the next call takes.
        calls: how often each kind of call was made.
        most_read: bytes of the largest lot that was read at once.
    """

    blobs: dict[str, str] = field(default_factory=dict)
    faults: Callable[[], DeliveryError | None] = lambda: None
    lost: Callable[[], DeliveryError | None] = lambda: None
    latency: Callable[[], float] = lambda: 0.0
    calls: Counter[str] = field(default_factory=Counter)
    most_read: int = 0
    marks: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _written: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    _writes: int = 0
    _claims: dict[str, tuple[object, float]] = field(default_factory=dict)

    async def write(self, name: str, text: str, marks: Mapping[str, str]) -> None:
        await self._answer("write")
        if self._is_claimed(name):
            raise DeliveryError(Reason.REJECTED, "the blob is claimed")
        self.put_raw(name, text)
        self.marks[name] = marks
        _raise(self.lost())

    async def prefixes(self, start: str, delimiter: str) -> list[str]:
        await self._answer("list")
        tails = [
            name.removeprefix(start) for name in sorted(self.blobs) if name.startswith(start)
        ]
        parts = [tail.partition(delimiter) for tail in tails]
        return list(dict.fromkeys(f"{start}{part[0]}{part[1]}" for part in parts if part[1]))

    async def listed(self, start: str) -> AsyncIterator[Listed]:
        names = [name for name in sorted(self.blobs) if name.startswith(start)]
        for index, name in enumerate(names or [""]):
            if index % _PAGE == 0:
                await self._answer("list")
            if name in self.blobs:
                size, written = len(self.blobs[name].encode()), self._written[name][1]
                yield Listed(name, size, written, self.marks.get(name, {}))

    async def read(self, names: Iterable[str]) -> list[Stored]:
        found = await asyncio.gather(*(self._read(name) for name in names))
        stored = [each for each in found if each is not None]
        self.most_read = max(self.most_read, sum(len(each.body) for each in stored))
        return stored

    async def _read(self, name: str) -> Stored | None:
        await self._answer("read")
        if name not in self.blobs:
            return None
        return Stored(name, self._version(name), self.blobs[name].encode())

    @asynccontextmanager
    async def claimed(self, blobs: Sequence[tuple[str, str]]) -> AsyncIterator[int]:
        owner, ours = object(), 0
        try:
            claims = await asyncio.gather(*(self._claim(owner, *blob) for blob in blobs))
            ours = claims.index(False) if False in claims else len(claims)
            self._let_go(owner, [name for name, _ in blobs[ours:]])
            _owner.set(owner)
            yield ours
        finally:
            self._let_go(owner, [name for name, _ in blobs])

    async def _claim(self, owner: object, name: str, version: str) -> bool:
        await self._answer("claim")
        if self._version(name) != version or self._is_claimed(name):
            return False
        until = asyncio.get_running_loop().time() + CLAIM_SECONDS
        self._claims[name] = (owner, until)
        return True

    def _let_go(self, owner: object, names: Sequence[str]) -> None:
        for name in names:
            if self._claims.get(name, (None, 0.0))[0] is owner:
                del self._claims[name]

    async def overwrite(
        self, name: str, version: str, text: str, marks: Mapping[str, str]
    ) -> bool:
        await self._answer("overwrite")
        if not self._is_ours(name, version):
            return False
        self.put_raw(name, text)
        self.marks[name] = marks
        _raise(self.lost())
        return True

    async def remove(self, name: str, version: str) -> bool:
        await self._answer("remove")
        if not self._is_ours(name, version):
            return False
        del self.blobs[name], self._written[name], self._claims[name]
        _raise(self.lost())
        return True

    async def close(self) -> None:
        await asyncio.sleep(0)

    def put_raw(self, name: str, text: str, written: datetime = NOON) -> None:
        """Store a blob that is no work of the relay."""
        self._writes += 1
        self.blobs[name] = text
        self._written[name] = (self._writes, written)

    def break_claim(self, name: str) -> None:
        """Let a claim be over, as when it ran out."""
        self._claims.pop(name, None)

    def _version(self, name: str) -> str:
        return str(self._written.get(name, (0, NOON))[0])

    def _is_claimed(self, name: str) -> bool:
        return self._claims.get(name, (None, 0.0))[1] > asyncio.get_running_loop().time()

    def _is_ours(self, name: str, version: str) -> bool:
        owner = self._claims.get(name, (None, 0.0))[0]
        is_ours = self._is_claimed(name) and owner is _owner.get()
        return is_ours and self._version(name) == version

    async def _answer(self, call: str) -> None:
        self.calls[call] += 1
        await asyncio.sleep(self.latency())
        _raise(self.faults())


_PAGE = 500
_owner: ContextVar[object] = ContextVar("owner", default=None)
"""Who holds a claim: the task that has it, and those that it begins."""


class MemoryDeadLetters(BlobDeadLetters):
    """Dead letters over `MemoryBlobs`, whose attributes it shows.

    Everything but the container is what runs in earnest.
    """

    def __init__(
        self,
        faults: Callable[[], DeliveryError | None] = lambda: None,
        lost: Callable[[], DeliveryError | None] = lambda: None,
        limits: Limits = LIMITS,
    ) -> None:
        self.memory = MemoryBlobs(faults=faults, lost=lost)
        super().__init__(self.memory, limits)

    @property
    def blobs(self) -> dict[str, str]:
        return self.memory.blobs

    def __setattr__(self, name: str, value: object) -> None:
        """Let faults, lost answers and latency be the container's."""
        to = self.memory if name in {"faults", "lost", "latency"} else self
        object.__setattr__(to, name, value)

    def letters(self, fate: Fate | None = None, *, route: str = "") -> list[DeadLetter]:
        """Return what is stored, in order of the blobs' names."""
        shelves = {name: shelf_of(name) for name in sorted(self.blobs)}
        return [
            letter
            for name, shelf in shelves.items()
            if fate in {None, shelf.fate} and route in {"", shelf.route}
            for letter in decode(self.blobs[name])
        ]

    def put_raw(self, name: str, text: str) -> None:
        """Store a blob that is no work of the relay."""
        self.memory.put_raw(name, text)

    def break_claim(self, name: str) -> None:
        """Let a claim be over, as when it ran out."""
        self.memory.break_claim(name)


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
