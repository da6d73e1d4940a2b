"""A real HTTP listener in front of the HTTP trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

if TYPE_CHECKING:
    from lab.functions.http_trigger import HttpTrigger

_LARGEST_BODY: Final = 100 * 1024 * 1024  # the platform's own limit


class HttpListener:
    """Serves an app's HTTP functions on one address."""

    def __init__(self, trigger: HttpTrigger) -> None:
        self._trigger = trigger
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, address: str, port: int) -> str:
        """Listen and return the URL; port 0 takes a free one.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port, shutdown_timeout=1)
        await site.start()
        bound = self._runner.addresses[0][1]
        return f"http://{address}:{bound}"

    async def stop(self) -> None:
        """Close the listener and its connections."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name: ",".join(request.headers.getall(name)) for name in request.headers}
        answer = await self._trigger.answer(
            request.method, request.raw_path, headers, await request.read()
        )
        return web.Response(
            status=answer.status, headers=CIMultiDict(answer.headers), body=answer.body
        )
