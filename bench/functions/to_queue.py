"""What the functions that send to a queue have in common, as a user would write it."""

from __future__ import annotations

import asyncio
import os

from azure.identity.aio import ManagedIdentityCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from forwarding import ENTITY, HOST, OPTIONS, Incoming

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
