"""Opens what the relay uses and lets go again: links without a message, a blob for a moment.

By the SDKs that the relay itself uses, without their retries, so that what they raise is what
the service said.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from azure.eventhub import TransportType as HubTransport
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.servicebus import TransportType as BusTransport
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError
from azure.storage.blob.aio import ContainerClient, LinearRetry

from relay.causes import Cause, Service
from relay.needs import Act
from relay.operations.evidence import cause_of
from relay.routing import Kind
from relay.sdk_errors import condition_of
from relay.settings import Transport

if TYPE_CHECKING:
    from relay.identity import Identity
    from relay.needs import Need

SECONDS: Final = 10.0
MARKERS: Final = "_doctor/"
"""Where the doctor's own blobs are for a moment; no route may be called so."""

_HUB_TRANSPORT: Final = {
    Transport.AMQP: HubTransport.Amqp,
    Transport.WEB_SOCKETS: HubTransport.AmqpOverWebsocket,
}
_BUS_TRANSPORT: Final = {
    Transport.AMQP: BusTransport.Amqp,
    Transport.WEB_SOCKETS: BusTransport.AmqpOverWebsocket,
}


async def open_link(need: Need, identity: Identity, ca_file: str | None) -> str:
    """Open the link that a need asks for and close it again; say what was seen.

    Raises:
        Exception: whatever the SDK raises: the service's own words.
    """
    async with asyncio.timeout(SECONDS):
        if need.service is Service.SERVICE_BUS:
            return await _open_at_bus(need, identity, ca_file)
        if need.act is Act.SEND:
            return await _send_to_hub(need, identity, ca_file)
        return await _listen_to_hub(need, identity, ca_file)


async def _send_to_hub(need: Need, identity: Identity, ca_file: str | None) -> str:
    client = EventHubProducerClient(
        need.host,
        need.entity,
        identity,
        transport_type=_HUB_TRANSPORT[need.transport],
        connection_verify=ca_file,
        retry_total=0,
        retry_backoff_factor=0,
    )
    async with client:
        await client.create_batch()  # opens the link, to learn how much it takes
    return "a sender's link was opened; nothing was sent"


async def _listen_to_hub(need: Need, identity: Identity, ca_file: str | None) -> str:
    """Open a receiver's link to one partition, and read nothing.

    The SDK has no public way to do only this, and `receive` of its asynchronous client stays
    silent where the consumer group is missing or the hub disabled; so its own consumer is asked
    to open. It has no owner level: with one it would take the partition from the Functions
    host. Where the host holds it, the service refuses a second reader, after the role was
    looked at.
    """
    client = EventHubConsumerClient(
        need.host,
        need.entity,
        need.group,
        identity,
        transport_type=_HUB_TRANSPORT[need.transport],
        connection_verify=ca_file,
        retry_total=0,
        retry_backoff_factor=0,
    )
    async with client:
        consumer = client._create_consumer(need.group, "0", "@latest", _ignore, prefetch=1)  # noqa: SLF001 - see above
        try:
            await consumer._open()  # noqa: SLF001 - see above
        except Exception as error:
            if condition_of(error).endswith("stolen"):
                return "the Functions host holds the partition, which shows that it is let in"
            raise await consumer._handle_exception(error) from error  # noqa: SLF001 - as `receive` would have it
        finally:
            await consumer.close()
    return "a receiver's link was opened; nothing was read"


async def _ignore(*_: object) -> None:
    """Take an event that comes before the link is closed again; none is marked as read."""


async def _open_at_bus(need: Need, identity: Identity, ca_file: str | None) -> str:
    client = ServiceBusClient(
        need.host,
        identity,
        transport_type=_BUS_TRANSPORT[need.transport],
        connection_verify=ca_file,
        retry_total=0,
        retry_backoff_factor=0,
    )
    async with client:
        if need.act is Act.SEND:
            sender = client.get_queue_sender(need.entity)
            if need.kind is Kind.TOPIC:
                sender = client.get_topic_sender(need.entity)
            async with sender:
                return "a sender's link was opened; nothing was sent"
        receiver = (
            client.get_subscription_receiver(need.entity, need.group)
            if need.kind is Kind.TOPIC
            else client.get_queue_receiver(need.entity)
        )
        try:
            async with receiver:
                return "a receiver's link was opened; nothing was received"
        except ServiceBusError as error:
            if cause_of(Service.SERVICE_BUS, error) is not Cause.NOT_ALLOWED:
                raise
            return "it demands sessions; the role was looked at first"


async def put_marker(need: Need, identity: Identity, ca_file: str | None) -> str:
    """Create a blob of the doctor's own and delete it.

    Raises:
        Exception: whatever the SDK raises.
    """
    name = f"{MARKERS}{uuid4()}"
    client = ContainerClient(
        need.address,
        need.entity,
        credential=identity,
        retry_policy=LinearRetry(backoff=0, retry_total=0, random_jitter_range=0),
        connection_timeout=5,
        read_timeout=5,
        connection_verify=ca_file or True,
    )
    async with asyncio.timeout(SECONDS), client:
        await client.upload_blob(name, b"Twin Relay's doctor was here.")
        await client.delete_blob(name)
    return f"the blob {name} was created and deleted"
