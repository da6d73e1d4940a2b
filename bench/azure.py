"""A local Azure in a process of its own, so that it takes no time from what is measured.

It holds three namespaces, each with one destination: `near/hub`, `far/hub` and the sessionful
`bus/queue`; an app `relay` may send to all of them and write dead letters.
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

HUB_SENDER = "Azure Event Hubs Data Sender"
BUS_SENDER = "Azure Service Bus Data Sender"


def plan(partitions: int) -> Plan:
    block = free_block()
    near = Namespace("near", "eventhubs", f"{block}.2", (Hub("hub", partitions),))
    far = Namespace("far", "eventhubs", f"{block}.3", (Hub("hub", partitions),))
    queue = Queue("queue", session=True, max_size_bytes=1024 * MEBIBYTE)
    bus = Namespace("bus", "servicebus", f"{block}.4", (queue,))
    names = {"INGRESS": "near", "NEAR": "near", "FAR": "far", "BUS": "bus"}
    connections = tuple(Connection(name, namespace) for name, namespace in names.items())
    ingress = (("INGRESS_EVENT_HUB", "twin-events"), ("INGRESS_CONSUMER_GROUP", "relay"))
    blobs = (BlobConnection("DEAD_LETTERS", DEAD_LETTERS),)
    container = storage_scope(ACCOUNT, DEAD_LETTERS)
    return Plan(
        apps=(App("relay", connections=connections, blobs=blobs, settings=ingress),),
        namespaces=(near, far, bus),
        grants=(
            Grant("relay", HUB_SENDER, near.scope("eventhubs", "hub")),
            Grant("relay", HUB_SENDER, far.scope("eventhubs", "hub")),
            Grant("relay", BUS_SENDER, bus.scope("queues", "queue")),
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
def a_local_azure(partitions: int) -> Iterator[Azure]:
    """Start one, and let this process be its app `relay` to the identity endpoint."""
    logging.getLogger("relay").addHandler(logging.NullHandler())  # figures are all it prints
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory() as state:
        process = context.Process(target=serve, args=(Path(state), partitions, there))
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


def serve(state: Path, partitions: int, pipe: Pipe) -> None:
    """Run the local Azure and obey, until told `None`."""
    asyncio.run(obey(state, partitions, pipe))


async def obey(state: Path, partitions: int, pipe: Pipe) -> None:
    async with LocalAzure(plan(partitions), state) as azure:
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
