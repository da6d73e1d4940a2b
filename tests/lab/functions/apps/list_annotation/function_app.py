"""What everybody would write, and what the library refuses."""

from __future__ import annotations

import azure.functions as func

app = func.FunctionApp()


@app.event_hub_message_trigger("events", event_hub_name="h", connection="C", cardinality="many")
async def eh(events: list[func.EventHubEvent]) -> None:
    pass


@app.route(route="innocent")
async def innocent(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("")
