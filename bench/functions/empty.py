"""Takes a batch and does nothing: what the worker library costs by itself."""

from __future__ import annotations

from typing import List

import azure.functions as func
from forwarding import TRIGGER

app = func.FunctionApp()


@app.event_hub_message_trigger(**TRIGGER)
async def forward(events: List[func.EventHubEvent]) -> None:
    """Do nothing."""
