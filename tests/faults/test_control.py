from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.core.exceptions import HttpResponseError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.storage.blob.aio import ContainerClient

from lab.credential import managed_identity
from lab.identity import UnknownNameError
from lab.local_azure import LocalAzure
from lab.misbehaviour import HttpFault
from lab.plan import AMQPS_PORT, DEAD_LETTERS, HOST_CONTAINER, free_block, plant_plan
from lab.twins import Message, Sender

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    state: Path = tmp_path_factory.mktemp("azure")
    async with LocalAzure(plant_plan(free_block()), state, proxied=True) as running:
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
    before = azure.control.struck()["analytics"]
    azure.control.cut_acknowledgements("analytics", "telemetry", 2)
    with pytest.raises(UnknownNameError):
        azure.control.cut_acknowledgements("analytics", "telemetri")
    azure.control.heal("analytics")

    assert before == azure.control.struck()["analytics"]


PLACES = ("ingress", "analytics", "operations", "storage", "identity")


@pytest.mark.parametrize("place", PLACES)
async def test_a_proxy_stands_on_the_port_that_clients_know(
    azure: LocalAzure, place: str
) -> None:
    struck = "identity endpoint" if place == "identity" else place
    before = azure.control.struck()[struck]
    proxy = azure.proxies[place]
    azure.control.reset_traffic(place)
    reader, writer = await asyncio.open_connection(proxy.address, proxy.port)
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()
    await azure.control.clear_traffic(place)

    assert before < azure.control.struck()[struck]
    assert place in {"storage", "identity"} or proxy.port == AMQPS_PORT
    assert [] == await blobs(azure, DEAD_LETTERS)


async def test_the_unmodified_sdks_pass_through_and_feel_it(azure: LocalAzure) -> None:
    access = azure.access("digital-twins")
    credential = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
    address = azure.namespace("ingress").address
    sender = Sender(address, "twin-events", credential, str(azure.tls.ca_file))
    message = Message({"cloudEvents:id": "1"}, b"{}", "application/json")
    async with credential, sender:
        azure.control.slice_traffic("ingress", 100)
        azure.control.delay_traffic("ingress", 0.01, 0.005)
        azure.control.limit_traffic("ingress", 1_000_000)
        await sender.send_messages([message])
        await azure.control.clear_traffic("ingress")
        await azure.control.take_down("ingress")
        await azure.control.clear_traffic("ingress")
        await sender.send_messages([message])

    held: Any = azure.broker.state()["ingress"]
    assert 2 <= sum(each["next"] for each in held["entities"]["twin-events"].values())
    assert azure.control.struck()["ingress"] > 0


async def test_what_a_bad_way_cannot_be_is_refused(azure: LocalAzure) -> None:
    control = azure.control
    for spoil in (
        lambda: control.delay_traffic("ingress", -1),
        lambda: control.limit_traffic("ingress", 0),
        lambda: control.slice_traffic("ingress", 0),
        lambda: control.swallow_traffic("ingress", "sideways"),
        lambda: control.lose_traffic("ingress", 30, 30),
        lambda: control.close_slowly("ingress", -1),
        lambda: control.add_partitions("ingress", "twin-events", 0),
    ):
        with pytest.raises(ValueError, match=r"less than nothing|at least one|sideways|lost"):
            spoil()


async def test_links_are_detached_as_idle_ones_in_azures_words(azure: LocalAzure) -> None:
    access = azure.access("digital-twins")
    credential = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
    producer = EventHubProducerClient(
        azure.namespace("ingress").address,
        "twin-events",
        credential,
        connection_verify=str(azure.tls.ca_file),
        retry_total=0,
    )
    async with credential, producer:
        await producer.create_batch(partition_id="0")
        before = azure.control.struck()["ingress"]
        azure.control.expire_idle("ingress")
        assert before < azure.control.struck()["ingress"]
        await producer.send_batch([EventData("after")], partition_id="0")


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
