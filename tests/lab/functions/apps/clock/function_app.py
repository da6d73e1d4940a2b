"""An app that tells the time, by every clock."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="clocks")
async def clocks(req: func.HttpRequest) -> func.HttpResponse:
    told = {
        "time": time.time(),
        "datetime": datetime.now(UTC).timestamp(),
        "monotonic": time.monotonic(),
        "loop": asyncio.get_running_loop().time(),
    }
    return func.HttpResponse(json.dumps(told))
