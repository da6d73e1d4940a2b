"""The surface does what its description says, whatever is asked: asked by schemathesis."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import schemathesis
import uvicorn
from aiohttp import web
from azurefunctions.extensions.http.fastapi import Request as FlowingRequest
from azurefunctions.extensions.http.fastapi import Response as FlowingResponse
from azurefunctions.extensions.http.fastapi import WebApp
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lab.serving import HttpServer
from relay import http_streams
from relay.dead_letters.lots import Mark
from relay.failures import Reason
from relay.operations.http_api import LARGEST_REQUEST, document
from relay.operations.letters import identifier
from tests.relay.operations.test_operating import Office
from tests.relay.operations.twins_world import Request

# The path is part of what is served; where is known only later.
MARKS = st.builds(Mark, st.text(max_size=20), st.integers(0, 99), st.integers(0, 9))
schemathesis.openapi.format("dead-letter-id", MARKS.map(identifier))
SCHEMA = schemathesis.openapi.from_dict(json.loads(document("/api/").body))


def serving(office: Office) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        url = f"http://{request.host}{request.raw_path}"
        answered = await office.api.answer(
            Request(request.method, url, headers, await request.read())
        )
        return web.Response(
            status=answered.status, headers=dict(answered.headers), body=answered.body
        )

    app = web.Application()
    app.router.add_route("*", "/{path:(?s:.*)}", answer)
    return app


class FlowingServer:
    """The same by the model whose bodies flow, on the server that the package brings."""

    def __init__(self, office: Office) -> None:
        app = WebApp()

        async def answer(request: FlowingRequest) -> FlowingResponse:
            return await http_streams.function(office.api.answer, LARGEST_REQUEST)(request)

        app.route(answer)
        # It listens from here on: whoever asks before the server runs waits for it.
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app.get_app(), log_config=None))
        self._running: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def start(self) -> None:
        self._running = asyncio.create_task(self._server.serve([self._socket]))

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._running is not None:
            await self._running


async def an_office() -> Office:
    office = Office()
    await office.desk.keep(1, 2, 3)
    await office.desk.keep(4, reason=Reason.TOO_LARGE)
    await office.desk.keep(5, route="loose", lane="twin-events/1")
    return office


def whole(office: Office) -> HttpServer:
    return HttpServer("the surface", serving(office))


@contextmanager
def a_server(model: Callable[[Office], HttpServer | FlowingServer]) -> Iterator[str]:
    """Serve beside the test: the tester waits for answers and lets no loop run meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait[T](coroutine: object) -> object:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)  # type: ignore[arg-type]

    async def start() -> HttpServer | FlowingServer:
        server = model(await an_office())
        await server.start()
        return server

    server = wait(start())
    assert isinstance(server, HttpServer | FlowingServer)
    try:
        yield server.url
    finally:
        wait(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def surface() -> Iterator[str]:
    with a_server(whole) as url:
        yield url


@pytest.fixture(scope="module")
def flowing_surface() -> Iterator[str]:
    with a_server(FlowingServer) as url:
        yield url


@SCHEMA.parametrize()
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_the_surface_is_as_it_is_described(surface: str, case: schemathesis.Case) -> None:
    case.call_and_validate(
        base_url=f"{surface}/api", headers={"Authorization": "Bearer operator"}
    )


@SCHEMA.parametrize()
@settings(
    max_examples=2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_the_surface_is_as_it_is_described_where_bodies_flow(
    flowing_surface: str, case: schemathesis.Case
) -> None:
    case.call_and_validate(
        base_url=f"{flowing_surface}/api", headers={"Authorization": "Bearer operator"}
    )


@pytest.mark.parametrize("who", ["reader", "stranger"])
@SCHEMA.parametrize()
@settings(
    max_examples=3,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_whoever_may_not_is_refused_as_it_is_described(
    surface: str, case: schemathesis.Case, who: str
) -> None:
    answer = case.call_and_validate(
        base_url=f"{surface}/api", headers={"Authorization": f"Bearer {who}"}
    )

    if who == "stranger" and case.operation.definition.raw.get("security") != []:
        assert answer.status_code in {401, 404, 405}  # the tester makes up paths and methods
