"""Batches of the SDK: what was handed over, of whichever sessions."""

from __future__ import annotations

from typing import List

import azure.functions as func
from forwarding import TRIGGER, read
from to_queue import message, sender, turn

app = func.FunctionApp()


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
