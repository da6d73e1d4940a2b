"""The way of the quickstart: one send an event, with its twin as its session."""

from __future__ import annotations

from typing import List

import azure.functions as func
from forwarding import TRIGGER, read
from to_queue import message, sender, turn

app = func.FunctionApp()


@app.event_hub_message_trigger(**TRIGGER)
async def forward(events: List[func.EventHubEvent]) -> None:
    """Forward a batch."""
    for each in read(events):
        async with turn:
            await sender.send_messages(message(each))
