"""A local Azure in a process of its own, so that it takes no time from what is measured.

It holds three namespaces: `near` and `far` with hubs, `bus` with queues, of which `hub` and the
sessionful `queue` are always there; an app `relay` may send to all of them and write dead
letters. It runs on the first core, beside whoever drives a measurement.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import cores
from lab.identity.roles import storage_scope
from lab.local_azure import LocalAzure
from lab.messaging.model import MEBIBYTE, Hub, Namespace, Queue
from lab.plan import (
    ACCOUNT,
    DEAD_LETTERS,
    App,
    BlobConnection,
    Connection,
    Grant,
    Plan,
    free_block,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection as Pipe

START_SECONDS = 40
ANSWER_SECONDS = 20
CUT_EVERY_SECONDS = 0.02
HUB_BYTES = 32 * MEBIBYTE
"""What a hub keeps; nobody reads it."""
QUEUE_BYTES = 4096 * MEBIBYTE
"""What a queue takes before it is full: nothing is taken out of it."""

HUB_SENDER = "Azure Event Hubs Data Sender"
BUS_SENDER = "Azure Service Bus Data Sender"


@dataclass(frozen=True, slots=True)
class Entities:
    """What there is beside `hub` and `queue`.

    Attributes:
        hubs: further hubs in `near`.
        sessions: further queues in `bus` that demand sessions.
        queues: further queues in `bus` that don't.
        partitions: how many each hub has.
    """

    hubs: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    partitions: int = 4


def plan(entities: Entities) -> Plan:
    block = free_block()
    hubs = [
        Hub(name, entities.partitions, retention_bytes=HUB_BYTES)
        for name in ("hub", *entities.hubs)
    ]
    queues = [
        Queue(name, session=session, max_size_bytes=QUEUE_BYTES)
        for session, names in (
            (True, ("queue", *entities.sessions)),
            (False, entities.queues),
        )
        for name in names
    ]
    near = Namespace("near", "eventhubs", f"{block}.2", tuple(hubs))
    far = Namespace("far", "eventhubs", f"{block}.3", (hubs[0],))
    bus = Namespace("bus", "servicebus", f"{block}.4", tuple(queues))
    names = {"INGRESS": "near", "NEAR": "near", "FAR": "far", "BUS": "bus"}
    connections = tuple(Connection(name, namespace) for name, namespace in names.items())
    ingress = (("INGRESS_EVENT_HUB", "twin-events"), ("INGRESS_CONSUMER_GROUP", "relay"))
    blobs = (BlobConnection("DEAD_LETTERS", DEAD_LETTERS),)
    container = storage_scope(ACCOUNT, DEAD_LETTERS)
    return Plan(
        apps=(App("relay", connections=connections, blobs=blobs, settings=ingress),),
        namespaces=(near, far, bus),
        grants=(
            *(Grant("relay", HUB_SENDER, near.scope("eventhubs", hub.name)) for hub in hubs),
            Grant("relay", HUB_SENDER, far.scope("eventhubs", "hub")),
            *(Grant("relay", BUS_SENDER, bus.scope("queues", each.name)) for each in queues),
            Grant("relay", "Storage Blob Data Contributor", container),
        ),
        containers=(DEAD_LETTERS,),
    )


@dataclass(frozen=True, slots=True)
class Azure:
    """What is seen of it from here.

    Attributes:
        settings: what the app `relay` needs to work there.
    """

    settings: dict[str, str]
    _pipe: Pipe

    def do(self, command: str, *arguments: Any) -> Any:
        """Call a method of the control surface there, or `keep_cutting` a namespace."""
        self._pipe.send((command, arguments))
        if not self._pipe.poll(ANSWER_SECONDS):
            raise SystemExit(f"the local Azure did not answer {command} in time")
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def host(self, namespace: str) -> str:
        """Return where a namespace is served."""
        return self.settings[f"{namespace.upper()}__fullyQualifiedNamespace"]

    def held(self, namespace: str, entity: str) -> int:
        """Return how many messages an entity has taken since the beginning."""
        entities = self.do("state")["messaging"][namespace]["entities"]
        return taken(entities[entity])


def taken(entity: Any) -> int:
    if "active" in entity:
        return entity["active"]
    return sum(partition["next"] for partition in entity.values())


@contextmanager
def a_local_azure(entities: Entities = Entities()) -> Iterator[Azure]:
    """Start one, and let this process be its app `relay` to the identity endpoint."""
    logging.getLogger("relay").addHandler(logging.NullHandler())  # figures are all it prints
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory() as state:
        process = context.Process(target=serve, args=(Path(state), entities, there))
        process.start()
        try:
            if not here.poll(START_SECONDS):
                raise SystemExit(f"the local Azure did not start within {START_SECONDS} s")
            settings = here.recv()
            os.environ.update(settings)
            yield Azure(settings, here)
        finally:
            here.send(None)
            process.join(ANSWER_SECONDS)
            if process.is_alive():
                process.kill()


def serve(state: Path, entities: Entities, pipe: Pipe) -> None:
    """Run the local Azure and obey, until told `None`."""
    cores.stay_with_the_lab()
    asyncio.run(obey(state, entities, pipe))


async def obey(state: Path, entities: Entities, pipe: Pipe) -> None:
    async with LocalAzure(plan(entities), state) as azure:
        cutting: dict[str, asyncio.Task[None]] = {}
        pipe.send(azure.settings("relay"))
        while (order := await asyncio.to_thread(pipe.recv)) is not None:
            command, arguments = order
            try:
                if command == "keep_cutting":
                    cutting[arguments[0]] = asyncio.create_task(cut(azure, *arguments))
                    answer = None
                else:
                    answer = getattr(azure.control, command)(*arguments)
                if command == "heal" and arguments[0] in cutting:
                    cutting.pop(arguments[0]).cancel()
            except Exception as error:  # noqa: BLE001 - it is raised where it was ordered
                answer = RuntimeError(f"{command}: {error!r}")
            pipe.send(answer)


async def cut(azure: LocalAzure, namespace: str) -> None:
    while True:
        azure.control.cut(namespace)
        await asyncio.sleep(CUT_EVERY_SECONDS)
