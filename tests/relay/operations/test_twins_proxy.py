"""What the proxy lets through to Azure Digital Twins and back, and what it does not."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.misbehaviour import HttpFault
from lab.serving import HttpServer
from relay.observer import RequestRefused
from relay.operations.answers import BrokenOffError, Flow
from relay.operations.bodies import Flowing, Whole
from relay.operations.twins_proxy import RETURNED, SENT, TwinsProxy, _target
from tests.relay.operations.twins_world import (
    VERSION,
    Request,
    World,
    a_proxy,
    a_world,
    body_of,
)

PAGE = "https://explorer.example.com"
TWIN = f"/api/twins/digitaltwins/pump-17?{VERSION}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


@pytest.fixture
async def proxy(world: World) -> AsyncIterator[TwinsProxy]:
    async with a_proxy(world, {PAGE}) as proxy:
        yield proxy


def a_request(
    world: World,
    path: str = TWIN,
    method: str = "GET",
    who: str = "owner",
    body: bytes = b"",
    **headers: str,
) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    common = {"origin": PAGE, "authorization": f"Bearer {world.token(who)}"}
    url = f"https://relay.azurewebsites.net{path}"
    return Request(method, url, common | named, body)


# There and back


async def test_a_twin_is_read_with_the_callers_own_token(
    world: World, proxy: TwinsProxy
) -> None:
    request = a_request(world, who="reader")
    answer = await proxy.answer(request)

    assert answer.status == 200
    assert body_of(answer.body) == {"$dtId": "pump-17", "pressure": 4}
    assert world.plane.seen[-1]["authorization"] == request.headers["authorization"]


async def test_the_page_may_read_the_answer_and_its_documented_headers(
    world: World, proxy: TwinsProxy
) -> None:
    answer = await proxy.answer(a_request(world))

    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "etag" in answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert answer.headers["etag"].startswith('W/"')


async def test_a_change_is_made_on_the_condition_that_the_page_sets(
    world: World, proxy: TwinsProxy
) -> None:
    etag = (await proxy.answer(a_request(world))).headers["etag"]
    patch = b'[{"op": "replace", "path": "/pressure", "value": 5}]'
    change = {"content_type": "application/json-patch+json", "if_match": etag}

    assert (
        await proxy.answer(a_request(world, TWIN, "PATCH", body=patch, **change))
    ).status == 204
    assert world.plane.twins["pump-17"]["pressure"] == 5
    late = await proxy.answer(a_request(world, TWIN, "PATCH", body=patch, **change))
    assert (late.status, late.headers["x-ms-error-code"]) == (412, "PreconditionFailed")


async def test_every_method_and_area_of_the_data_plane_passes(
    world: World, proxy: TwinsProxy
) -> None:
    json_type = {"content_type": "application/json"}
    twin = f"/api/twins/digitaltwins/fan?{VERSION}"
    telemetry = f"/api/twins/digitaltwins/fan/telemetry?{VERSION}"
    job = f"/api/twins/jobs/imports/a?{VERSION}"
    answers = [
        await proxy.answer(each)
        for each in (
            a_request(world, twin, "PUT", body=b"{}", **json_type),
            a_request(world, telemetry, "POST", body=b"{}", message_id="1", **json_type),
            a_request(world, f"/api/twins/query?{VERSION}", "POST", body=b"{}", **json_type),
            a_request(world, f"/api/twins/models?{VERSION}"),
            a_request(world, job, "PUT", body=b"{}", **json_type),
            a_request(world, twin, "DELETE"),
        )
    ]  # fmt: skip

    assert [answer.status for answer in answers] == [200, 204, 200, 200, 201, 204]
    assert world.plane.telemetry == 1
    assert answers[2].headers["query-charge"] == "2.75"
    assert answers[4].headers["operation-location"].endswith("/jobs/imports/a")


async def test_an_unchanged_twin_is_not_sent_again(world: World, proxy: TwinsProxy) -> None:
    etag = (await proxy.answer(a_request(world))).headers["etag"]
    answer = await proxy.answer(a_request(world, if_none_match=etag))

    assert (answer.status, answer.body) == (304, b"")


async def test_the_instances_own_errors_stay_as_they_are(
    world: World, proxy: TwinsProxy
) -> None:
    answer = await proxy.answer(a_request(world, f"/api/twins/digitaltwins/nobody?{VERSION}"))

    assert answer.status == 404
    assert body_of(answer.body)["error"]["code"] == "DigitalTwinNotFound"  # type: ignore[index]


# What does not pass


async def test_headers_that_are_not_documented_do_not_reach_the_instance(
    world: World, proxy: TwinsProxy
) -> None:
    secrets = {"cookie": "a=b", "x_functions_key": "k", "x_ms_client_principal": "p"}
    asked = {"referer": PAGE, "x_adt_host": "evil.example", "host": "evil.example"}
    await proxy.answer(a_request(world, **secrets, **asked, x_forwarded_for="1.2.3.4"))
    own = {"host", "accept", "accept-encoding"}

    assert world.plane.seen[-1].keys() <= {*SENT, *own}
    assert world.plane.seen[-1]["host"] == world.plane.url.removeprefix("https://")


async def test_headers_that_are_not_documented_do_not_reach_the_page(
    world: World, proxy: TwinsProxy
) -> None:
    world.plane.surplus = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Credentials": "true",
        "Set-Cookie": "a=b",
        "Server": "x",
        "Location": "https://elsewhere.example",
    }
    answer = await proxy.answer(a_request(world))
    ours = {"access-control-allow-origin", "access-control-expose-headers"}

    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert {name.lower() for name in answer.headers} <= {
        *RETURNED, *ours, "vary", "cache-control"
    }  # fmt: skip


async def test_a_functions_key_in_the_query_ends_here(world: World, proxy: TwinsProxy) -> None:
    path = f"/api/twins/digitaltwins/pump-17?code=secret&{VERSION}&c%6Fde=secret&clientId=x"
    answer = await proxy.answer(a_request(world, path))

    assert answer.status == 200
    assert world.plane.paths == [f"/digitaltwins/pump-17?{VERSION}"]


@pytest.mark.parametrize(
    "origin",
    ["", "null", "*", f"{PAGE}.evil.example", f"{PAGE}:8443", "http://explorer.example.com",
     "https://evil.example", f"{PAGE}/", f" {PAGE}", PAGE.upper(), f"{PAGE}, https://evil.example"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_a_page_of_another_origin_gets_nothing(
    world: World, proxy: TwinsProxy, origin: str, method: str
) -> None:
    asked = {"access_control_request_method": "GET"}
    answer = await proxy.answer(a_request(world, method=method, origin=origin, **asked))

    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert world.plane.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "admin", "Digitaltwin/x", "digitaltwins//x", "digitaltwins/../models",
        "digitaltwins/%2e%2e/models", "digitaltwins/%252e%252e/models",
        "digitaltwins/..%2fmodels", "/evil.example/digitaltwins/x", "digitaltwins/a\\b",
        "digitaltwins/a%5cb", "digitaltwins/.",
        "digitaltwins/%0d%0aX-Evil:1", "@evil.example/digitaltwins", "digitaltwins/é", "..",
        "https://evil.example/digitaltwins/x", "digitaltwins/%00",
    ],
)  # fmt: skip
async def test_a_path_outside_the_data_plane_goes_nowhere(
    world: World, proxy: TwinsProxy, path: str
) -> None:
    answer = await proxy.answer(a_request(world, f"/api/twins/{path}?{VERSION}"))

    assert answer.status == 400
    assert world.plane.seen == []


@given(st.text(), st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_path_the_host_is_the_configured_one(path: str, query: str) -> None:
    """A token must reach nobody else."""
    try:
        found = _target(
            "https://plant.example", "/api/twins/", f"https://x/api/twins/{path}?{query}"
        )
    except ValueError:
        return
    assert str(found.origin()) == "https://plant.example"
    assert found.user is None


@pytest.mark.parametrize("query", ["", "?api-version=", f"?{VERSION}&{VERSION}", "?x=1"])
async def test_a_request_says_the_version_once(
    world: World, proxy: TwinsProxy, query: str
) -> None:
    answer = await proxy.answer(a_request(world, f"/api/twins/models{query}"))

    assert answer.status == 400
    assert "api-version" in str(body_of(answer.body)["detail"])


async def test_a_request_without_a_token_is_asked_for_one(
    world: World, proxy: TwinsProxy
) -> None:
    answer = await proxy.answer(a_request(world, authorization="Basic eDp5"))

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert world.plane.seen == []


async def test_a_method_that_the_data_plane_lacks_is_refused(
    world: World, proxy: TwinsProxy
) -> None:
    answer = await proxy.answer(a_request(world, method="TRACE"))

    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, GET, PATCH, POST, PUT, OPTIONS"


async def test_a_body_that_the_host_swallowed_is_missed(
    world: World, proxy: TwinsProxy
) -> None:
    request = a_request(world, method="PUT", transfer_encoding="chunked")

    assert (await proxy.answer(request)).status == 411


# Preflights


def a_preflight(world: World, method: str = "PATCH", headers: str = "") -> Request:
    asked = {"access_control_request_method": method}
    asked |= {"access_control_request_headers": headers} if headers else {}
    request = a_request(world, method="OPTIONS", **asked)
    return Request(
        request.method,
        request.url,
        {name: value for name, value in request.headers.items() if name != "authorization"},
    )


async def test_a_preflight_is_answered_here_without_a_token(
    world: World, proxy: TwinsProxy
) -> None:
    answer = await proxy.answer(
        a_preflight(world, headers="Authorization,Content-Type,IF-MATCH")
    )

    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "if-match" in answer.headers["Access-Control-Allow-Headers"]
    assert "Origin" in answer.headers["Vary"]
    assert world.plane.seen == []


@pytest.mark.parametrize(
    ("method", "headers"),
    [("CONNECT", ""), ("", ""), ("GET", "x-adt-host"), ("GET", "a,cookie")],
)
async def test_a_preflight_for_what_does_not_pass_is_refused(
    world: World, proxy: TwinsProxy, method: str, headers: str
) -> None:
    answer = await proxy.answer(a_preflight(world, method, headers))

    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


# A refusal by the instance


async def refused(world: World, proxy: TwinsProxy, request: Request) -> dict[str, Any]:
    answer = await proxy.answer(request)
    assert answer.status == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def test_a_403_names_the_role_that_a_read_needs_and_whom_to_give_it(
    world: World, proxy: TwinsProxy
) -> None:
    told = await refused(world, proxy, a_request(world, who="stranger"))
    first = told["causes"][0]

    assert "Azure Digital Twins Data Reader" in first["cause"]
    assert world.directory.principal("stranger").object_id in first["remedy"]
    assert "d57506d4-4c8d-48b1-8587-93c323f6a5a3" in first["remedy"]
    assert told["error"]["code"] == "AuthorizationFailed"


async def test_a_403_names_the_role_that_a_change_needs(
    world: World, proxy: TwinsProxy
) -> None:
    told = await refused(world, proxy, a_request(world, method="DELETE", who="reader"))

    assert "Azure Digital Twins Data Owner" in told["causes"][0]["cause"]


async def test_a_403_may_be_the_network(world: World, proxy: TwinsProxy) -> None:
    world.plane.is_public = False
    told = await refused(world, proxy, a_request(world))

    assert "private endpoints" in told["causes"][2]["cause"]
    assert "publicNetworkAccess" in told["causes"][2]["remedy"]
    assert told["error"]["code"] == "PublicNetworkAccessDisabled"


async def test_a_forged_token_puts_nothing_into_a_command(
    world: World, proxy: TwinsProxy
) -> None:
    world.plane.is_public = False
    forged = "eyJhbGciOiJub25lIn0.eyJvaWQiOiAiOyBybSAtcmYgLyJ9."
    told = await refused(world, proxy, a_request(world, authorization=f"Bearer {forged}"))

    assert "--assignee '<object id>'" in told["causes"][0]["remedy"]
    assert "rm" not in told["causes"][0]["remedy"].split()


async def test_a_token_for_somebody_else_is_the_instances_to_refuse(
    world: World, proxy: TwinsProxy
) -> None:
    token = world.token("owner", "https://storage.azure.com")
    answer = await proxy.answer(a_request(world, authorization=f"Bearer {token}"))

    assert answer.status == 401


async def test_every_refusal_is_told(world: World, proxy: TwinsProxy) -> None:
    await proxy.answer(a_request(world, origin="https://evil.example"))
    await proxy.answer(a_request(world, authorization=""))
    await proxy.answer(a_request(world, who="stranger"))
    await proxy.answer(a_request(world))
    told = [fact for fact in world.facts if isinstance(fact, RequestRefused)]

    assert [fact.status for fact in told] == [403, 401, 403]
    assert {fact.action for fact in told} == {"twins/*"}
    assert "https://evil.example" in told[0].detail
    assert "refused the caller" in told[2].detail


# Trouble


async def test_an_instance_out_of_reach_is_a_bad_gateway_and_the_log_says_why(
    world: World, proxy: TwinsProxy
) -> None:
    """Whoever asks is not known: addresses inside a network are not for him."""
    await world.plane.stop()
    answer = await proxy.answer(a_request(world))
    [told] = [fact for fact in world.facts if isinstance(fact, RequestRefused)]

    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (502, PAGE)
    assert b"Connect call failed" not in answer.body
    assert "Connect call failed" in told.detail


async def test_an_instance_with_a_strangers_certificate_is_not_shown_the_token(
    world: World,
) -> None:
    world.ca_file = ""
    async with a_proxy(world, {PAGE}) as proxy:
        answer = await proxy.answer(a_request(world))

    assert answer.status == 502
    assert world.plane.seen == []


# Bodies are whole, and their sizes bounded


MODELS = f"/api/twins/models?{VERSION}"


async def test_an_answer_without_end_is_cut_off_while_it_comes(world: World) -> None:
    let_go = asyncio.Event()

    async def without_end() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            let_go.set()

    world.plane.flow = without_end
    async with a_proxy(world, {PAGE}, Whole(4000)) as proxy:
        answer = await proxy.answer(a_request(world, MODELS))
        await asyncio.wait_for(let_go.wait(), 10)

    assert answer.status == 502
    assert "more than 4000 bytes" in body_of(answer.body)["detail"]
    assert "max-items-per-page" in body_of(answer.body)["detail"]


@pytest.mark.parametrize(("size", "status"), [(0, 200), (4000, 200), (4001, 502)])
@pytest.mark.parametrize("piece", [7, 4001])
async def test_an_answer_is_passed_whole_or_not_at_all(
    world: World, size: int, status: int, piece: int
) -> None:
    written = bytes(number % 251 for number in range(size))

    async def in_pieces() -> AsyncGenerator[bytes]:
        for start in range(0, size, piece):
            yield written[start : start + piece]

    world.plane.flow = in_pieces
    async with a_proxy(world, {PAGE}, Whole(4000)) as proxy:
        answer = await proxy.answer(a_request(world, MODELS))

    assert answer.status == status
    assert (answer.body == written) == (status == 200)


async def test_an_answer_that_breaks_off_is_not_shown_as_a_whole_one(
    world: World, proxy: TwinsProxy
) -> None:
    async def half() -> AsyncGenerator[bytes]:
        yield b'{"value": ['
        raise OSError

    world.plane.flow = half
    answer = await proxy.answer(a_request(world, MODELS))

    assert answer.status == 502
    assert "broke off its answer" in body_of(answer.body)["detail"]


async def test_answers_share_a_bounded_room_which_is_free_again_afterwards(
    world: World,
) -> None:
    goes_on = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield b"x" * 3000
        await goes_on.wait()
        yield b"y" * 1000

    world.plane.flow = slow
    async with a_proxy(world, {PAGE}, Whole(5000, 5000)) as proxy:
        asked = [asyncio.create_task(proxy.answer(a_request(world, MODELS))) for _ in range(2)]
        done, pending = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        goes_on.set()
        [refused], [taken] = [each.result() for each in done], await asyncio.gather(*pending)
        again = await proxy.answer(a_request(world, MODELS))

    assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
    assert [(each.status, len(each.body)) for each in (taken, again)] == [(200, 4000)] * 2


async def test_a_body_that_is_too_large_goes_nowhere(world: World) -> None:
    async with a_proxy(world, {PAGE}, Whole(4000)) as proxy:
        refused = await proxy.answer(a_request(world, MODELS, "POST", body=b"x" * 4001))
        seen = len(world.plane.seen)
        await proxy.answer(a_request(world, MODELS, "POST", body=b"x" * 4000))

    assert (refused.status, seen, len(world.plane.seen)) == (413, 0, 1)


# Bodies flow: the rest is in tests/relay/test_http_streams.py, in the real worker


@dataclass(frozen=True)
class Sending(Request):
    """A request without a body, where bodies flow."""

    def pieces(self) -> None:
        return None


async def test_an_instance_that_says_nothing_is_given_up(world: World) -> None:
    world.plane.faults.fault = HttpFault(silent=True)
    async with a_proxy(world, {PAGE}, Flowing(patience=0.1)) as proxy:
        answer = await proxy.answer(Sending(**vars(a_request(world))))

    assert answer.status == 504


async def test_an_answer_of_which_no_more_comes_is_given_up_and_told(world: World) -> None:
    async def half() -> AsyncGenerator[bytes]:
        yield b"half"
        await asyncio.Event().wait()

    world.plane.flow = half
    async with a_proxy(world, {PAGE}, Flowing(patience=0.1)) as proxy:
        answer = await proxy.answer(Sending(**vars(a_request(world, MODELS))))
        assert isinstance(answer, Flow)
        found = await anext(answer.pieces)
        with pytest.raises(BrokenOffError):
            await anext(answer.pieces)
        answer.close()
    [told] = [fact for fact in world.facts if isinstance(fact, RequestRefused)]

    assert (answer.status, found, told.status) == (200, b"half", 502)
    assert "midway" in told.detail


@pytest.mark.parametrize("encoding", [gzip.compress, zlib.compress])
async def test_a_refusal_is_read_in_the_encodings_that_are_known(
    encoding: Callable[[bytes], bytes],
) -> None:
    assert await refusal_of(encoding(b'{"error": 1}')) == b'{"error": 1}'
    assert await refusal_of(b'{"error": 1}') == b'{"error": 1}'
    assert len(await refusal_of(encoding(b"x" * 10_000_000))) <= 1 << 16
    assert len(await refusal_of(b"x" * 10_000_000)) < 1 << 20


async def refusal_of(body: bytes) -> bytes:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/", answer)
    server = HttpServer("a refusal", app)
    await server.start()
    try:
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(server.url) as reply,
        ):
            return await Flowing().refusal(reply)
    finally:
        await server.stop()


async def test_nobody_is_sent_elsewhere(world: World, proxy: TwinsProxy) -> None:
    world.plane.moved_to = "https://evil.example/"
    answer = await proxy.answer(a_request(world))

    assert answer.status == 502
    assert "location" not in {name.lower() for name in answer.headers}
