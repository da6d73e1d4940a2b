"""A broker on an address of its own, and the real SDKs to talk to it."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient

from lab.certificates import TlsFiles, issue
from lab.identity import ROLES, Directory, Principal
from lab.messaging.broker import Broker
from lab.messaging.model import Hub, Namespace
from lab.messaging.switches import Limits, Switches

EH_RESOURCE = "https://eventhubs.azure.net/"
ROLE_IDS = {role.name: role.id for role in ROLES}
SENDER = ROLE_IDS["Azure Event Hubs Data Sender"]
RECEIVER = ROLE_IDS["Azure Event Hubs Data Receiver"]
OWNER = ROLE_IDS["Azure Event Hubs Data Owner"]


class Tokens:
    """A credential, sync where called and async where awaited, whose tokens a test may choose."""

    def __init__(self, directory: Directory, principal: Principal, resource: str) -> None:
        self.directory = directory
        self.principal = principal
        self.resource = resource

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        token = self.directory.issue(self.principal, self.resource)
        lifetime = self.directory.token_lifetime.total_seconds()
        return AccessToken(token, int(self.directory._clock() + lifetime))

    async def close(self) -> None:
        pass


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
        principal = self.directory.register(name, app=name)
        if role is not None:
            self.directory.grant(principal.object_id, role, self.namespace.scope(*below))
        return principal

    def tokens(
        self, principal: Principal | None = None, resource: str = EH_RESOURCE
    ) -> Tokens:
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

    def kept(self, hub: str = "hub") -> dict[str, int]:
        """How many events each partition has taken."""
        service = self.broker._sites["lab"].service
        partitions: Any = service.state()[hub]
        return {number: counts["next"] for number, counts in partitions.items()}


def an_address() -> str:
    """An address that another test is unlikely to have."""
    return ".".join(map(str, (127, *(random.randint(1, 250) for _ in range(3)))))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Issue a certificate for any address, by one authority directory each."""
    base = tmp_path_factory.mktemp("tls")

    def certify(address: str) -> TlsFiles:
        return issue(base / address, [address, "localhost"])

    return certify


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("identity")


@pytest.fixture
async def make_world(authority: Any, state_dir: Any) -> Any:
    async with AsyncExitStack() as stack:

        async def make(
            *hubs: Hub,
            switches: Switches | None = None,
            limits: Limits | None = None,
            websocket: bool = False,
        ) -> World:
            address = an_address()
            directory = Directory(state_dir)
            namespace = Namespace("lab", "eventhubs", address, hubs or (Hub("hub"),))
            tls = authority(address)
            broker = Broker(
                directory,
                [namespace],
                tls,
                websocket_port=0 if websocket else None,
                switches=switches,
                limits=limits,
            )
            owner = directory.register("owner", app="owner")
            directory.grant(owner.object_id, OWNER, namespace.resource_id)
            world = World(directory, namespace, tls, broker, owner)
            await broker.start()
            stack.push_async_callback(broker.stop)
            await stack.enter_async_context(world.stack)
            return world

        yield make


@pytest.fixture
async def world(make_world: Any) -> World:
    made: World = await make_world()
    return made


def events(*bodies: str) -> list[EventData]:
    return [EventData(body) for body in bodies]
