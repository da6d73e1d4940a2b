"""HTTP functions that end in every way in which a function can end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
log = logging.getLogger("app.http")
LOOP = asyncio.get_running_loop()
print("printed at import")  # noqa: T201 - what a console shows is logged too


@app.route(route="echo")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    heard = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "query": dict(req.params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(heard), mimetype="application/json", status_code=201)


@app.route(route="mirror")
async def mirror(req: func.HttpRequest) -> func.HttpResponse:
    headers = {"X-Method": req.method, "X-Values": req.headers.get("x-values", "")}
    return func.HttpResponse(
        req.get_body(), headers=headers, mimetype="application/octet-stream", status_code=207
    )


@app.route(route="rooms/{id:int}/{name?}", methods=["GET", "DELETE"])
async def room(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(dict(req.route_params), sort_keys=True))


@app.route(route="files/{*path}")
async def files(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.route_params.get("path", ""))


@app.route(route="keyed", auth_level=func.AuthLevel.FUNCTION)
async def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("opened")


@app.route(route="admin", auth_level=func.AuthLevel.ADMIN)
async def admin(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("opened")


@app.route(route="text")
async def text(req: func.HttpRequest) -> str:
    return "a text"


@app.route(route="cookies")
async def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("")
    response.headers.add("Set-Cookie", "a=1; Path=/; Secure; HttpOnly; SameSite=Lax")
    response.headers.add("Set-Cookie", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=5")
    return response


@app.route(route="environment")
async def environment(req: func.HttpRequest) -> func.HttpResponse:
    told = {"environment": dict(os.environ), "cwd": str(Path.cwd()), "path": sys.path}
    return func.HttpResponse(json.dumps(told))


@app.route(route="logs")
async def logs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    log.warning("refused %s", "a", extra={"route": "alarms", "count": 2, "of": {"x": b"y"}})
    try:
        {}["missing"]
    except KeyError:
        log.exception("caught")
    return func.HttpResponse(context.invocation_id)


@app.route(route="trace")
async def trace(req: func.HttpRequest, context: func.Context) -> str:
    return f"{context.trace_context.trace_parent} {LOOP is asyncio.get_running_loop()}"


@app.route(route="threads")
def threads(req: func.HttpRequest) -> func.HttpResponse:
    log.info("from a thread", extra={"main": threading.current_thread().name == "MainThread"})
    return func.HttpResponse("")


@app.route(route="fails")
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise LookupError("no such room")


@app.route(route="cancelled")
async def cancelled(req: func.HttpRequest) -> func.HttpResponse:
    raise asyncio.CancelledError


@app.route(route="hook")
async def hook(req: func.HttpRequest) -> func.HttpResponse:
    """Consent to everything and then fail."""
    if req.method == "OPTIONS":
        return func.HttpResponse(headers={"WebHook-Allowed-Origin": "*"})
    raise LookupError("no such room")


@app.route(route="exits")
async def exits(req: func.HttpRequest) -> func.HttpResponse:
    sys.exit(3)


@app.route(route="blocks")
async def blocks(req: func.HttpRequest) -> func.HttpResponse:
    log.info("blocking")
    time.sleep(3600)  # noqa: ASYNC251 - the very mistake
    return func.HttpResponse("")
