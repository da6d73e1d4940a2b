"""Streams of events over the ports, by fakes and by both real sinks with real Blob.

After what Benthos' stream tests ask of every output (public/service/integration:
StreamCheckpointCapture, StreamSaturatedUnacked, StreamSequential, StreamParallel,
StreamParallelLossy, StreamParallelLossyThroughReconnect), and Dapr's conformance and
certification tests of what is redelivered after a failure and a restart.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import pytest_asyncio

from lab.local_azure import LocalAzure
from lab.plan import free_block, plant_plan
from relay.dead_letters import DeadLetters, Shelf
from relay.delivery import Delivery, UnsettledError
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.ingress import Arrival
from relay.redrive import Redrive
from relay.resending import Resender
from relay.sending import Patience, Sender, Sink
from tests.contract.test_dead_letters import STORES
from tests.contract.test_sink import KINDS, Bench
from tests.fakes import NOON, MemorySink, a_route, an_arrival, an_event
from tests.relay.held import in_hub, in_queue

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = Patience(first=0.01, longest=0.05, budget=10.0)
ROUTE = a_route("streams")


@dataclass
class FickleSink:
    """A sink that refuses some events, and answers only while its gate is open."""

    sink: Sink
    refuses: Callable[[Event], Reason | None] = lambda _: None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waits: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def stream(self, event: Event) -> str:
        return self.sink.stream(event)

    async def open(self, count: float = math.inf) -> None:
        await self.sink.open(count)

    async def probe(self) -> None:
        await self.sink.probe()

    async def close(self) -> None:
        await self.sink.close()

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        for at, event in enumerate(events):
            reason = self.refuses(event)
            if reason is not None:
                await self._send(stream, events[:at])
                raise DeliveryError(reason, "it was refused", accepted=at)
        await self._send(stream, events)

    async def _send(self, stream: str, events: Sequence[Event]) -> None:
        if events:
            await self.sink.send(stream, events)
        self.waits.set()
        await self.gate.wait()


class FickleLetters:
    """Dead letters that may be refused; a `DeadLetters` in all else."""

    def __init__(self, letters: DeadLetters) -> None:
        self.is_down = False
        self._letters = letters

    async def put(self, *arguments: Any) -> None:
        if self.is_down:
            raise DeliveryError(Reason.THROTTLED, "Blob is busy")
        await self._letters.put(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._letters, name)


@dataclass
class World:
    """A path of one route to one destination."""

    name: str
    bench: Bench
    letters: FickleLetters
    held: Callable[[], Sequence[str]]

    def __post_init__(self) -> None:
        self.sink = FickleSink(self.bench.sink)
        self.delivery = self._new()

    def _new(self) -> Delivery:
        letters, sinks = cast("DeadLetters", self.letters), {ROUTE.name: self.sink}
        sender = Sender(sinks, lambda _: None, PATIENCE)
        resender = Resender(sender, letters, lambda: NOON)
        redrive = Redrive(resender, letters, lambda _: None)
        return Delivery([ROUTE], sender, letters, redrive, lambda _: None, lambda: NOON)

    async def restart(self) -> None:
        """End the process and begin another: what was not in Blob or delivered is forgotten."""
        await self.delivery.close()
        await self.sink.close()
        self.delivery = self._new()

    def batch(self, lane: int, numbers: range, twins: int = 1) -> list[Arrival]:
        """Make events of a lane that no other test has; their ids tell all of that."""
        return [
            an_arrival(
                an_event(
                    id=f"{self.name}.{lane}.{n}", subject=f"{self.name}-{lane}-{n % twins}"
                ),
                lane=f"{self.name}/{lane}",
                sequence=n,
            )
            for n in numbers
        ]

    async def waiting(self) -> list[str]:
        """Return the ids of what waits in Blob."""
        found = []
        shelf = Shelf(ROUTE.name)
        for lane in await self.letters.lanes(shelf):
            if lane.startswith(f"{self.name}/"):
                async for portion in self.letters.portions(shelf, lane):
                    found += [each.arrival for parcel in portion for each in parcel.letters]
        return ids(found)

    def arrived(self) -> list[str]:
        """Return the ids of what arrived, stream after stream."""
        return [name for name in self.held() if name.startswith(f"{self.name}.")]


def ids(arrivals: Sequence[Arrival]) -> list[str]:
    return [arrival.content.id for arrival in arrivals if isinstance(arrival.content, Event)]


def strands(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of what came first when, by lane; copies that came later left out."""
    found: dict[str, list[int]] = {}
    for name in dict.fromkeys(names):
        lane, number = name.rsplit(".", 1)
        found.setdefault(lane, []).append(int(number))
    return found


def every_tenth_once() -> Callable[[Event], Reason | None]:
    """Refuse the tenth event that is tried, and each tenth after it, once each."""
    tried: list[str] = []

    def refuses(event: Event) -> Reason | None:
        if event.id in tried:
            return None
        tried.append(event.id)
        return Reason.UNAVAILABLE if len(tried) % 10 == 0 else None

    return refuses


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    state = tmp_path_factory.mktemp("azure")
    async with LocalAzure(plant_plan(free_block()), state) as running:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in running.access("relay").items():
                environment.setenv(name, value)
            yield running


def looks(azure: LocalAzure, sink: str, bench: Bench) -> Callable[[], Sequence[str]]:
    match bench.sink, sink:
        case MemorySink() as memory, _:
            return lambda: [event.id for event in memory.events]
        case _, "hub":
            return lambda: in_hub(azure, "analytics", "telemetry")
    return lambda: in_queue(azure, "operations", "alarms")


@pytest_asyncio.fixture(
    loop_scope="module",
    params=[("memory", "memory"), ("hub", "blobs"), ("queue", "blobs")],
    ids=lambda each: each[0],
)
async def world(azure: LocalAzure, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    sink, store = request.param
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(KINDS[sink](azure))
        letters, _ = await stack.enter_async_context(STORES[store](azure))
        name = f"{abs(hash(request.node.name)):x}"
        made = World(name, bench, FickleLetters(letters), looks(azure, sink, bench))
        yield made
        await made.delivery.close()


async def test_what_was_refused_comes_back_after_a_restart_and_nothing_else_does(
    world: World,
) -> None:
    """Benthos' checkpoint capture: two of ten are refused."""
    batch = [arrival for lane in range(10) for arrival in world.batch(lane, range(1))]
    refused = {ids(batch)[3], ids(batch)[7]}
    world.sink.refuses = lambda event: Reason.FORBIDDEN if event.id in refused else None
    await world.delivery.settle(batch)
    kept = await world.waiting()

    await world.restart()
    sent_again: list[str] = []
    world.sink.refuses = lambda event: sent_again.append(event.id)
    await world.delivery.redrive()

    assert refused <= set(kept)
    assert sorted(kept) == sorted(sent_again)
    assert sorted(ids(batch)) == sorted(world.arrived())
    assert [] == await world.waiting()


async def test_a_batch_that_was_not_settled_comes_again_whole_after_a_restart(
    world: World,
) -> None:
    """At least once: what is neither taken nor in Blob is the host's still."""
    batch = world.batch(0, range(10))
    world.sink.refuses = lambda event: Reason.FORBIDDEN if event.id.endswith(".4") else None
    world.letters.is_down = True
    with pytest.raises(UnsettledError):
        await world.delivery.settle(batch)

    await world.restart()
    world.sink.refuses, world.letters.is_down = (lambda _: None), False
    await world.delivery.settle(batch)
    arrived = world.arrived()

    assert [*ids(batch)[:4], *ids(batch)] == arrived


async def test_nothing_is_settled_before_it_is_acknowledged_however_much_waits(
    world: World,
) -> None:
    """Benthos' saturation: everything is under way, nothing is acknowledged."""
    world.sink.gate.clear()
    batches = [world.batch(lane, range(10)) for lane in range(20)]
    settling = [asyncio.create_task(world.delivery.settle(batch)) for batch in batches]
    await world.sink.waits.wait()
    done, _ = await asyncio.wait(settling, timeout=0.1)

    assert done == set()
    world.sink.gate.set()
    await asyncio.gather(*settling)
    arrived = world.arrived()
    assert 200 == len(arrived)
    assert all(list(range(10)) == numbers for numbers in strands(arrived).values())


async def test_events_one_by_one_arrive_once_each_in_order(world: World) -> None:
    batch = world.batch(0, range(30))
    for arrival in batch:
        await world.delivery.settle([arrival])

    assert ids(batch) == world.arrived()


async def side_by_side(
    world: World, numbers: range, meanwhile: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Settle events of eight lanes side by side, each lane in batches of five in its order."""

    async def host(lane: int) -> None:
        batch = world.batch(lane, numbers)
        for start in range(0, len(batch), 5):
            await world.delivery.settle(batch[start : start + 5])

    hosts = [asyncio.create_task(host(lane)) for lane in range(8)]
    if meanwhile is not None:
        await meanwhile()
    await asyncio.gather(*hosts)


async def assert_all_arrived(world: World, count: int) -> None:
    arrived = world.arrived()
    assert [] == await world.waiting()
    assert [list(range(count))] * 8 == list(strands(arrived).values())
    assert len(set(arrived)) == len(arrived)


async def test_lanes_side_by_side_arrive_once_each_in_order(world: World) -> None:
    await side_by_side(world, range(20))

    await assert_all_arrived(world, 20)


async def test_where_every_tenth_is_refused_once_all_arrive_in_order(world: World) -> None:
    world.sink.refuses = every_tenth_once()
    await side_by_side(world, range(20))
    await world.delivery.redrive()

    await assert_all_arrived(world, 20)


async def test_where_every_tenth_is_refused_and_connections_go_all_arrive_in_order(
    world: World,
) -> None:
    world.sink.refuses = every_tenth_once()
    await side_by_side(world, range(10))
    await world.sink.close()
    await side_by_side(world, range(10, 20))
    await world.restart()
    await side_by_side(world, range(20, 30))
    await world.delivery.redrive()

    await assert_all_arrived(world, 30)


async def test_what_failed_is_delivered_after_a_restart_before_anything_new(
    world: World,
) -> None:
    """Dapr's fail, restart, redeliver."""
    failed, new = world.batch(0, range(20)), world.batch(0, range(20, 25))
    world.bench.forbid()
    await world.delivery.settle(failed)
    await world.restart()
    await world.delivery.redrive()
    assert ids(failed) == await world.waiting()

    world.bench.allow()
    await world.delivery.redrive()
    await world.delivery.settle(new)

    assert [*ids(failed), *ids(new)] == world.arrived()
    assert [] == await world.waiting()
