"""HTTP functions in the real worker, and the pitfalls of their converters."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from lab.certificates import TlsFiles
from lab.functions_host import FunctionsHost
from tests.lab.functions.hosting import APPS, Logs, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[tuple[FunctionsHost, Logs]]:
    async with running("http", {"AN_APP_SETTING": "value"}) as pair:
        yield pair


@pytest.fixture
def host(pair: tuple[FunctionsHost, Logs]) -> FunctionsHost:
    return pair[0]


@pytest.fixture
def logs(pair: tuple[FunctionsHost, Logs]) -> Logs:
    return pair[1]


async def test_a_request_reaches_its_function_and_its_answer_comes_back(
    host: FunctionsHost,
) -> None:
    answer = await host.request("POST", "/api/echo?a=1&b=2", {"Host": "x.example"}, b"hello")
    heard = json.loads(answer.body)

    assert (answer.status, answer.header("Content-Type")) == (201, "application/json")
    assert heard == {
        "method": "POST",
        "url": "http://x.example/api/echo?a=1&b=2",
        "headers": {"host": "x.example", "content-length": "5"},
        "query": {"a": "1", "b": "2"},
        "body": "hello",
    }


async def test_header_names_arrive_in_lower_case(host: FunctionsHost) -> None:
    answer = await host.request("GET", "/api/echo", {"X-Client-Trace": "Ab"})

    assert json.loads(answer.body)["headers"] == {"x-client-trace": "Ab"}


async def test_a_query_value_that_is_empty_is_dropped(host: FunctionsHost) -> None:
    answer = await host.request("GET", "/api/echo?empty=&full=1")

    assert json.loads(answer.body)["query"] == {"full": "1"}


async def test_a_chunked_body_arrives_empty(host: FunctionsHost) -> None:
    answer = await host.request("POST", "/api/echo", {"Transfer-Encoding": "chunked"}, b"lost")

    assert json.loads(answer.body)["body"] == ""


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/api/rooms/21", 200, '{"id": "21"}'),
        ("GET", "/api/rooms/21/Z%C3%BCrich", 200, '{"id": "21", "name": "Z\\u00fcrich"}'),
        ("DELETE", "/API/Rooms/21", 200, '{"id": "21"}'),
        ("GET", "/api/rooms/upstairs", 404, ""),
        ("POST", "/api/rooms/21", 404, ""),
        ("GET", "/rooms/21", 404, ""),
        ("GET", "/api/files/a/b.txt", 200, "a/b.txt"),
        ("GET", "/api/files", 200, ""),
        ("GET", "/api/text", 200, "a text"),
    ],
)
async def test_a_request_finds_its_route(
    host: FunctionsHost, method: str, path: str, status: int, body: str
) -> None:
    answer = await host.request(method, path)

    assert (status, body) == (answer.status, answer.body.decode())


async def test_a_function_of_level_function_opens_to_its_key_and_to_the_admins(
    host: FunctionsHost,
) -> None:
    keys = ["", "wrong", host.function_key, host.admin_key]
    by_header = [
        (await host.request("GET", "/api/keyed", {"x-functions-key": key})).status
        for key in keys
    ]
    by_query = [(await host.request("GET", f"/api/keyed?code={key}")).status for key in keys]

    assert [401, 401, 200, 200] == by_header == by_query


async def test_a_function_of_level_admin_opens_to_the_admin_key_alone(
    host: FunctionsHost,
) -> None:
    keys = ["", host.function_key, host.admin_key]

    assert [
        (await host.request("GET", "/api/admin", {"x-functions-key": key})).status
        for key in keys
    ] == [401, 401, 200]


async def test_every_host_makes_its_own_keys(host: FunctionsHost) -> None:
    other = FunctionsHost(APPS / "http", {}, on_log=Logs())

    assert host.function_key != other.function_key
    assert host.function_key != host.admin_key
    assert len(host.function_key) > 32


async def test_cookies_come_back_with_their_attributes(host: FunctionsHost) -> None:
    answer = await host.request("GET", "/api/cookies")

    assert [value for name, value in answer.headers if name == "set-cookie"] == [
        "a=1; HttpOnly; Path=/; SameSite=Lax; Secure",
        "b=2; expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=5",
    ]


async def test_an_exception_is_a_500_without_its_text_and_a_log_record_with_it(
    host: FunctionsHost, logs: Logs
) -> None:
    answer = await host.request("GET", "/api/fails")

    assert (answer.status, answer.body) == (500, b"")
    (message,) = logs.messages("Host.Function.fails")
    assert message.startswith("LookupError: no such room")
    assert "function_app.py" in message


async def test_the_environment_is_the_settings_and_what_a_process_needs(
    host: FunctionsHost,
) -> None:
    told = json.loads((await host.request("GET", "/api/environment")).body)
    needed = {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}

    assert {"AN_APP_SETTING"} == told["environment"].keys() - needed
    assert str(APPS / "http") == told["cwd"] == told["path"][0]
    assert str(APPS.parents[3]) not in told["path"]


async def test_log_records_keep_level_category_extra_and_invocation(
    host: FunctionsHost, logs: Logs
) -> None:
    invocation = (await host.request("GET", "/api/logs")).body.decode()
    warning, error = (
        record
        for record in logs.records
        if record.invocation_id == invocation and not record.system
    )

    assert (warning.level, warning.category, warning.message) == (30, "app.http", "refused a")
    assert warning.properties == {"route": "alarms", "count": 2, "of": {"x": "b'y'"}}
    assert error.level == 40
    assert re.search(r"(?s)^caught\nTraceback.*KeyError: 'missing'$", error.message)


async def test_a_record_from_a_synchronous_function_knows_its_invocation(
    host: FunctionsHost, logs: Logs
) -> None:
    await host.request("GET", "/api/threads")
    (record,) = [record for record in logs.records if record.message == "from a thread"]

    assert record.properties == {"main": False}
    assert record.invocation_id


async def test_what_the_app_prints_is_logged(logs: Logs) -> None:
    assert "printed at import" in logs.messages("Host.Function.Console")


async def test_the_host_says_once_what_it_is_not(host: FunctionsHost, logs: Logs) -> None:
    assert [host.banner] == [text for text in logs.messages("Host") if "not Azure" in text]


async def test_requests_are_served_side_by_side(host: FunctionsHost) -> None:
    answers = await asyncio.gather(*(host.request("GET", "/api/text") for _ in range(50)))

    assert {200} == {answer.status for answer in answers}


async def test_a_listener_serves_the_same_functions(host: FunctionsHost) -> None:
    url = await host.listen()
    async with aiohttp.ClientSession(url) as session:
        sized = await (await session.post("/api/echo?a=1", data=b"hello")).json()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"hello"

        chunked = await (await session.post("/api/echo", data=chunks())).json()
        missing = (await session.get("/api/nothing")).status

    assert (sized["body"], sized["query"]) == ("hello", {"a": "1"})
    assert (chunked["body"], missing) == ("", 404)


# What a webhook needs


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]
)
async def test_every_method_reaches_a_function_that_names_none(
    host: FunctionsHost, method: str
) -> None:
    answer = await host.request(method, "/api/mirror")

    assert (207, method) == (answer.status, answer.header("x-method"))


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (bytes(range(256)), "identity"),
        (gzip.compress(b"hello", mtime=0), "gzip"),
        (b"\x00", "br"),
    ],
)
async def test_a_body_arrives_and_leaves_byte_for_byte_also_if_compressed(
    host: FunctionsHost, body: bytes, encoding: str
) -> None:
    url = await host.listen()
    async with aiohttp.ClientSession(url) as session:
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        answered = await session.post("/api/mirror", data=body, headers=headers)

        assert body == await answered.read()
        assert "application/octet-stream" == answered.content_type


async def test_a_head_request_gets_the_headers_of_an_answer_alone(
    host: FunctionsHost,
) -> None:
    url = await host.listen()
    async with aiohttp.ClientSession(url) as session:
        answered = await session.head("/api/mirror")

        assert (207, "HEAD") == (answered.status, answered.headers["X-Method"])
        assert b"" == await answered.read()


async def test_a_header_that_comes_twice_is_joined_by_a_comma(host: FunctionsHost) -> None:
    url = await host.listen()
    async with aiohttp.ClientSession(url) as session:
        answered = await session.get(
            "/api/mirror", headers=[("X-Values", "a"), ("X-Other", "z"), ("X-Values", "b")]
        )

        assert "a,b" == answered.headers["X-Values"]


async def test_a_listener_may_speak_tls(host: FunctionsHost, tls: TlsFiles) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.cert_file, tls.key_file)
    url = await host.listen(tls=server)
    trust = ssl.create_default_context(cafile=tls.ca_file)
    async with aiohttp.ClientSession(url) as session:
        heard = await (await session.post("/api/echo", data=b"x", ssl=trust)).json()

    assert f"{url}/api/echo" == heard["url"]
    assert url.startswith("https://")


async def test_a_body_beyond_the_limit_is_413_and_reaches_nobody() -> None:
    async with running("http", {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000"}) as (host, _):
        url = await host.listen()
        async with aiohttp.ClientSession(url) as session:
            fits = await session.post("/api/mirror", data=bytes(1000))
            exceeds = await session.post("/api/mirror", data=bytes(1001))

        assert (207, 413) == (fits.status, exceeds.status)
        assert host.counts["succeeded"] == 1
