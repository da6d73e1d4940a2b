"""A function that never answers, in an app that gives it a second."""

from __future__ import annotations

import asyncio

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="cancelled")
async def cancelled(req: func.HttpRequest) -> func.HttpResponse:
    raise asyncio.CancelledError


@app.route(route="fine")
async def fine(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("fine")
