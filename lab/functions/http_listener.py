"""A real HTTP listener in front of the HTTP trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

from lab.serving import HttpServer

if TYPE_CHECKING:
    from lab.functions.http_trigger import HttpTrigger

_LARGEST_BODY: Final = 100 * 1024 * 1024
"""The platform's own limit, in bytes."""


def listener(trigger: HttpTrigger, address: str, port: int) -> HttpServer:
    """Return a server, not yet started, whose requests the trigger answers."""

    async def answer(request: web.Request) -> web.Response:
        headers = {name: ",".join(request.headers.getall(name)) for name in request.headers}
        answered = await trigger.answer(
            request.method, request.raw_path, headers, await request.read()
        )
        return web.Response(
            status=answered.status, headers=CIMultiDict(answered.headers), body=answered.body
        )

    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_route("*", "/{path:.*}", answer)
    return HttpServer("the functions' HTTP listener", app, address=address, port=port)
