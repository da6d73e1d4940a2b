"""An app that checks its settings when it is imported."""

from __future__ import annotations

import os

import azure.functions as func

if "RELAY_ROUTES" not in os.environ:
    raise ValueError("RELAY_ROUTES is not set: name the routes, or set RELAY_ROUTES_FILE")

app = func.FunctionApp()


@app.route(route="ok")
async def ok(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("")
