"""Batches of the SDK: what was handed over, of whichever sessions."""

from __future__ import annotations

import asyncio
import os
from typing import List

import azure.functions as func
from azure.identity.aio import ManagedIdentityCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from forwarding import ENTITY, HOST, OPTIONS, TRIGGER, Incoming, read

app = func.FunctionApp()
client = ServiceBusClient(HOST, ManagedIdentityCredential(), **OPTIONS)
sender = client.get_queue_sender(ENTITY)
turn = asyncio.Lock()  # a sender takes one call at a time
session = bool(os.environ.get("SESSION"))


def message(each: Incoming) -> ServiceBusMessage:
    """Return the message of an event; its session is its twin."""
    return ServiceBusMessage(
        each.body,
        application_properties=each.properties,
        session_id=each.twin if session else None,
    )


@app.event_hub_message_trigger(**TRIGGER)
async def forward(events: List[func.EventHubEvent]) -> None:
    """Forward a batch."""
    async with turn:
        batch = await sender.create_message_batch()
        for each in read(events):
            try:
                batch.add_message(message(each))
            except ValueError:
                await sender.send_messages(batch)
                batch = await sender.create_message_batch()
                batch.add_message(message(each))
        await sender.send_messages(batch)
