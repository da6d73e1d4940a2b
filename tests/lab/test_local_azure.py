from __future__ import annotations

import socket
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.identity.aio import ManagedIdentityCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    ServiceBusAuthorizationError,
    ServiceBusError,
)
from azure.storage.blob.aio import BlobServiceClient

from lab.credential import managed_identity
from lab.identity import UnknownNameError
from lab.local_azure import LocalAzure
from lab.messaging.broker import AddressTakenError
from lab.plan import (
    AMQPS_PORT,
    DEAD_LETTERS,
    HOST_CONTAINER,
    HOST_CONTAINERS,
    App,
    Plan,
    free_block,
    plant_plan,
)
from lab.state_directory import StateInUseError

pytestmark = pytest.mark.asyncio(loop_scope="session")


def credential(settings: dict[str, str], connection: str) -> ManagedIdentityCredential:
    return managed_identity(
        settings["IDENTITY_ENDPOINT"],
        settings["IDENTITY_HEADER"],
        settings.get(f"{connection}__clientId"),
    )


def hub(settings: dict[str, str], connection: str, name: str) -> dict[str, object]:
    return {
        "fully_qualified_namespace": settings[f"{connection}__fullyQualifiedNamespace"],
        "eventhub_name": name,
        "connection_verify": settings["RELAY_CA_FILE"],
        "retry_total": 0,
        "retry_backoff_factor": 0,
    }


async def send_to_hub(azure: LocalAzure, app: str, connection: str, name: str) -> None:
    settings = azure.settings(app)
    async with (
        credential(settings, connection) as identity,
        EventHubProducerClient(credential=identity, **hub(settings, connection, name)) as hub_,
    ):
        batch = await hub_.create_batch()
        batch.add(EventData(b"{}"))
        await hub_.send_batch(batch)


async def send_to_bus(settings: dict[str, str], connection: str, queue: str) -> None:
    async with (
        credential(settings, connection) as identity,
        ServiceBusClient(
            settings[f"{connection}__fullyQualifiedNamespace"],
            identity,
            connection_verify=settings["RELAY_CA_FILE"],
            retry_total=0,
        ) as bus,
        bus.get_queue_sender(queue) as sender,
    ):
        await sender.send_messages(ServiceBusMessage(b"{}", session_id="one"))


async def upload(azure: LocalAzure, app: str, container: str) -> None:
    settings = azure.settings(app)
    async with (
        credential(settings, "DEAD_LETTERS") as identity,
        BlobServiceClient(
            settings["DEAD_LETTERS__blobServiceUri"],
            identity,
            connection_verify=settings["RELAY_CA_FILE"],
            retry_total=0,
        ) as service,
    ):
        blob = service.get_blob_client(container, "one")
        await blob.upload_blob(b"[]", overwrite=True)


async def test_the_relay_reaches_all_that_it_delivers_to(azure: LocalAzure) -> None:
    await send_to_hub(azure, "relay", "ANALYTICS", "twin-changes")
    await send_to_hub(azure, "relay", "ANALYTICS", "telemetry")
    await send_to_bus(azure.settings("relay"), "OPERATIONS", "alarms")
    await send_to_bus(azure.settings("relay"), "OPERATIONS", "lifecycle")
    await upload(azure, "relay", azure.settings("relay")["DEAD_LETTERS_CONTAINER"])


async def test_the_functions_host_writes_whatever_it_keeps(azure: LocalAzure) -> None:
    names = {f"azure-webjobs-{kept}" for kept in ("eventhub", "hosts", "secrets")}
    for container in HOST_CONTAINERS:
        await upload(azure, "relay", container)

    assert names == set(HOST_CONTAINERS)


async def test_what_the_host_may_do_lets_the_relay_keep_no_dead_letters(
    azure: LocalAzure,
) -> None:
    role = ("relay", "Storage Blob Data Contributor", DEAD_LETTERS)
    azure.control.revoke(*role)
    try:
        with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
            await upload(azure, "relay", DEAD_LETTERS)
    finally:
        azure.control.grant(*role)


async def test_digital_twins_sends_to_the_ingress(azure: LocalAzure) -> None:
    await send_to_hub(azure, "digital-twins", "INGRESS", "twin-events")


async def test_nobody_may_do_what_is_not_their_job(azure: LocalAzure) -> None:
    with pytest.raises(EventHubError, match="'Send' claim"):
        await send_to_hub(azure, "relay", "INGRESS", "twin-events")
    with pytest.raises(EventHubError, match="'Send' claim"):
        await send_to_hub(azure, "auditor", "ANALYTICS", "telemetry")
    with pytest.raises(ServiceBusAuthorizationError):
        await send_to_bus(azure.settings("auditor"), "OPERATIONS", "alarms")
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        await upload(azure, "auditor", "dead-letters")


async def test_the_relays_own_identity_may_not_send_to_operations(azure: LocalAzure) -> None:
    settings = azure.settings("relay")
    del settings["OPERATIONS__clientId"]

    with pytest.raises(ServiceBusAuthorizationError, match="'Send' claim"):
        await send_to_bus(settings, "OPERATIONS", "alarms")


async def test_a_role_taken_away_and_given_back_is_felt_by_the_next_send(
    azure: LocalAzure,
) -> None:
    role = ("relay", "Azure Event Hubs Data Sender", "analytics/twin-changes")
    azure.control.revoke(*role)
    with pytest.raises(EventHubError, match="'Send' claim"):
        await send_to_hub(azure, "relay", "ANALYTICS", "twin-changes")
    await send_to_hub(azure, "relay", "ANALYTICS", "telemetry")
    azure.control.grant(*role)

    await send_to_hub(azure, "relay", "ANALYTICS", "twin-changes")


async def test_a_denied_network_and_a_disabled_queue_let_nobody_send(
    azure: LocalAzure,
) -> None:
    settings = azure.settings("relay")
    azure.control.deny_network("operations")
    with pytest.raises(ServiceBusError, match="amqp:"):
        await send_to_bus(settings, "OPERATIONS", "alarms")
    azure.control.allow_network("operations")
    azure.control.disable("operations", "alarms")
    with pytest.raises(MessagingEntityDisabledError):
        await send_to_bus(settings, "OPERATIONS", "alarms")
    azure.control.heal("operations")

    await send_to_bus(settings, "OPERATIONS", "alarms")


async def test_a_throttled_hub_is_busy_as_often_as_it_was_told(azure: LocalAzure) -> None:
    azure.control.throttle("analytics", "telemetry", 2)
    with pytest.raises(EventHubError, match="being throttled"):
        await send_to_hub(azure, "relay", "ANALYTICS", "telemetry")

    await send_to_hub(azure, "relay", "ANALYTICS", "telemetry")


async def test_checkpoints_are_kept_where_the_functions_host_keeps_them(
    azure: LocalAzure,
) -> None:
    settings = azure.settings("relay")
    checkpoint = {
        "fully_qualified_namespace": settings["INGRESS__fullyQualifiedNamespace"],
        "eventhub_name": settings["INGRESS_EVENT_HUB"],
        "consumer_group": settings["INGRESS_CONSUMER_GROUP"],
        "partition_id": "2",
        "offset": "7",
        "sequence_number": 7,
    }
    async with (
        credential(settings, "AzureWebJobsStorage") as identity,
        BlobCheckpointStore(
            settings["AzureWebJobsStorage__blobServiceUri"],
            HOST_CONTAINER,
            credential=identity,
            connection_verify=settings["RELAY_CA_FILE"],
        ) as store,
    ):
        await store.update_checkpoint(checkpoint)
        kept = await store.list_checkpoints(*list(checkpoint.values())[:3])

    assert list(kept) == [checkpoint]


async def test_the_auditor_reads_what_arrived(azure: LocalAzure) -> None:
    await send_to_hub(azure, "relay", "ANALYTICS", "telemetry")
    settings = azure.settings("auditor")
    async with (
        credential(settings, "ANALYTICS") as identity,
        EventHubConsumerClient(
            consumer_group="audit",
            credential=identity,
            **hub(settings, "ANALYTICS", "telemetry"),
        ) as consumer,
    ):
        partitions = await consumer.get_partition_ids()
        last = [await consumer.get_partition_properties(each) for each in partitions]

    assert any(not each["is_empty"] for each in last)


@pytest.mark.parametrize("app", ["relay", "digital-twins", "auditor"])
async def test_no_app_is_given_a_key_or_a_signature(azure: LocalAzure, app: str) -> None:
    text = str(azure.settings(app)).lower()
    secrets = ("accountkey", "sharedaccess", "sig=", "sb://")

    assert [each for each in secrets if each in text] == []


async def test_the_relays_settings_name_every_scope(azure: LocalAzure) -> None:
    settings = azure.settings("relay")
    named = {value for name, value in settings.items() if name.endswith("__resourceId")}

    assert named == {each.resource_id for each in azure.plan.namespaces} | {
        azure.storage.resource_id
    }


async def test_an_unknown_app_is_told_with_the_known_ones(azure: LocalAzure) -> None:
    with pytest.raises(UnknownNameError, match="known: auditor, digital-twins, relay"):
        azure.settings("realy")


async def test_two_labs_do_not_share_a_state_directory(tmp_path: Path) -> None:
    async with LocalAzure(Plan(apps=(App("one"),)), tmp_path):
        before = (tmp_path / "ca.pem").read_bytes()
        with pytest.raises(StateInUseError, match="another lab is running with the state"):
            LocalAzure(plant_plan(free_block()), tmp_path)

        assert before == (tmp_path / "ca.pem").read_bytes()


async def test_tokens_headers_and_certificates_outlive_a_restart(tmp_path: Path) -> None:
    plan = Plan(apps=(App("one"),))
    async with LocalAzure(plan, tmp_path) as first:
        before = (first.settings("one")["IDENTITY_HEADER"], first.tls.ca_file.read_bytes())
        token = first.directory.issue(first.directory.principal("one"), "https://a.b/")
    async with LocalAzure(plan, tmp_path) as second:
        after = (second.settings("one")["IDENTITY_HEADER"], second.tls.ca_file.read_bytes())
        second.directory.verify(token, {"https://a.b"})

    assert before == after


async def test_a_lab_with_other_addresses_gets_another_certificate(tmp_path: Path) -> None:
    first = LocalAzure(plant_plan("127.0.5"), tmp_path)
    before = first.tls.cert_file.read_bytes()
    first._state.release()
    second = LocalAzure(plant_plan("127.0.6"), tmp_path)
    second._state.release()

    assert before != second.tls.cert_file.read_bytes()


async def test_a_start_that_fails_leaves_nothing_running(tmp_path: Path) -> None:
    block = free_block()
    with socket.create_server((f"{block}.3", AMQPS_PORT)):
        failing = LocalAzure(plant_plan(block), tmp_path)
        with pytest.raises(AddressTakenError, match=rf"{block}\.3:{AMQPS_PORT}"):
            await failing.__aenter__()

    assert not failing.endpoint.running
    async with LocalAzure(plant_plan(block), tmp_path) as azure:
        assert azure.endpoint.running
