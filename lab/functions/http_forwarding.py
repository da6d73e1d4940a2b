"""HTTP as the host hands it on to a worker that serves it itself (*HTTP v2*).

The host sends the invocation with the route's parameters alone, and forwards the request to the
worker's own address; the header `x-ms-invocation-id` tells which belong together
(DefaultHttpProxyService in Azure/azure-functions-host). An answer that breaks off there breaks
off here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from lab.functions.failures import WorkerDied
from lab.functions.messages import Data, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.functions.http_routes import Route
    from lab.functions.trigger import Host

_OWN: Final = ("host", "connection", "keep-alive", "transfer-encoding", "upgrade", "te")
"""Headers of one connection only."""


class Forwarding:
    """Hands requests on, and answers back, piece by piece."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._invocations: set[asyncio.Task[None]] = set()

    async def answer(
        self, request: web.Request, route: Route, params: Mapping[str, str], worker: str
    ) -> web.StreamResponse:
        """Answer a request by the worker that serves at an address."""
        call_id = str(uuid4())
        task = asyncio.create_task(self._invoke(route, params, call_id))
        self._invocations.add(task)
        task.add_done_callback(self._invocations.discard)
        headers = _passing(request.headers)
        headers["x-ms-invocation-id"] = call_id
        async with (
            aiohttp.ClientSession(
                auto_decompress=False, timeout=aiohttp.ClientTimeout(), skip_auto_headers=_AUTO
            ) as session,
            session.request(
                request.method,
                URL(worker + request.raw_path, encoded=True),
                headers=headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            ) as reply,
        ):
            return await _passed(request, reply)

    async def _invoke(self, route: Route, params: Mapping[str, str], call_id: str) -> None:
        data = Data("http", HttpRequest("", "", {}, {}, params))
        try:
            await self._host.invoke(route.function, data, {}, call_id=call_id)
        except WorkerDied as error:
            self._host.log(logging.ERROR, f"{route.function.name}: {error}")


_AUTO: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


def _passing(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((n, value) for n, value in headers.items() if n.lower() not in _OWN)


async def _passed(request: web.Request, reply: aiohttp.ClientResponse) -> web.StreamResponse:
    answer = web.StreamResponse(status=reply.status, headers=_passing(reply.headers))
    await answer.prepare(request)
    try:
        async for piece in reply.content.iter_any():
            await answer.write(piece)
    except aiohttp.ClientError:
        if request.transport is not None:
            request.transport.abort()
        raise
    await answer.write_eof()
    return answer
