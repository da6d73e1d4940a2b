"""Event Grid functions that say what they were given; an event's type says what to do."""

from __future__ import annotations

import json
import logging
import os
import signal

import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger("app.grid")


@app.event_grid_trigger(arg_name="event")
async def text(event: str, context: func.Context) -> None:
    log.info("text", extra={"event": event, "kind": type(event).__name__})
    kind = json.loads(event).get("type", "")
    if kind == "fail":
        raise ValueError("told to fail")
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)


@app.event_grid_trigger(arg_name="event")
async def cloud(event: func.CloudEvent) -> None:
    log.info(
        "cloud", extra={"class": type(event).__name__, "id": event.id, "time": str(event.time)}
    )


@app.event_grid_trigger(arg_name="event")
async def grid(event: func.EventGridEvent) -> None:
    extra = {"class": type(event).__name__, "id": event.id, "data": event.get_json()}
    log.info("grid", extra=extra)


@app.route(route="beside", auth_level=func.AuthLevel.ANONYMOUS)
async def beside(req: func.HttpRequest) -> str:
    return "beside"
