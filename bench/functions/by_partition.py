"""Batches of the SDK by partition: what comes in by one goes out by the same."""

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
    partition = events[0].metadata["PartitionContext"]["PartitionId"]
    batch = await producer.create_batch(partition_id=partition)
    for each in read(events):
        event = EventData(each.body)
        event.properties = each.properties
        try:
            batch.add(event)
        except ValueError:
            await producer.send_batch(batch)
            batch = await producer.create_batch(partition_id=partition)
            batch.add(event)
    await producer.send_batch(batch)
