"""A real HTTP listener in front of the HTTP trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

from lab.functions.http_forwarding import Forwarding
from lab.functions.messages import HttpResponse
from lab.serving import HttpServer

if TYPE_CHECKING:
    import ssl

    from lab.functions.http_trigger import HttpTrigger

LARGEST_BODY: Final = 100 * 1024 * 1024
"""The platform's own limit, in bytes (FUNCTIONS_REQUEST_BODY_SIZE_LIMIT)."""


def listener(
    trigger: HttpTrigger,
    address: str,
    port: int,
    tls: ssl.SSLContext | None = None,
    largest_body: int = LARGEST_BODY,
) -> HttpServer:
    """Return a server, not yet started, whose requests the trigger answers."""
    forwarding = Forwarding(trigger.host)

    async def answer(request: web.Request) -> web.StreamResponse:
        worker = await trigger.host.http_address()
        if worker and not trigger.is_webhook(request.raw_path):
            found = trigger.find(request.method, request.raw_path, request.headers)
            if not isinstance(found, HttpResponse):
                return await forwarding.answer(request, *found, worker)
        headers = {name: ",".join(request.headers.getall(name)) for name in request.headers}
        answered = await trigger.answer(
            request.method, request.raw_path, headers, await request.read(), request.scheme
        )
        return web.Response(
            status=answered.status, headers=CIMultiDict(answered.headers), body=answered.body
        )

    app = web.Application(client_max_size=largest_body)
    app.router.add_route("*", "/{path:(?s:.*)}", answer)
    return HttpServer("the functions' HTTP listener", app, address=address, port=port, tls=tls)
