from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from lab.certificates import TlsFiles, issue
from lab.identity import Directory
from lab.local_azure import LocalAzure
from lab.plan import free_block, plant_plan
from lab.storage import Storage


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return issue(tmp_path_factory.mktemp("tls"), ["localhost", "127.0.0.1"])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_storage(
    tls: TlsFiles, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Storage]:
    storage = Storage(Directory(), tls, state_dir=tmp_path_factory.mktemp("storage"))
    await storage.start()
    yield storage
    await storage.stop()


@pytest.fixture
def storage(shared_storage: Storage) -> Iterator[Storage]:
    """One Azurite for all tests of a process, each with a container of its own."""
    yield shared_storage
    shared_storage.allow()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    """The plant's Azure, one for all tests of a process that leave it as they found it.

    It lives on the session's loop, and so must a test that asks for it:
    `pytestmark = pytest.mark.asyncio(loop_scope="session")`.
    """
    async with LocalAzure(
        plant_plan(free_block()), tmp_path_factory.mktemp("azure")
    ) as running:
        yield running
