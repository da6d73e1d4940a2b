"""The proxy in the real worker, used from pages in a real browser, which alone applies CORS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from lab.functions_host import FunctionsHost
from lab.serving import HttpServer
from tests.browser import a_browser
from tests.lab.functions.hosting import Logs, MemorySource
from tests.relay.operations.twins_world import VERSION, World, a_world
from tests.test_function_app import example_settings

APP = Path(__file__).parents[3]

# One browser for all of them, hence one event loop and one process.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]

FETCH = """async ([url, options]) => {
    try {
        const reply = await fetch(url, options);
        const headers = Object.fromEntries(reply.headers);
        return {status: reply.status, headers, body: await reply.text()};
    } catch (error) {
        return {failed: error.message};
    }
}"""

FIRST_PIECE = """async ([url, options]) => {
    const stop = new AbortController();
    const reply = await fetch(url, {...options, signal: stop.signal});
    const {value} = await reply.body.getReader().read();
    stop.abort();
    return {status: reply.status, body: new TextDecoder().decode(value).slice(0, 10)};
}"""


@dataclass
class Stage:
    """The proxy behind a server, a page whose origin it allows, and one whose it does not."""

    world: World
    url: str
    browser: Browser
    friend: Page
    stranger: Page
    flows: bool = False

    async def fetch(
        self, page: Page, path: str, method: str = "GET", who: str = "owner", **more: Any
    ) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self.world.token(who)}",
            **more.pop("headers", {}),
        }
        options = {"method": method, "headers": headers, **more}
        found: dict[str, Any] = await page.evaluate(FETCH, [self.url + path, options])
        return found


def a_site() -> web.Application:
    async def page(_: web.Request) -> web.Response:
        return web.Response(
            text="<!doctype html><title>twins</title>", content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/", page)
    return app


async def a_stage(directory: Path, running: AsyncExitStack, *, flows: bool) -> Stage:
    """The app in the real worker, two sites, and a browser with a page of each."""
    world = await running.enter_async_context(a_world(directory))
    sites = [HttpServer("a site", a_site()), HttpServer("another site", a_site())]
    for site in sites:
        await site.start()
        running.push_async_callback(site.stop)
    settings = {
        "TWINS_URL": world.plane.url,
        "TWINS_ORIGINS": sites[0].url,
        "RELAY_CA_FILE": world.ca_file,
        "TWINS_PROXY_STREAMS": str(flows).lower(),
    }
    host = FunctionsHost(
        APP,
        example_settings() | settings,
        on_log=Logs(),
        sources=lambda *_: MemorySource({}),
    )
    await running.enter_async_context(host)
    browser = await running.enter_async_context(a_browser())
    context = await browser.new_context()
    pages = [await context.new_page() for _ in sites]
    for page, site in zip(pages, sites, strict=True):
        await page.goto(site.url)
    return Stage(world, await host.listen(), browser, *pages, flows=flows)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[False, True], ids=["whole", "flowing"]
)
async def one_stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    """With bodies that are whole, and with bodies that flow."""
    async with AsyncExitStack() as running:
        yield await a_stage(tmp_path_factory.mktemp("twins"), running, flows=request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(one_stage: Stage) -> Stage:
    """The one stage, as it was at first."""
    one_stage.world.reset()
    return one_stage


MODELS = f"/api/twins/models?{VERSION}"
TWIN = f"/api/twins/digitaltwins/pump-17?{VERSION}"


async def test_a_page_reads_and_changes_a_twin(stage: Stage) -> None:
    read = await stage.fetch(stage.friend, TWIN)
    patched = await stage.fetch(
        stage.friend,
        TWIN,
        "PATCH",
        body='[{"op": "replace", "path": "/pressure", "value": 5}]',
        headers={
            "Content-Type": "application/json-patch+json",
            "If-Match": read["headers"]["etag"],
        },
    )

    assert (read["status"], patched["status"]) == (200, 204)
    assert '"pressure": 4' in read["body"]
    assert stage.world.plane.twins["pump-17"]["pressure"] == 5


async def test_a_page_reads_the_headers_of_a_query(stage: Stage) -> None:
    found = await stage.fetch(
        stage.friend,
        f"/api/twins/query?{VERSION}",
        "POST",
        body='{"query": "SELECT * FROM digitaltwins"}',
        headers={"Content-Type": "application/json", "max-items-per-page": "10"},
    )

    assert (found["status"], found["headers"]["query-charge"]) == (200, "2.75")
    assert stage.world.plane.seen[-1]["max-items-per-page"] == "10"


async def test_a_page_reads_why_it_was_refused(stage: Stage) -> None:
    found = await stage.fetch(stage.friend, TWIN, who="stranger")

    assert found["status"] == 403
    assert "Azure Digital Twins Data Reader" in found["body"]


async def test_a_page_reads_an_answer_of_many_megabytes_whole(stage: Stage) -> None:
    piece = bytes(range(32, 127)) * 1000

    async def long() -> AsyncGenerator[bytes]:
        for _ in range(100):
            yield piece

    stage.world.plane.flow = long
    found = await stage.fetch(stage.friend, MODELS)

    assert found["status"] == 200
    assert found["body"].encode() == piece * 100


async def test_an_answer_without_end_is_a_problem_or_flows_while_it_is_wanted(
    stage: Stage,
) -> None:
    let_go = asyncio.Event()

    async def without_end() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x" * (1 << 20)
        finally:
            let_go.set()

    stage.world.plane.flow = without_end
    if stage.flows:
        options = {"headers": {"Authorization": f"Bearer {stage.world.token('owner')}"}}
        found = await stage.friend.evaluate(FIRST_PIECE, [stage.url + MODELS, options])
    else:
        found = await stage.fetch(stage.friend, MODELS)
    await asyncio.wait_for(let_go.wait(), 10)

    assert found["status"] == (200 if stage.flows else 502)
    assert ("x" if stage.flows else "max-items-per-page") in found["body"]


async def test_a_page_of_another_origin_reads_nothing_and_its_request_goes_nowhere(
    stage: Stage,
) -> None:
    found = await stage.fetch(stage.stranger, TWIN)

    assert found == {"failed": "Failed to fetch"}
    assert stage.world.plane.seen == []


async def test_a_request_that_needs_no_preflight_goes_nowhere_either(stage: Stage) -> None:
    """A form's POST is sent without asking; only the answer would be withheld."""
    found: dict[str, Any] = await stage.stranger.evaluate(
        FETCH, [f"{stage.url}/api/twins/query?{VERSION}", {"method": "POST", "body": "x"}]
    )

    assert found == {"failed": "Failed to fetch"}
    assert stage.world.plane.seen == []


async def test_a_header_that_does_not_pass_stops_the_browser(stage: Stage) -> None:
    found = await stage.fetch(stage.friend, TWIN, headers={"x-adt-host": "evil.example"})

    assert found == {"failed": "Failed to fetch"}
    assert stage.world.plane.seen == []


async def test_no_cookie_goes_along(stage: Stage) -> None:
    found = await stage.fetch(stage.friend, TWIN, credentials="include")

    assert found == {"failed": "Failed to fetch"}


async def test_without_the_proxy_the_browser_lets_no_page_in(stage: Stage) -> None:
    """The data plane answers no preflight: this is what the proxy is for."""
    context = await stage.browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    await page.goto(stage.friend.url)
    found: dict[str, Any] = await page.evaluate(
        FETCH,
        [
            f"{stage.world.plane.url}/digitaltwins/pump-17?{VERSION}",
            {"headers": {"Authorization": f"Bearer {stage.world.token('owner')}"}},
        ],
    )

    await context.close()

    assert found == {"failed": "Failed to fetch"}
    assert [each.get("authorization") for each in stage.world.plane.seen] == [None]
