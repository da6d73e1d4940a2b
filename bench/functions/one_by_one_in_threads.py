"""One send an event by the synchronous client, in threads of the worker library."""

from __future__ import annotations

from typing import List

import azure.functions as func
from azure.eventhub import EventData, EventHubProducerClient
from azure.identity import ManagedIdentityCredential
from forwarding import ENTITY, HOST, OPTIONS, TRIGGER, read

app = func.FunctionApp()
producer = EventHubProducerClient(HOST, ENTITY, ManagedIdentityCredential(), **OPTIONS)


@app.event_hub_message_trigger(**TRIGGER)
def forward(events: List[func.EventHubEvent]) -> None:
    """Forward a batch."""
    for each in read(events):
        event = EventData(each.body)
        event.properties = each.properties
        producer.send_event(event, partition_key=each.twin)
