"""The way of the quickstart: one send an event, with its twin as its session."""

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
    for each in read(events):
        async with turn:
            await sender.send_messages(message(each))
