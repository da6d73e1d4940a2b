from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import ContainerClient

from lab.credential import managed_identity
from lab.identity import UnknownNameError
from lab.local_azure import LocalAzure
from lab.misbehaviour import HttpFault
from lab.plan import DEAD_LETTERS, HOST_CONTAINER, free_block, plant_plan

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    state: Path = tmp_path_factory.mktemp("azure")
    async with LocalAzure(plant_plan(free_block()), state) as running:
        yield running


async def blobs(azure: LocalAzure, container: str) -> list[str]:
    access = azure.access("auditor")
    credential = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
    client = ContainerClient(
        azure.storage.url,
        container,
        credential=credential,
        connection_verify=str(azure.tls.ca_file),
        retry_total=0,
    )
    async with credential, client:
        return [name async for name in client.list_blob_names()]


async def test_a_fault_of_one_container_is_none_of_its_neighbour(azure: LocalAzure) -> None:
    before = azure.control.struck()["storage"]
    azure.control.refuse_storage(503, "ServerBusy", container=DEAD_LETTERS)

    with pytest.raises(HttpResponseError, match="ServerBusy"):
        await blobs(azure, DEAD_LETTERS)
    assert [] == await blobs(azure, HOST_CONTAINER)
    assert before + 1 == azure.control.struck()["storage"]
    azure.control.allow_storage()
    assert [] == await blobs(azure, DEAD_LETTERS)


async def test_a_container_that_is_not_there_cannot_be_faulted(azure: LocalAzure) -> None:
    for fault in (
        lambda: azure.control.refuse_storage(503, "ServerBusy", container="dead-leters"),
        lambda: azure.control.silence_storage("dead-leters"),
        lambda: azure.control.delay_storage(1, "dead-leters"),
    ):
        with pytest.raises(UnknownNameError, match=r"known: .*dead-letters"):
            fault()


async def test_a_cut_in_the_answers_place_can_be_had_and_healed(azure: LocalAzure) -> None:
    azure.control.cut_acknowledgements("analytics", "telemetry", 2)
    with pytest.raises(UnknownNameError):
        azure.control.cut_acknowledgements("analytics", "telemetri")
    azure.control.heal("analytics")

    assert 0 == azure.control.struck()["analytics"]


@pytest.mark.parametrize(
    ("path", "concerned"),
    [
        ("/a/dead-letters", True),
        ("/a/dead-letters/route/x.json", True),
        ("/a/dead-letters-2", False),
        ("/a", False),
    ],
)
async def test_a_fault_concerns_its_path_and_what_is_below(path: str, concerned: bool) -> None:
    assert concerned is HttpFault(below="/a/dead-letters").concerns(path)
    assert HttpFault().concerns(path)
