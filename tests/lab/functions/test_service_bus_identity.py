"""The Service Bus trigger with the app's own managed identity, as settings name it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from lab.credential import managed_identity
from lab.functions_host import AppFailed, FunctionsHost
from lab.local_azure import LocalAzure
from tests.lab.functions.hosting import APPS, Logs

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLE = "Azure Service Bus Data Receiver"


def settings_of(azure: LocalAzure) -> dict[str, str]:
    """The app's settings, its connection to the bus under the name that the functions use."""
    found = azure.settings("relay")
    bus = {
        name.replace("OPERATIONS", "BUS"): value
        for name, value in found.items()
        if name.startswith("OPERATIONS__")
    }
    return found | bus | {"SESSION": "alarms"}


async def send(azure: LocalAzure, body: str) -> None:
    settings = settings_of(azure)
    async with (
        managed_identity(
            settings["IDENTITY_ENDPOINT"],
            settings["IDENTITY_HEADER"],
            settings["BUS__clientId"],
        ) as identity,
        ServiceBusClient(
            settings["BUS__fullyQualifiedNamespace"],
            identity,
            connection_verify=str(azure.tls.ca_file),
        ) as client,
        client.get_queue_sender("alarms", keep_alive=0) as sender,
    ):
        await sender.send_messages(ServiceBusMessage(body, session_id=body))


async def test_a_user_assigned_identity_receives_what_its_role_allows(
    azure: LocalAzure,
) -> None:
    logs, body = Logs(), uuid4().hex
    azure.control.grant("relay-operations", ROLE, "operations/alarms")
    host = FunctionsHost(
        APPS / "bus",
        settings_of(azure),
        on_log=logs,
        ca_file=azure.tls.ca_file,
        time_scale=0.1,
    )
    try:
        async with host:
            await send(azure, body)
            await logs.until(
                lambda: [
                    record
                    for record in logs.records
                    if record.message == "done"
                    and body in [told["body"] for told in record.properties["messages"]]
                ]
            )
    finally:
        azure.control.revoke("relay-operations", ROLE, "operations/alarms")


async def test_a_connection_without_namespace_is_named(azure: LocalAzure) -> None:
    settings = settings_of(azure)
    del settings["BUS__fullyQualifiedNamespace"]

    with pytest.raises(AppFailed, match="serviceBusTrigger needs the app setting BUS__fully"):
        async with FunctionsHost(APPS / "bus", settings, on_log=Logs()):
            pass
