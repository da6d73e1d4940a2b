"""The measured process of whatever gets its events decoded: no worker library around it.

    python -m bench.decoded function DIRECTORY    the function of an app, called directly
    python -m bench.decoded sender                the relay's sender alone: encoding and sending
    python -m bench.decoded ready                 the SDK sends ready batches again and again
    python -m bench.decoded raw                   so does the leanest sender there is

A line of JSON on standard input asks for a round (`batches` on each lane, of `size`), a line on
standard output answers. What is sent is made before the clock runs.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import sys
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bench.events import BATCH, lanes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bench.events import Lane

CONTEXT = SimpleNamespace(trace_context=SimpleNamespace(trace_parent=""))

_FEW = 8


@dataclass(frozen=True, slots=True)
class Way:
    """A way to send.

    Attributes:
        make: makes what is sent of the next events of a lane.
        send: sends it.
        size: how many events that is, where it is always the same.
    """

    make: Callable[[Lane, int], Any]
    send: Callable[[Any], Awaitable[None]]
    size: int = 0

    async def round(self, plant: Sequence[Lane], batches: int, size: int) -> dict[str, Any]:
        """Send so many batches on each lane, the lanes side by side."""
        ready = [[self.make(lane, size) for _ in range(batches)] for lane in plant]
        latencies: list[float] = []
        gc.collect()
        gc.freeze()  # that so many batches wait is no function's doing, nor its to look through
        start, busy = time.perf_counter(), time.process_time()
        await asyncio.gather(*(self._lane(lane, latencies) for lane in ready))
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        gc.unfreeze()
        return {
            "events": batches * (self.size or size) * len(plant),
            "seconds": seconds,
            "busy": busy,
            "latencies": latencies,
        }

    async def _lane(self, batches: Sequence[Any], latencies: list[float]) -> None:
        for batch in batches:
            start = time.perf_counter()
            await self.send(batch)
            latencies.append(time.perf_counter() - start)


async def a_function(directory: str) -> Way:
    """Call a function app's function as the worker library does, with events it has decoded."""
    sys.path.insert(0, directory)
    from function_app import app

    [found] = [
        each
        for each in app.get_functions()
        if each.get_trigger().get_binding_name() == "eventHubTrigger"
    ]
    function = found.get_user_function()
    if "context" in function.__annotations__:
        function = partial(function, context=CONTEXT)
    if not inspect.iscoroutinefunction(found.get_user_function()):
        function = partial(asyncio.to_thread, function)
    return Way(lambda lane, size: lane.batch(size), function)


async def our_sender() -> Way:
    """Send events of a lane on the partition of the same number, by the relay's own sink."""
    from relay import ingress, sinks
    from relay.identity import Identity
    from relay.settings import read

    settings = read(os.environ, Path.cwd())
    route = settings.routes[0]
    connection = settings.connections[route.destination.connection]
    sink = sinks.build(route, connection, Identity(), settings.ca_file)
    await sink.open()

    @lru_cache
    def made(lane: str, _: int, size: int) -> list[Any]:
        read = ingress.from_event_hub(plant[lane].batch(size), None)
        return [arrival.content for arrival in read]

    def make(lane: Lane, size: int) -> Any:
        """Return some of a few batches: a sender does not look at numbers."""
        return lane.partition.id, made(lane.name, next(numbers) % _FEW, size)

    plant, numbers = {lane.name: lane for lane in lanes()}, count()

    async def send(made: Any) -> None:
        await sink.send(*made)

    return Way(make, send)


async def ready_batches() -> Way:
    """Nothing is read or written: the SDK has its batches, one for each partition."""
    from azure.eventhub import EventData
    from azure.eventhub.aio import EventHubProducerClient
    from azure.identity.aio import ManagedIdentityCredential

    producer = EventHubProducerClient(
        os.environ["DESTINATION_HOST"],
        os.environ["DESTINATION"],
        ManagedIdentityCredential(),
        connection_verify=os.environ["RELAY_CA_FILE"],
    )
    batches = {}
    for lane in lanes():
        batches[lane.name] = await producer.create_batch(partition_id=lane.partition.id)
        for each in lane.updates(BATCH):
            event = EventData(each.data)
            event.properties = json.loads(each.properties)
            batches[lane.name].add(event)
    return Way(lambda lane, _: batches[lane.name], producer.send_batch, BATCH)


async def raw_transfers() -> Way:
    """The bytes of ready batches on a bare link, a window of them unanswered."""
    from azure.identity import ManagedIdentityCredential

    from bench.messaging import RawClient
    from lab.messaging.frames import Disposition
    from lab.messaging.message import Message, Properties, data
    from lab.messaging.node import BATCH_FORMAT

    token = ManagedIdentityCredential().get_token("https://eventhubs.azure.net/.default").token
    host, hub = os.environ["DESTINATION_HOST"], os.environ["DESTINATION"]
    client = await RawClient.connect(host, Path(os.environ["RELAY_CA_FILE"]))
    await client.sender(host, hub, token)
    payload = b"".join(
        data(
            Message(
                properties=Properties(content_type="application/json"),
                application_properties=each.received().properties,
                body=data(each.data),
            ).encode()
        )
        for each in lanes()[0].updates(BATCH)
    )
    sent = answered = 0
    answers = asyncio.Event()

    async def listen() -> None:
        nonlocal answered
        while True:
            answered = (await client.until(Disposition)).performative.last or answered
            answers.set()

    listening = asyncio.create_task(listen())

    async def send(_: None) -> None:
        nonlocal sent
        sent += 1
        mine = sent
        client.deliver(1, mine, payload, BATCH_FORMAT)
        await client.writer.drain()
        while answered < mine:
            assert not listening.done()
            answers.clear()
            await answers.wait()

    return Way(lambda *_: None, send, BATCH)


WAYS: dict[str, Callable[..., Awaitable[Way]]] = {
    "function": a_function,
    "sender": our_sender,
    "ready": ready_batches,
    "raw": raw_transfers,
}


async def main(kind: str, *arguments: str) -> None:
    """Do rounds until nobody asks any more."""
    way, plant = await WAYS[kind](*arguments), lanes()
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        chosen = plant[: asked.get("lanes", len(plant))]
        done = await way.round(chosen, asked["batches"], asked["size"])
        print(json.dumps(done), flush=True)
    os._exit(0)  # what is still connected need not say goodbye


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
