"""Batches of the SDK by partition key: one for each twin of what was handed over."""

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
    twins: dict[str, list[EventData]] = {}
    for each in read(events):
        event = EventData(each.body)
        event.properties = each.properties
        twins.setdefault(each.twin, []).append(event)
    for twin, its in twins.items():
        await producer.send_batch(its, partition_key=twin)
