"""How many events a second the relay brings to a destination, against the other ways.

All start from the same: batches as the Event Hubs trigger hands them over, four lanes side by
side; all send to the same hub, or sessionful queue, of a broker that has a process of its own.

- `relay`: what the app does, from `Relay.from_event_hub` until everything is settled; one
  route, whose filter looks into the body and wants every event.
- `one_by_one`: as the quickstarts do it, one send an event over a client that lives long; a
  twin keeps its order by its partition key or session.
- `grouped`: a batch for each key of what was handed over.
- `whole` (queue only): what was handed over as one list, which Service Bus takes with mixed
  sessions and Event Hubs, one key a batch, does not.
- `limit`: nothing is read or written any more: the SDK sends ready batches of the same size
  again and again, on a hub to all partitions side by side.

The ways take turns; a rate is the median of the rounds, a ratio the median of the ratios in
each round. `parts` says where the relay's time goes, in a run of its own, by counting the
processor time of each part's functions; `waiting` is no work of this process at all.

    python -m bench.throughput [--json] [--events 4000] [--rounds 5] [--sizes 100 500 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
import types
from collections import defaultdict
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.identity.aio import ManagedIdentityCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

import relay.delivery
import relay.ingress
import relay.sinks.event_hub
import relay.sinks.service_bus
from bench.arrivals import Lane, lanes
from bench.azure import a_local_azure
from relay.app import from_environment
from relay.identity import Identity
from relay.sinks.event_hub import EventHubSink
from relay.sinks.service_bus import ServiceBusSink

if TYPE_CHECKING:
    from collections.abc import (
        Awaitable,
        Callable,
        Coroutine,
        Iterator,
        Sequence,
    )

    import azure.functions as func

    from bench.azure import Azure

    type Batch = list[func.EventHubEvent]
    type Send = Callable[[Batch], Awaitable[None]]

FILTER = "$body.modelId != 'dtmi:com:example:Nothing;1'"
DESTINATIONS = {
    "event hub": ("near", "hub", {"connection": "NEAR", "eventHub": "hub"}),
    "queue": ("bus", "queue", {"connection": "BUS", "queue": "queue", "session": True}),
}
LANES = 4
SHARES = {"one_by_one": 8, "grouped": 4}
"""The slow ways send only this part of a round's events."""
PARTS = ("decode", "filters", "placement", "encoding", "tokens", "sdk", "rest", "waiting")


@dataclass(frozen=True, slots=True)
class Run:
    """Events sent, in seconds of time and of this thread's processor time."""

    events: int
    seconds: float
    busy: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


@dataclass(slots=True)
class Way:
    """One way to send, with lanes of its own, whose numbers have no gaps.

    Attributes:
        sent: how many events it has sent so far.
    """

    name: str
    send: Send
    lanes: list[Lane]
    sent: int = 0

    async def run(self, batches: int, size: int, lanes: int = LANES) -> Run:
        """Send so many batches on each lane, the lanes side by side."""
        ready = [[lane.batch(size) for _ in range(batches)] for lane in self.lanes[:lanes]]
        gc.collect()
        start, busy = time.perf_counter(), time.thread_time()
        await asyncio.gather(*(self._lane(lane) for lane in ready))
        seconds, busy = time.perf_counter() - start, time.thread_time() - busy
        self.sent += batches * size * lanes
        return Run(batches * size * lanes, seconds, busy)

    async def _lane(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            await self.send(batch)


@dataclass(frozen=True, slots=True)
class Written:
    """An event as a user's own function would see it."""

    body: bytes
    properties: dict[str, Any]
    key: str


def written(batch: Batch) -> Iterator[Written]:
    """Pair bodies and properties; the twin is named by the subject or else by the source."""
    for event, properties in zip(batch, batch[0].metadata["PropertiesArray"], strict=True):
        subject = properties.get("cloudEvents:subject", "")
        name = subject.partition("/")[0] or properties["cloudEvents:source"].rpartition("/")[2]
        yield Written(event.get_body(), properties, name)


def by_key(batch: Batch) -> dict[str, list[Written]]:
    groups: dict[str, list[Written]] = {}
    for each in written(batch):
        groups.setdefault(each.key, []).append(each)
    return groups


def event_data(event: Written) -> EventData:
    data = EventData(event.body)
    data.properties = event.properties
    return data


def service_bus_message(event: Written) -> ServiceBusMessage:
    return ServiceBusMessage(
        event.body, application_properties=event.properties, session_id=event.key
    )


async def hub_ways(producer: EventHubProducerClient, example: Batch) -> dict[str, Send]:
    async def one_by_one(batch: Batch) -> None:
        for each in written(batch):
            await producer.send_event(event_data(each), partition_key=each.key)

    async def grouped(batch: Batch) -> None:
        for key, group in by_key(batch).items():
            await producer.send_batch([event_data(each) for each in group], partition_key=key)

    ready = []
    for partition in await producer.get_partition_ids():
        ready.append(await producer.create_batch(partition_id=partition))
        for each in written(example):
            ready[-1].add(event_data(each))

    async def limit(batch: Batch) -> None:
        await producer.send_batch(ready[lane_of(batch) % len(ready)])

    return {"one_by_one": one_by_one, "grouped": grouped, "limit": limit}


def lane_of(batch: Batch) -> int:
    return int(batch[0].metadata["PartitionContext"]["PartitionId"])


async def queue_ways(sender: ServiceBusSender, example: Batch) -> dict[str, Send]:
    turn = asyncio.Lock()  # a sender takes one call at a time

    async def one_by_one(batch: Batch) -> None:
        for each in written(batch):
            async with turn:
                await sender.send_messages(service_bus_message(each))

    async def grouped(batch: Batch) -> None:
        for group in by_key(batch).values():
            async with turn:
                await sender.send_messages([service_bus_message(each) for each in group])

    async def whole(batch: Batch) -> None:
        async with turn:
            await sender.send_messages([service_bus_message(each) for each in written(batch)])

    ready = [await sender.create_message_batch()]
    for each in written(example):
        try:
            ready[-1].add_message(service_bus_message(each))
        except ValueError:
            ready.append(await sender.create_message_batch())
            ready[-1].add_message(service_bus_message(each))

    async def limit(_: Batch) -> None:
        for one in ready:
            async with turn:
                await sender.send_messages(one)

    every = {"one_by_one": one_by_one, "grouped": grouped, "limit": limit}
    return every | ({"whole": whole} if len(ready) == 1 else {})


async def sdk_ways(
    azure: Azure, namespace: str, entity: str, example: Batch, stack: AsyncExitStack
) -> dict[str, Send]:
    credential = await stack.enter_async_context(ManagedIdentityCredential())
    options = {"connection_verify": azure.settings["RELAY_CA_FILE"]}
    host = azure.host(namespace)
    if namespace == "bus":
        client = await stack.enter_async_context(ServiceBusClient(host, credential, **options))
        sender = await stack.enter_async_context(client.get_queue_sender(entity))
        return await queue_ways(sender, example)
    producer = EventHubProducerClient(host, entity, credential, **options)
    return await hub_ways(await stack.enter_async_context(producer), example)


async def ways(azure: Azure, destination: str, size: int, stack: AsyncExitStack) -> list[Way]:
    """Return every way to a destination, warmed up; the relay's own is the first."""
    namespace, entity, address = DESTINATIONS[destination]
    routes = [{"name": f"bench-{size}", "filter": FILTER, "destination": address}]
    relay_ = from_environment(azure.settings | {"RELAY_ROUTES": json.dumps(routes)})
    stack.push_async_callback(relay_.close)
    plant = lanes(LANES, 2 * size, f"twin-events-{size}")
    sends = {"relay": relay_.from_event_hub} | await sdk_ways(
        azure, namespace, entity, replace(plant[0]).batch(size), stack
    )
    made = [Way(name, send, [replace(lane) for lane in plant]) for name, send in sends.items()]
    for way in made:
        await way.run(1, size, lanes=1)  # one at a time opens the links
        if way.name not in SHARES:
            await way.run(1, size)
    return made


@dataclass(slots=True)
class Clock:
    """Counts the processor time of functions, by part; nested ones must not be of two parts."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def plain(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += time.thread_time() - start

        return counted

    def stepwise(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count a coroutine's own steps, not what passes while it waits."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            return self._steps(part, function(*args, **kwargs))

        return counted

    @types.coroutine
    def _steps(self, part: str, coroutine: Coroutine[Any, Any, Any]) -> Iterator[Any]:
        step: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731 - it is replaced
        while True:
            start = time.thread_time()
            try:
                waited = step()
            except StopIteration as end:
                return end.value
            finally:
                self.seconds[part] += time.thread_time() - start
            try:
                yield waited
                step = lambda: coroutine.send(None)  # noqa: E731 - the same
            except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine
                step = lambda error=error: coroutine.throw(error)  # noqa: E731 - the same


@contextmanager
def counting() -> Iterator[Clock]:
    """Count the parts of the relay's path, by standing between them."""
    clock = Clock()
    read = relay.ingress.read
    plain, stepwise = clock.plain, clock.stepwise
    places = [
        (relay.ingress, "from_event_hub", "decode", plain),
        (relay.delivery, "assign", "filters", plain),
        (EventHubSink, "stream", "placement", plain),
        (ServiceBusSink, "stream", "placement", plain),
        (relay.sinks.event_hub, "fill", "encoding", plain),
        (relay.sinks.service_bus, "fill", "encoding", plain),
        (Identity, "get_token", "tokens", stepwise),
        (EventHubProducerClient, "create_batch", "sdk", stepwise),
        (EventHubProducerClient, "send_batch", "sdk", stepwise),
        (ServiceBusSender, "create_message_batch", "sdk", stepwise),
        (ServiceBusSender, "send_messages", "sdk", stepwise),
    ]
    before = [(place, name, getattr(place, name)) for place, name, _, _ in places]
    try:
        relay.ingress.read = plain("decode", lambda *args: list(read(*args)))
        for place, name, part, count in places:
            setattr(place, name, count(part, getattr(place, name)))
        yield clock
    finally:
        relay.ingress.read = read
        for place, name, function in before:
            setattr(place, name, function)


async def parts(way: Way, batches: int, size: int) -> dict[str, float]:
    """Return microseconds an event for each part of the relay's path."""
    with counting() as clock:
        run = await way.run(batches, size)
    seconds = {part: clock.seconds[part] for part in PARTS[:-2]}
    seconds["rest"] = run.busy - sum(seconds.values())
    seconds["waiting"] = run.seconds - run.busy
    return {part: 1e6 * each / run.events for part, each in seconds.items()}


async def measure(
    azure: Azure, destination: str, size: int, events: int, rounds: int
) -> dict[str, Any]:
    namespace, entity, _ = DESTINATIONS[destination]
    before = azure.held(namespace, entity)
    async with AsyncExitStack() as stack:
        every = await ways(azure, destination, size, stack)
        rates: dict[str, list[float]] = {way.name: [] for way in every}
        for n in range(rounds):
            for way in every[n % len(every) :] + every[: n % len(every)]:
                share = batches_of(events // SHARES.get(way.name, 1), size)
                rates[way.name].append((await way.run(share, size)).rate)
        where = await parts(every[0], batches_of(events, size), size)
    sent = sum(way.sent for way in every)
    assert azure.held(namespace, entity) - before == sent, "not all arrived, or too many"
    ratios = {
        f"to_{name}": median(a / b for a, b in zip(rates["relay"], of, strict=True))
        for name, of in rates.items()
        if name != "relay"
    }
    medians = {name: median(of) for name, of in rates.items()}
    return {"destination": destination, "batch": size, **medians, **ratios, "parts": where}


def batches_of(events: int, size: int) -> int:
    """Return how many batches there are on each lane, at least one."""
    return max(1, events // (LANES * size))


async def measure_all(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    with a_local_azure(chosen.partitions) as azure:
        return [
            await measure(azure, destination, size, chosen.events, chosen.rounds)
            for destination in chosen.destinations
            for size in chosen.sizes
        ]


def main() -> None:
    options = argparse.ArgumentParser(description="How many events a second are relayed.")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--events", type=int, default=4000, help="for each way and round")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--sizes", type=int, nargs="+", default=[100, 500, 1000])
    options.add_argument(
        "--destinations", nargs="+", choices=DESTINATIONS, default=list(DESTINATIONS)
    )
    options.add_argument("--partitions", type=int, default=4, help="of the hubs sent to")
    chosen = options.parse_args()
    rows = asyncio.run(measure_all(chosen))
    if chosen.json:
        print(json.dumps(rows))
        return
    for row in rows:
        show(row)


def show(row: dict[str, Any]) -> None:
    print(f"to the {row['destination']}, batches of {row['batch']}:")
    print(f"  {'relay':12}{row['relay']:>10,.0f} events/s")
    for ratio in (name for name in row if name.startswith("to_")):
        way = ratio.removeprefix("to_")
        print(f"  {way:12}{row[way]:>10,.0f} events/s   the relay's is {row[ratio]:.2f} times")
    where = ", ".join(f"{part} {each:.0f}" for part, each in row["parts"].items())
    print(f"  of {sum(row['parts'].values()):.0f} microseconds an event: {where}")


if __name__ == "__main__":
    main()
