"""A broker with all around it that a test needs, and the real SDKs to talk to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from azure.core.credentials import AccessToken
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient

from lab.certificates import TlsFiles
from lab.identity import ROLES, Directory, Principal
from lab.messaging.broker import Broker
from lab.messaging.model import Namespace

EVENT_HUBS = "https://eventhubs.azure.net/"
ROLE_IDS = {role.name: role.id for role in ROLES}
SENDER = ROLE_IDS["Azure Event Hubs Data Sender"]
RECEIVER = ROLE_IDS["Azure Event Hubs Data Receiver"]
OWNER = ROLE_IDS["Azure Event Hubs Data Owner"]
DEADLINE = 15.0


class Tokens:
    """A credential for the aio clients, straight from the directory."""

    def __init__(self, directory: Directory, principal: Principal, resource: str) -> None:
        self.directory = directory
        self.principal = principal
        self.resource = resource

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        token = self.directory.issue(self.principal, self.resource)
        lifetime = self.directory.token_lifetime.total_seconds()
        return AccessToken(token, int(self.directory._clock() + lifetime))

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


@dataclass
class Received:
    """What a consumer has got so far, in the order in which it came."""

    events: list[tuple[str, EventData]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_event(self, context: Any, event: EventData | None) -> None:
        if event is not None:
            self.events.append((context.partition_id, event))
            self.changed.set()

    async def on_error(self, _context: Any, error: Exception) -> None:
        self.errors.append(error)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def count(self, wanted: int) -> list[str]:
        """Wait for that many events and return their bodies."""
        await self.until(lambda: len(self.events) >= wanted)
        return self.bodies()

    async def error(self) -> Any:
        """Wait for the first error."""
        await self.until(lambda: bool(self.errors))
        return self.errors[0]

    def bodies(self) -> list[str]:
        return [event.body_as_str() for _, event in self.events]


@dataclass
class World:
    """The broker with all around it that a test needs."""

    directory: Directory
    namespace: Namespace
    tls: TlsFiles
    broker: Broker
    owner: Principal
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def principal(self, name: str, role: str | None = None, *below: str) -> Principal:
        """Register an identity, with a role on the namespace or on something below it."""
        principal = self.directory.register(name, app=name)
        if role is not None:
            self.directory.grant(principal.object_id, role, self.namespace.scope(*below))
        return principal

    def tokens(self, principal: Principal | None = None, resource: str = EVENT_HUBS) -> Tokens:
        return Tokens(self.directory, principal or self.owner, resource)

    async def producer(self, hub: str = "hub", **options: Any) -> EventHubProducerClient:
        return await self._entered(EventHubProducerClient, hub, options)

    async def consumer(
        self, hub: str = "hub", group: str = "$Default", **options: Any
    ) -> EventHubConsumerClient:
        return await self._entered(
            EventHubConsumerClient, hub, {"consumer_group": group, **options}
        )

    async def _entered(self, client: Any, hub: str, options: dict[str, Any]) -> Any:
        settings: dict[str, Any] = {
            "fully_qualified_namespace": self.namespace.address,
            "eventhub_name": hub,
            "credential": self.tokens(),
            "connection_verify": str(self.tls.ca_file),
            "retry_total": 0,
            "retry_backoff_factor": 0,
        }
        return await self.stack.enter_async_context(client(**{**settings, **options}))

    async def first(self, count: int, **options: Any) -> list[str]:
        """Receive that many events of partition 0 and return their bodies."""
        async with self.receiving(partition_id="0", **options) as received:
            return await received.count(count)

    @asynccontextmanager
    async def receiving(
        self, group: str = "$Default", client: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[Received]:
        """Receive in the background from the start of every partition, or as `options` say."""
        consumer = await self.consumer(group=group, **(client or {}))
        received = Received()
        how = {"starting_position": "-1", **options}
        task = asyncio.create_task(
            consumer.receive(received.on_event, on_error=received.on_error, **how)
        )
        try:
            yield received
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await consumer.close()

    def kept(self, hub: str = "hub") -> dict[str, int]:
        """How many events each partition has taken."""
        entities: Any = self.state()["entities"]
        return {number: counts["next"] for number, counts in entities[hub].items()}

    def links(self) -> int:
        """How many links to entities are open."""
        return sum(self.state()["links"].values())

    def consumers(self) -> int:
        """How many of them receive."""
        links = self.state()["links"]
        return sum(count for path, count in links.items() if "ConsumerGroups" in path)

    def state(self) -> Any:
        return self.broker.state()["lab"]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the broker does."""
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 - the broker tells no one
                await asyncio.sleep(0.01)


def an_address() -> str:
    """Return a loopback address that hardly anything else has."""
    return ".".join(map(str, (127, *(random.randint(1, 250) for _ in range(3)))))


def events(*bodies: str) -> list[EventData]:
    return [EventData(body) for body in bodies]
