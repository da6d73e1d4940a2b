"""The buffered producer of the SDK, which makes its own batches; flushed before it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

import azure.functions as func
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.identity.aio import ManagedIdentityCredential
from forwarding import ENTITY, HOST, OPTIONS, TRIGGER, read

if TYPE_CHECKING:
    from collections.abc import Sequence

app = func.FunctionApp()
failed: list[Exception] = []


async def on_success(_events: Sequence[EventData], _partition: str | None) -> None:
    """Be content."""


async def on_error(
    _events: Sequence[EventData], _partition: str | None, error: Exception
) -> None:
    """Remember it for whoever flushes next."""
    failed.append(error)


producer = EventHubProducerClient(
    HOST,
    ENTITY,
    ManagedIdentityCredential(),
    buffered_mode=True,
    on_success=on_success,
    on_error=on_error,
    **OPTIONS,
)


@app.event_hub_message_trigger(**TRIGGER)
async def forward(events: List[func.EventHubEvent]) -> None:
    """Forward a batch."""
    for each in read(events):
        event = EventData(each.body)
        event.properties = each.properties
        await producer.send_event(event, partition_key=each.twin)
    await producer.flush()
    if failed:
        raise failed.pop()
