"""The way of the quickstart: one send an event, with its twin as its partition key."""

from __future__ import annotations

from typing import List

import azure.functions as func
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.identity.aio import ManagedIdentityCredential
from forwarding import ENTITY, HOST, OPTIONS, TRIGGER, read

app = func.FunctionApp()
producer = EventHubProducerClient(HOST, ENTITY, ManagedIdentityCredential(), **OPTIONS)


@app.event_hub_message_trigger(**TRIGGER)
async def forward(events: List[func.EventHubEvent]) -> None:
    """Forward a batch."""
    for each in read(events):
        event = EventData(each.body)
        event.properties = each.properties
        await producer.send_event(event, partition_key=each.twin)
