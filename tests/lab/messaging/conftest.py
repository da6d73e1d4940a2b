from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lab.certificates import TlsFiles, issue
from lab.identity import Directory
from lab.messaging.broker import Broker
from lab.messaging.model import Hub, Namespace
from lab.messaging.switches import Limits, Switches
from tests.lab.messaging.world import OWNER, World, an_address

type MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture(scope="session")
def certify(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TlsFiles]:
    """Return what issues a certificate for an address."""
    base = tmp_path_factory.mktemp("certificates")
    return lambda address: issue(base / address, [address, "localhost"])


@pytest.fixture(scope="session")
def signing_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One signing key for all tests: making it takes longest."""
    return tmp_path_factory.mktemp("identity")


@pytest.fixture
async def make_world(
    certify: Callable[[str], TlsFiles], signing_dir: Path
) -> AsyncIterator[MakeWorld]:
    async with AsyncExitStack() as stack:

        async def make(
            *hubs: Hub,
            switches: Switches | None = None,
            limits: Limits | None = None,
            websocket: bool = False,
        ) -> World:
            address = an_address()
            tls = certify(address)
            directory = Directory(signing_dir)
            namespace = Namespace("lab", "eventhubs", address, hubs or (Hub("hub"),))
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
async def world(make_world: MakeWorld) -> World:
    return await make_world()
