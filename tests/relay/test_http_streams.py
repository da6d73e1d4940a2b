"""Bodies that flow: the whole app in the real worker, turned over to HTTP v2 by a setting."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from yarl import URL

from lab.functions_host import AppFailed, FunctionsHost
from lab.misbehaviour import HttpFault
from relay.http_streams import IDLE, PACKAGE, TRIED, function, problem_of
from relay.operations.answers import PROBLEM, Answer, Flow
from relay.operations.twins_proxy import RETURNED, SENT
from tests.lab.functions.hosting import Logs, MemorySource
from tests.relay.operations.twins_world import VERSION, World, a_world
from tests.test_function_app import example_settings
from tests.virtual_time import in_virtual_time

APP = Path(__file__).parents[2]
PAGE = "http://127.0.0.1:1"
MODELS = f"/api/twins/models?{VERSION}"
TWIN = f"/api/twins/digitaltwins/pump-17?{VERSION}"
QUERY = f"/api/twins/query?{VERSION}"
MEGABYTE = b"x" * (1 << 20)
on_the_stage = pytest.mark.asyncio(loop_scope="module")
TWINS = {"TWINS_URL": "https://plant.api.weu.digitaltwins.azure.net", "TWINS_ORIGINS": PAGE}


@dataclass
class Stage:
    """The app behind a server, and who asks it."""

    world: World
    host: FunctionsHost
    logs: Logs
    url: str
    session: aiohttp.ClientSession

    def ask(self, path: str, method: str = "GET", who: str = "owner", **more: Any) -> Any:
        headers = {"Origin": PAGE, "Authorization": f"Bearer {self.world.token(who)}"}
        headers |= more.pop("headers", {})
        return self.session.request(method, self.url + path, headers=headers, **more)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as running:
        world = await running.enter_async_context(a_world(tmp_path_factory.mktemp("twins")))
        settings = {
            "TWINS_PROXY_STREAMS": "true",
            "TWINS_URL": world.plane.url,
            "TWINS_ORIGINS": PAGE,
            "RELAY_CA_FILE": world.ca_file,
        }
        logs = Logs()
        host = FunctionsHost(
            APP,
            example_settings() | settings,
            on_log=logs,
            sources=lambda *_: MemorySource({}),
        )
        await running.enter_async_context(host)
        session = await running.enter_async_context(
            aiohttp.ClientSession(auto_decompress=False)
        )
        yield Stage(world, host, logs, await host.listen(), session)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(one_stage: Stage) -> Stage:
    """The one stage, as it was at first."""
    one_stage.world.reset()
    return one_stage


@on_the_stage
async def test_an_answer_is_here_before_its_end_is_sent(stage: Stage) -> None:
    arrived = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield b'{"value": ['
        await arrived.wait()
        yield b"]}"

    stage.world.plane.flow = slow
    async with stage.ask(MODELS) as answer:
        first = await answer.content.readany()
        arrived.set()
        rest = await answer.read()

    assert (answer.status, first, rest) == (200, b'{"value": [', b"]}")


@on_the_stage
async def test_a_body_is_there_before_its_end_is_sent(stage: Stage) -> None:
    """Chunked, since its length is not known; the other model takes no such body."""
    heard: list[bytes] = []
    arrived = asyncio.Event()

    def hear(piece: bytes) -> None:
        heard.append(piece)
        arrived.set()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"query": '
        await asyncio.wait_for(arrived.wait(), 20)
        yield b'"SELECT"}'

    stage.world.plane.heard = hear
    async with stage.ask(QUERY, "POST", data=slow()) as answer:
        assert (answer.status, answer.headers["query-charge"]) == (200, "2.75")
    assert heard == [b'{"query": ', b'"SELECT"}']
    assert stage.world.plane.seen[-1]["transfer-encoding"] == "chunked"


@on_the_stage
async def test_a_body_of_known_length_keeps_it(stage: Stage) -> None:
    async with stage.ask(QUERY, "POST", data=b"{}") as answer:
        assert answer.status == 200
    assert stage.world.plane.seen[-1]["content-length"] == "2"
    assert "transfer-encoding" not in stage.world.plane.seen[-1]


@on_the_stage
async def test_bodies_larger_than_all_memory_that_they_may_take_pass(stage: Stage) -> None:
    """64 MiB each way; the worker keeps a few pieces of them at a time."""
    heard = 0

    def hear(piece: bytes) -> None:
        nonlocal heard
        heard += len(piece)

    async def long() -> AsyncGenerator[bytes]:
        for _ in range(64):
            yield MEGABYTE

    async with stage.ask(TWIN) as answer:
        await answer.read()
    before = peak(stage.host)
    stage.world.plane.flow, stage.world.plane.heard = long, hear
    async with stage.ask(MODELS) as answer:
        came = sum([len(piece) async for piece in answer.content.iter_any()])
    async with stage.ask(QUERY, "POST", data=long()) as answer:
        assert answer.status == 200

    assert came == heard == 64 * len(MEGABYTE)
    assert peak(stage.host) - before < 16 * 1024


def peak(host: FunctionsHost) -> int:
    """The most memory that the worker ever had, in KiB."""
    status = Path(f"/proc/{host.worker_pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "1000"}], ids=["chunked", "sized"])
@on_the_stage
async def test_an_answer_that_breaks_off_is_not_ended(
    stage: Stage, headers: dict[str, str]
) -> None:
    async def half() -> AsyncGenerator[bytes]:
        yield b'{"value": ['
        raise OSError

    stage.world.plane.flow, stage.world.plane.flow_headers = half, headers
    stage.logs.records.clear()
    async with stage.ask(MODELS) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()

    await stage.logs.until(lambda: [r for r in stage.logs.records if "midway" in str(r)])


@on_the_stage
async def test_who_goes_while_he_is_answered_is_answered_no_longer(stage: Stage) -> None:
    let_go = asyncio.Event()

    async def without_end() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield MEGABYTE
        finally:
            let_go.set()

    stage.world.plane.flow = without_end
    async with stage.ask(MODELS) as answer:
        await answer.content.readany()
        answer.close()
    await asyncio.wait_for(let_go.wait(), 20)


@on_the_stage
async def test_who_goes_before_he_is_answered_is_asked_for_no_longer(stage: Stage) -> None:
    """The stand-in ends a request whose connection is closed, and only then."""
    stage.world.plane.faults.fault = HttpFault(silent=True)
    stage.world.plane.faults.felt.clear()
    asking = asyncio.create_task(stage.ask(TWIN).__aenter__())
    await asyncio.wait_for(stage.world.plane.faults.felt.wait(), 20)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.wait_for(stage.world.plane.left.wait(), 20)


@on_the_stage
async def test_who_goes_while_he_sends_has_sent_half_and_no_more(stage: Stage) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()
    stage.world.plane.heard = lambda _: arrived.set()

    async def half() -> AsyncIterator[bytes]:
        yield b"x" * 10
        await left.wait()

    asking = asyncio.create_task(stage.ask(QUERY, "POST", data=half()).__aenter__())
    await asyncio.wait_for(arrived.wait(), 20)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.wait_for(stage.world.plane.left.wait(), 20)


@on_the_stage
async def test_an_encoding_is_between_the_page_and_the_instance(stage: Stage) -> None:
    packed = gzip.compress(b'{"value": []}')

    async def one() -> AsyncGenerator[bytes]:
        yield packed

    stage.world.plane.flow = one
    stage.world.plane.flow_headers = {
        "Content-Encoding": "gzip",
        "Content-Length": str(len(packed)),
    }
    async with stage.ask(MODELS, headers={"Accept-Encoding": "gzip"}) as answer:
        assert (await answer.read(), answer.headers["Content-Encoding"]) == (packed, "gzip")
        assert answer.headers["Content-Length"] == str(len(packed))
    assert stage.world.plane.seen[-1]["accept-encoding"] == "gzip"


@on_the_stage
async def test_headers_that_are_not_documented_pass_in_neither_direction(stage: Stage) -> None:
    stage.world.plane.surplus = {"Set-Cookie": "a=b", "Access-Control-Allow-Origin": "*"}
    async with stage.ask(TWIN, headers={"Cookie": "a=b", "X-Evil": "1"}) as answer:
        await answer.read()

    own = {"host", "accept-encoding", "content-length"}
    assert stage.world.plane.seen[-1].keys() <= {*SENT, *own}
    assert answer.headers.getall("Access-Control-Allow-Origin") == [PAGE]
    assert {name.lower() for name in answer.headers} <= {
        *RETURNED,
        *("access-control-allow-origin", "access-control-expose-headers"),
        *("cache-control", "content-length", "date", "server", "vary"),
    }


@on_the_stage
async def test_a_403_comes_with_its_causes(stage: Stage) -> None:
    async with stage.ask(TWIN, who="stranger") as answer:
        told = json.loads(await answer.read())

    assert (answer.status, answer.headers["Content-Type"]) == (403, PROBLEM)
    assert "Azure Digital Twins Data Reader" in told["causes"][0]["cause"]
    assert told["error"]["code"] == "AuthorizationFailed"


@on_the_stage
async def test_answers_without_a_body_have_none(stage: Stage) -> None:
    async with stage.ask(TWIN) as read:
        etag = read.headers["ETag"]
    async with stage.ask(TWIN, headers={"If-None-Match": etag}) as unchanged:
        nothing = await unchanged.read()
    async with stage.ask(TWIN, "DELETE") as deleted:
        nothing += await deleted.read()
    async with stage.ask(TWIN, "HEAD") as head:
        nothing += await head.read()

    assert (unchanged.status, deleted.status, head.status) == (304, 204, 405)
    assert nothing == b""


@on_the_stage
async def test_a_preflight_is_answered_here(stage: Stage) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "PATCH"}
    async with stage.session.options(stage.url + TWIN, headers=asked) as answer:
        assert (answer.status, await answer.read()) == (204, b"")
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert stage.world.plane.seen == []


@pytest.mark.parametrize(
    ("path", "status", "paths"),
    [
        ("digitaltwins/%2e%2e/models", 400, []),
        ("digitaltwins/..%2fmodels", 400, []),
        ("digitaltwins/a%2Fb%20c", 404, [f"/digitaltwins/a%2Fb%20c?{VERSION}"]),
    ],
)
@on_the_stage
async def test_a_path_is_judged_and_passed_as_it_was_written(
    stage: Stage, path: str, status: int, paths: list[str]
) -> None:
    """The server reads `%2e` as a dot; the instance might not have, or might do it again."""
    url = URL(f"{stage.url}/api/twins/{path}?{VERSION}", encoded=True)
    headers = {"Origin": PAGE, "Authorization": f"Bearer {stage.world.token('owner')}"}
    async with stage.session.get(url, headers=headers) as answer:
        assert answer.status == status
    assert stage.world.plane.paths == paths


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "a%0Ab", 403),
        ("GET", "a%00%ff%0D%0A", 403),
        ("GET", "a" * 7000, 403),
        ("QUERY", "models", 404),
        ("PROPFIND", "models", 404),
    ],
)
@on_the_stage
async def test_the_server_answers_nothing_by_itself(
    stage: Stage, method: str, path: str, status: int
) -> None:
    """What it did would leave an invocation waiting, until the host ended the worker.

    403 is the proxy's word, to who names no origin; 404 the host's, where no function is meant.
    """
    url = URL(f"{stage.url}/api/twins/{path}", encoded=True)
    async with stage.session.request(method, url) as answer:
        assert answer.status == status


@on_the_stage
async def test_a_key_in_a_query_is_in_no_log(stage: Stage) -> None:
    async with stage.ask(f"{TWIN}&code=unmistakable") as answer:
        assert answer.status == 200

    assert not [
        r for r in stage.logs.records if "unmistakable" in f"{r.message} {r.properties}"
    ]


@on_the_stage
async def test_who_is_refused_while_he_sends_hears_of_it(stage: Stage) -> None:
    """The instance answers what it has read the headers of, and takes no more."""
    let_go = asyncio.Event()

    async def without_end() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
        finally:
            let_go.set()

    forged = {"Authorization": "Bearer forged"}
    async with stage.ask(QUERY, "POST", headers=forged, data=without_end()) as answer:
        assert answer.status == 401
        assert json.loads(await answer.read())["error"]["code"] == "Unauthenticated"
    await asyncio.wait_for(let_go.wait(), 20)


# Who neither goes nor goes on


def a_request(*messages: dict[str, object], **headers: str) -> Request:
    """What the server makes of a request of which no more comes."""
    coming = iter(messages)

    async def receive() -> Any:
        return next(coming, None) or await asyncio.Event().wait()

    found = [
        (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
    ]
    scope = {"type": "http", "method": "POST", "raw_path": b"/x", "query_string": b""}
    return Request(scope | {"headers": found}, receive)


async def respond(response: Any, send: Any = None) -> list[Any]:
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    await response({"type": "http"}, None, send or keep)
    return sent


PART = {"type": "http.request", "body": b"half", "more_body": True}


@pytest.mark.parametrize("largest", [100, None], ids=["read first", "as it comes"])
@in_virtual_time
async def test_a_body_of_which_no_more_comes_is_given_up(largest: int | None) -> None:
    heard: list[bytes] = []

    async def handle(caller: Any) -> Answer:
        heard.extend([piece async for piece in caller.pieces()])
        raise AssertionError("the body ended")

    request = a_request(PART, transfer_encoding="chunked")
    async with asyncio.timeout(IDLE + 1):
        [start, *_] = await respond(await function(handle, largest)(request))

    assert start["status"] == 408


@in_virtual_time
async def test_who_takes_no_more_of_an_answer_is_given_up() -> None:
    closed: list[bool] = []

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async def handle(_: Any) -> Answer:
        return Flow(200, pieces=pieces(), close=lambda: closed.append(True))

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    response = await function(handle, None)(a_request())
    async with asyncio.timeout(IDLE + 1):
        await respond(response, send)

    assert closed == [True]


@in_virtual_time
async def test_an_answer_for_who_is_gone_already_is_let_go_of() -> None:
    closed: list[bool] = []

    async def nothing() -> AsyncIterator[bytes]:
        for piece in ():
            yield piece

    async def handle(_: Any) -> Answer:
        return Flow(200, pieces=nothing(), close=lambda: closed.append(True))

    response = await function(handle, None)(a_request({"type": "http.disconnect"}))
    await respond(response)

    assert closed == [True]


@in_virtual_time
async def test_an_answer_that_fails_by_our_fault_is_no_secret() -> None:
    closed: list[bool] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise RuntimeError("a fault of ours")

    async def handle(_: Any) -> Answer:
        return Flow(200, pieces=pieces(), close=lambda: closed.append(True))

    response = await function(handle, None)(a_request())
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await respond(response)

    assert closed == [True]


@given(
    st.lists(st.binary(max_size=9), max_size=9),
    st.integers(0, 30),
)
def test_of_a_body_no_more_is_read_than_tells_that_it_is_too_large(
    pieces: list[bytes], largest: int
) -> None:
    got: list[bytes] = []
    messages = [{"type": "http.request", "body": p, "more_body": True} for p in pieces]

    async def handle(caller: Any) -> Answer:
        got.append(caller.get_body())
        return Answer(200)

    request = a_request(*messages, {"type": "http.request"}, transfer_encoding="chunked")
    asyncio.run(function(handle, largest)(request))

    assert got == [b"".join(pieces)[: largest + 1]]


# Without the setting, and with a package that is not the right one


@pytest.mark.parametrize("switch", ["false", "true"])
def test_the_package_is_imported_where_it_is_switched_on_alone(switch: str) -> None:
    settings = {**example_settings(), **TWINS, "TWINS_PROXY_STREAMS": switch}
    code = (
        "import sys; from relay.app import from_environment;"
        "from relay.triggers import blueprint;"
        f"blueprint(from_environment({settings!r}));"
        "print({'fastapi', 'uvicorn', 'azurefunctions.extensions.base'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=APP
    )

    assert ("fastapi" in done.stdout) == (switch == "true"), done.stdout


APP_OF_SOMEBODY = """
import azure.functions as func
{imports}
from relay.app import from_environment
from relay.triggers import blueprint

app = func.FunctionApp()
app.register_functions(blueprint(from_environment()))

@app.route(route="mine", auth_level=func.AuthLevel.ANONYMOUS)
async def mine(req: {request}) -> {response}:
    return {response}("mine")
"""
V1 = {"imports": "", "request": "func.HttpRequest", "response": "func.HttpResponse"}
V2 = {
    "imports": "from azurefunctions.extensions.http.fastapi import Request, Response",
    "request": "Request",
    "response": "Response",
}


@asynccontextmanager
async def an_app_of_somebody(
    directory: Path, written: dict[str, str], switch: str
) -> AsyncIterator[str]:
    (directory / "function_app.py").write_text(APP_OF_SOMEBODY.format(**written))
    (directory / "host.json").write_text("{}")
    (directory / "relay").symlink_to(APP / "relay")
    settings = example_settings() | TWINS | {"TWINS_PROXY_STREAMS": switch}
    host = FunctionsHost(
        directory, settings, on_log=Logs(), sources=lambda *_: MemorySource({})
    )
    async with host:
        yield await host.listen()


@pytest.mark.parametrize(("written", "switch"), [(V1, "false"), (V2, "true")])
async def test_functions_of_the_same_model_stand_beside_the_relays(
    tmp_path: Path, written: dict[str, str], switch: str
) -> None:
    async with (
        an_app_of_somebody(tmp_path, written, switch) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/api/mine") as answer,
    ):
        assert (answer.status, await answer.text()) == (200, "mine")


async def test_a_function_of_the_other_model_stops_the_start_by_name(tmp_path: Path) -> None:
    with pytest.raises(AppFailed, match="mine") as caught:
        async with an_app_of_somebody(tmp_path, V1, "true"):
            pass

    assert "FunctionLoadError" in f"{caught.value} {caught.value.__notes__}"


@pytest.mark.parametrize(
    ("version", "words"),
    [("", "is missing"), ("0.9.9", "version 0.9.9"), ("1.1.0", "1.1.0"), ("2.0.1", "2.0.1")],
)
def test_a_package_that_is_not_tried_is_refused_by_name(version: str, words: str) -> None:
    found = problem_of(version)

    assert found is not None
    assert found.setting == "TWINS_PROXY_STREAMS"
    assert words in found.what
    assert "azurefunctions-extensions-http-fastapi==1.0.1" in found.remedy


def test_the_package_that_is_tried_is_the_one_that_is_installed_here() -> None:
    assert problem_of(TRIED) is None
    assert metadata.version(PACKAGE) == TRIED
