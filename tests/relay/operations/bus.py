"""A sender and a browser of Service Bus, beside the prober's own."""

from __future__ import annotations

from collections.abc import Sequence

from azure.core.credentials_async import AsyncTokenCredential
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient

from relay.event import Event
from relay.sinks.service_bus import message


async def put(
    address: str,
    entity: str,
    events: Sequence[Event],
    credential: AsyncTokenCredential,
    ca_file: str,
    *,
    topic: bool,
) -> None:
    """Send events one by one."""
    async with ServiceBusClient(address, credential, connection_verify=ca_file) as client:
        sender = client.get_topic_sender(entity) if topic else client.get_queue_sender(entity)
        async with sender:
            for event in events:
                await sender.send_messages(message(event, session=False))


async def browse(
    address: str, entity: str, reader: str, credential: AsyncTokenCredential, ca_file: str
) -> list[ServiceBusReceivedMessage]:
    """Return what a queue or subscription holds."""
    async with ServiceBusClient(address, credential, connection_verify=ca_file) as client:
        receiver = (
            client.get_subscription_receiver(entity, reader)
            if reader
            else client.get_queue_receiver(entity)
        )
        async with receiver:
            return await receiver.peek_messages(100, sequence_number=1)
