"""How events come in by each way, what was sent by it, and whether it is done with."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, Final, Protocol
from zlib import crc32

from azure.storage.blob.aio import ContainerClient

from lab.audit import Access, Received, read_hub
from lab.certificates import server_context
from lab.event_grid import Subscription
from lab.faults.entrance import (
    AUDIENCE,
    ENTITY,
    INGRESS,
    READERS,
    SUBSCRIPTION,
    TOPIC,
    Ingress,
)
from lab.plan import HOST_CONTAINER
from lab.twins import BusSender, Sender, TopicSender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from azure.identity.aio import ManagedIdentityCredential

    from lab.functions_host import FunctionsHost
    from lab.local_azure import LocalAzure
    from lab.twins import Message, Notification

_BATCH: Final = 10
_SESSIONS: Final = 3
_STRAY: Final = "stray"
"""The session of what belongs to no twin."""


class WayIn(Protocol):
    """One way in, from its sender's end."""

    async def flow(self, notifications: Iterable[Notification], rate: float) -> None:
        """Send events, so many a second."""

    async def put(self, messages: Sequence[Message]) -> None:
        """Send messages as they are, beside the events that flow."""

    def held(self) -> int:
        """Count what was sent."""

    async def is_settled(self) -> bool:
        """Whether the relay is done with all of it, and nothing was given up."""

    async def sent(self) -> list[Received]:
        """Return what was sent; each `stream` in its order."""


class HubWay:
    """By an Event Hub, which still holds what was sent."""

    def __init__(
        self,
        azure: LocalAzure,
        senders: tuple[Sender, Sender],
        auditor: ManagedIdentityCredential,
    ) -> None:
        self._azure = azure
        self._flowing, self._between = senders
        self._auditor = auditor

    async def flow(self, notifications: Iterable[Notification], rate: float) -> None:
        """Send events."""
        await self._flowing.send(notifications, rate=rate)

    async def put(self, messages: Sequence[Message]) -> None:
        """Send messages by a connection of their own."""
        await self._between.send_messages(messages)

    def held(self) -> int:
        """Count what the hub holds."""
        return sum(partition["next"] for partition in self._partitions().values())

    async def is_settled(self) -> bool:
        """Whether the host has checkpointed everything."""
        return await self._checkpoints() == self._ends()

    async def sent(self) -> list[Received]:
        """Read the hub."""
        ca_file = str(self._azure.tls.ca_file)
        access = Access(self._azure.namespace(INGRESS).address, self._auditor, ca_file)
        return await read_hub(access, ENTITY, READERS)

    async def _checkpoints(self) -> dict[str, int]:
        """Read how far the host has come in each partition: the last number that is done."""
        container = ContainerClient(
            self._azure.storage.url,
            HOST_CONTAINER,
            credential=self._auditor,
            connection_verify=str(self._azure.tls.ca_file),
        )
        async with container:
            return {
                blob.name.rpartition("/")[2]: int(blob.metadata["sequencenumber"])
                async for blob in container.list_blobs(include=["metadata"])
                if "/checkpoint/" in blob.name
            }

    def _ends(self) -> dict[str, int]:
        """Return the last number of each partition that holds anything."""
        return {n: end["next"] - 1 for n, end in self._partitions().items() if end["next"]}

    def _partitions(self) -> Mapping[str, Mapping[str, int]]:
        return _entities(self._azure)[ENTITY]  # type: ignore[return-value]


class BusWay:
    """By a queue with sessions, or by a topic's subscription without.

    What the host has settled is gone from there, so that what was sent is written down.
    """

    def __init__(
        self, azure: LocalAzure, senders: tuple[BusSender, BusSender], *, session: bool
    ) -> None:
        self._azure = azure
        self._flowing, self._between = senders
        self._session = session
        self._sent: list[Received] = []

    async def flow(self, notifications: Iterable[Notification], rate: float) -> None:
        """Send events, and write them down."""
        async for chunk in _paced(notifications, rate):
            now = time.time()
            await self._flowing.send(chunk)
            self._sent += [
                _received(each.as_amqp(), now, _session(each) if self._session else "")
                for each in chunk
            ]

    async def put(self, messages: Sequence[Message]) -> None:
        """Send messages by a connection of their own, and write them down."""
        now, session = time.time(), _STRAY if self._session else None
        await self._between.send_messages(messages, session)
        self._sent += [_received(each, now, session or "") for each in messages]

    def held(self) -> int:
        """Count what was written down."""
        return len(self._sent)

    async def is_settled(self) -> bool:
        """Whether nothing is left in the entity nor in its own dead-letter sub-queue."""
        path = ENTITY if self._session else f"{ENTITY}/Subscriptions/{SUBSCRIPTION}"
        counts = _entities(self._azure)[path]
        return not any(counts[name] for name in ("active", "locked", "dead_letters"))

    async def sent(self) -> list[Received]:
        """Return what was written down."""
        return list(self._sent)


class TopicWay:
    """By an Event Grid topic, which delivers to the host: to the trigger or to the webhook."""

    def __init__(self, azure: LocalAzure, sender: TopicSender) -> None:
        self._azure = azure
        self._sender = sender
        self._sent: list[Received] = []

    async def flow(self, notifications: Iterable[Notification], rate: float) -> None:
        """Publish events, and write them down."""
        async for chunk in _paced(notifications, rate):
            for each in chunk:
                now = time.time()
                await self._sender.send([each])
                self._sent.append(_received(each.as_amqp(), now))

    async def put(self, messages: Sequence[Message]) -> None:
        """Publish messages as they are."""
        for each in messages:
            now = time.time()
            await self._sender.send_message(each)
            self._sent.append(_received(each, now))

    def held(self) -> int:
        """Count what was written down."""
        return len(self._sent)

    async def is_settled(self) -> bool:
        """Whether the topic has delivered everything."""
        deliveries = self._azure.event_grid.active(TOPIC, SUBSCRIPTION).deliveries
        return deliveries.pending == 0 and deliveries.counts["delivered"] == self.held()

    async def sent(self) -> list[Received]:
        """Return what was written down."""
        return list(self._sent)


def access_settings(ingress: Ingress, azure: LocalAzure) -> Mapping[str, str]:
    """Return by whose tokens callers of the webhook prove themselves."""
    if ingress is not Ingress.WEBHOOK:
        return {}
    return {
        "ACCESS_TENANT": azure.directory.tenant_id,
        "ACCESS_AUDIENCE": AUDIENCE,
        "ACCESS_AUTHORITY": azure.endpoint.url,
    }


@asynccontextmanager
async def open_way(
    ingress: Ingress,
    azure: LocalAzure,
    host: FunctionsHost,
    plant: ManagedIdentityCredential,
    auditor: ManagedIdentityCredential,
) -> AsyncIterator[WayIn]:
    """Connect the plant with the relay; the connections end with the context."""
    ca_file = str(azure.tls.ca_file)
    async with AsyncExitStack() as stack:
        if ingress.is_event_grids:
            await _subscribe(ingress, azure, host)
            topic = TopicSender(
                azure.event_grid.endpoint(TOPIC),
                plant,
                azure.tls.ca_file,
                azure.event_grid.schema(TOPIC),
            )
            yield TopicWay(azure, await stack.enter_async_context(topic))
            return
        address = azure.namespace(INGRESS).address
        if ingress is Ingress.EVENT_HUB:
            hubs = [Sender(address, ENTITY, plant, ca_file) for _ in range(2)]
            flowing, between = [await stack.enter_async_context(each) for each in hubs]
            yield HubWay(azure, (flowing, between), auditor)
            return
        session = _session if ingress is Ingress.SESSIONS else None
        buses = [BusSender(address, ENTITY, plant, ca_file, session=session) for _ in range(2)]
        first, second = [await stack.enter_async_context(each) for each in buses]
        yield BusWay(azure, (first, second), session=session is not None)


async def _subscribe(ingress: Ingress, azure: LocalAzure, host: FunctionsHost) -> None:
    """Let the topic deliver to the host, as it is secured there: by a key or by a token."""
    url = await host.listen(tls=server_context(azure.tls))
    if ingress is Ingress.EVENT_GRID:
        where, audience = host.event_grid_path("event_grid"), ""
    else:
        where, audience = "/api/events", AUDIENCE
    subscription = Subscription(
        SUBSCRIPTION,
        url + where,
        azure.event_grid.schema(TOPIC),
        max_events_per_batch=_BATCH,
        audience=audience,
    )
    await azure.event_grid.subscribe(TOPIC, subscription)


def by_value(messages: Iterable[Received]) -> list[Received]:
    """Write JSON in one way: where the host writes it anew, its value is what counts."""
    return [replace(each, body=_one_way(each.body)) for each in messages]


def _session(notification: Notification) -> str:
    """Keep a twin in one of few sessions: the host takes batches from one after another."""
    return f"line-{crc32(notification.twin_id.encode()) % _SESSIONS}"


def _one_way(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except ValueError:
        return body


def _received(message: Message, now: float, stream: str = "") -> Received:
    return Received(
        stream, message.properties, message.body, message.content_type, enqueued=now
    )


async def _paced(
    notifications: Iterable[Notification], rate: float
) -> AsyncIterator[tuple[Notification, ...]]:
    """Yield what is due, at so many a second, in grains of 50 ms."""
    loop = asyncio.get_running_loop()
    started, done = loop.time(), 0
    for chunk in batched(notifications, max(1, round(rate / 20)), strict=False):
        await asyncio.sleep(max(0.0, started + done / rate - loop.time()))
        yield chunk
        done += len(chunk)


def _entities(azure: LocalAzure) -> Mapping[str, Mapping[str, object]]:
    state = azure.broker.state()[INGRESS]
    assert isinstance(state, Mapping)
    entities: Mapping[str, Mapping[str, object]] = state["entities"]
    return entities
