"""What the tests of the Functions host share: hosts, what they said, a hub in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab.functions.event_hub_data import ReceivedEvent
from lab.functions.event_hub_trigger import Handle
from lab.functions.failures import SourceFailed
from lab.functions_host import FunctionsHost, LogRecord

APPS = Path(__file__).parent / "apps"
DEADLINE_SECONDS = 20.0
NOON = datetime(2026, 11, 21, 12, 0, 0, 123000, UTC)


class Logs:
    """Collects what a host says, and wakes whoever waits for it."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self._changed = asyncio.Event()

    def __call__(self, record: LogRecord) -> None:
        self.records.append(record)
        self._changed.set()

    def messages(self, category: str) -> list[str]:
        return [record.message for record in self.records if record.category == category]

    def told(self, category: str, **wanted: object) -> list[Mapping[str, object]]:
        """The `extra` of each record whose values include `wanted`."""
        return [
            record.properties
            for record in self.records
            if record.category == category and wanted.items() <= record.properties.items()
        ]

    async def until[T](self, found: Callable[[], T]) -> T:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (value := found()):
                self._changed.clear()
                await self._changed.wait()
            return value


def an_event(body: bytes = b"", number: int = 0, **changes: object) -> ReceivedEvent:
    fields = {
        "body": body,
        "sequence_number": number,
        "offset": str(number * 100),
        "enqueued_time": NOON + timedelta(seconds=number),
    }
    return ReceivedEvent(**(fields | changes))


@dataclass
class MemorySource:
    """A hub in memory (`Source`): events by partition, checkpoints, what was delivered."""

    events: dict[str, list[ReceivedEvent]]
    checkpoints: dict[str, int] = field(default_factory=dict)
    delivered: list[tuple[str, list[int]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    namespace: str = "ns.example"
    hub: str = "hub"
    consumer_group: str = "$Default"

    @classmethod
    def of(cls, **bodies: Sequence[bytes]) -> MemorySource:
        return cls(
            {
                partition.removeprefix("p"): [an_event(body, i) for i, body in enumerate(found)]
                for partition, found in bodies.items()
            }
        )

    async def partitions(self) -> Sequence[str]:
        self._fail()
        return list(self.events)

    async def receive(self, partition: str, limit: int, handle: Handle) -> None:
        position = self.checkpoints.get(partition, -1) + 1
        while True:
            self._fail()
            batch = self.events[partition][position : position + limit]
            if not batch:
                await asyncio.Event().wait()
            position += len(batch)
            self.delivered.append((partition, [event.sequence_number for event in batch]))
            self.changed.set()
            await handle(batch)

    async def checkpoint(self, partition: str, event: ReceivedEvent) -> None:
        self.checkpoints[partition] = event.sequence_number
        self.changed.set()

    async def close(self) -> None:
        self.closed = True

    def _fail(self) -> None:
        if self.faults:
            raise SourceFailed(self.faults.pop())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def running(
    app: str,
    settings: Mapping[str, str] | None = None,
    *,
    sources: Mapping[str, MemorySource] | None = None,
) -> AsyncIterator[tuple[FunctionsHost, Logs]]:
    """A host of one of the apps beside this file, with waiting times cut to nothing."""
    logs = Logs()
    hubs = sources or {}

    def source(function: object, *_: object) -> MemorySource:
        return hubs.get(function.name, MemorySource({}))

    host = FunctionsHost(
        APPS / app, settings or {}, on_log=logs, sources=source, time_scale=0.001
    )
    try:
        await host.start()
        yield host, logs
    finally:
        await host.stop()
