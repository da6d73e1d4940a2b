"""The stand-in for the data plane answers as the service's REST reference says."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lab.misbehaviour import HttpFault
from tests.relay.operations.twins_world import AUDIENCE, VERSION, World, a_world

type Reply = tuple[int, dict[str, str], Any]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


async def ask(
    world: World,
    path: str,
    method: str = "GET",
    who: str = "owner",
    audience: str = AUDIENCE,
    **options: Any,
) -> Reply:
    headers = {"Authorization": f"Bearer {world.token(who, audience)}"}
    headers |= options.pop("headers", {})
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method,
            world.plane.url + path,
            headers=headers,
            ssl=ssl.create_default_context(cafile=world.ca_file),
            **options,
        ) as reply,
    ):
        body = await reply.json() if reply.content_type == "application/json" else None
        return reply.status, dict(reply.headers), body


TWIN = f"/digitaltwins/pump-17?{VERSION}"
TELEMETRY = f"/digitaltwins/pump-17/telemetry?{VERSION}"


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        (TWIN, {"audience": "https://storage.azure.com"}, 401, "Unauthenticated"),
        (TWIN, {"who": "stranger"}, 403, "AuthorizationFailed"),
        (TWIN, {"who": "reader", "method": "DELETE"}, 403, "AuthorizationFailed"),
        ("/digitaltwins/pump-17", {}, 400, "MissingApiVersionParameter"),
        ("/digitaltwins/pump-17?api-version=1", {}, 400, "UnsupportedApiVersion"),
        (f"/digitaltwins/fan?{VERSION}", {}, 404, "DigitalTwinNotFound"),
        (TWIN, {"method": "PATCH", "headers": {"If-Match": "x"}}, 412, "PreconditionFailed"),
        (TWIN, {"method": "PATCH", "json": []}, 415, "UnsupportedMediaType"),
        (
            TWIN,
            {"method": "PUT", "json": {}, "headers": {"If-None-Match": "*"}},
            412,
            "PreconditionFailed",
        ),
        (TELEMETRY, {"method": "POST"}, 400, "InvalidArgument"),
        (f"/nowhere?{VERSION}", {}, 404, "Not Found"),
    ],
)  # fmt: skip
async def test_errors_have_the_services_shape(
    world: World, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    found, headers, body = await ask(world, path, **options)

    assert (found, body["error"]["code"], headers["x-ms-error-code"]) == (status, code, code)
    assert body["error"].keys() == {"code", "message", "details", "innererror"}


async def test_a_reader_reads_and_queries(world: World) -> None:
    query = {"method": "POST", "json": {"query": "SELECT * FROM digitaltwins"}}

    assert (await ask(world, TWIN, who="reader"))[0] == 200
    assert (await ask(world, f"/query?{VERSION}", who="reader", **query))[0] == 200


async def test_it_answers_no_preflight_and_allows_no_origin(world: World) -> None:
    asked = {"Origin": "https://x.example", "Access-Control-Request-Method": "GET"}
    status, headers, _ = await ask(world, TWIN, "OPTIONS", headers=asked)
    _, plain, _ = await ask(world, TWIN, headers=asked)

    assert status == 405
    assert not [n for n in {*headers, *plain} if n.lower().startswith("access-control-")]


async def test_a_closed_instance_refuses_every_token(world: World) -> None:
    world.plane.is_public = False
    status, _, body = await ask(world, TWIN)

    assert (status, body["error"]["code"]) == (403, "PublicNetworkAccessDisabled")


# Event routes

ROUTE = f"/eventroutes/relay?{VERSION}"
ROUTES = f"/eventroutes?{VERSION}"


def put(**changes: str) -> dict[str, Any]:
    return {"method": "PUT", "json": {"endpointName": "landing", "filter": "true"} | changes}


async def test_an_event_route_is_created_shown_replaced_and_deleted(world: World) -> None:
    assert (await ask(world, ROUTE, **put()))[0] == 204
    assert (await ask(world, ROUTE))[2] == {
        "id": "relay",
        "endpointName": "landing",
        "filter": "true",
    }
    assert (await ask(world, ROUTE, **put(filter="type = 'a'")))[0] == 204
    assert [each["filter"] for each in (await ask(world, ROUTES))[2]["value"]] == ["type = 'a'"]
    assert (await ask(world, ROUTE, "DELETE"))[0] == 204
    assert (await ask(world, ROUTES))[2] == {"value": []}


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        (ROUTE, {}, 404, "EventRouteNotFound"),
        (ROUTE, {"method": "DELETE"}, 404, "EventRouteNotFound"),
        (ROUTE, put(endpointName="nowhere"), 400, "EventRouteEndpointInvalid"),
        (ROUTE, put(endpointName="young"), 400, "EventRouteEndpointInvalid"),
        (ROUTE, put(filter="PATCH_TOUCHES('/rpm')"), 400, "EventRouteFilterInvalid"),
        (f"/eventroutes/a%20b?{VERSION}", put(), 400, "EventRouteIdInvalid"),
        (ROUTE, {"who": "reader", **put()}, 403, "AuthorizationFailed"),
        (ROUTES, {"who": "stranger"}, 403, "AuthorizationFailed"),
        (ROUTES, {"audience": "https://storage.azure.com"}, 401, "Unauthenticated"),
        ("/eventroutes", {}, 400, "MissingApiVersionParameter"),
    ],
)
async def test_what_is_wrong_with_an_event_route_is_told_by_its_code(
    world: World, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    world.plane.endpoints["young"] = "Provisioning"
    found, headers, body = await ask(world, path, **options)

    assert (found, body["error"]["code"], headers["x-ms-error-code"]) == (status, code, code)
    assert world.plane.event_routes == {}


async def test_there_are_six_event_routes_at_most_and_each_may_be_replaced(
    world: World,
) -> None:
    for number in range(6):
        await ask(world, f"/eventroutes/r{number}?{VERSION}", **put())

    assert (await ask(world, ROUTE, **put()))[2]["error"]["code"] == "LimitExceeded"
    assert (await ask(world, f"/eventroutes/r5?{VERSION}", **put(filter="false")))[0] == 204


async def test_event_routes_come_in_pages_and_a_reader_sees_them(world: World) -> None:
    for number in range(5):
        await ask(world, f"/eventroutes/r{number}?{VERSION}", **put())
    world.plane.page = 2
    path, found = ROUTES, []
    while path:
        _, _, body = await ask(world, path, who="reader")
        found += [each["id"] for each in body["value"]]
        path = body.get("nextLink", "").removeprefix(world.plane.url)
    _, _, one = await ask(world, ROUTES, headers={"max-items-per-page": "1"})

    assert found == ["r0", "r1", "r2", "r3", "r4"]
    assert len(one["value"]) == 1


async def test_a_change_shows_late_where_it_is_told_to(world: World) -> None:
    world.plane.lag = 2
    await ask(world, ROUTE, **put())
    seen = [len((await ask(world, ROUTES))[2]["value"]) for _ in range(3)]

    assert seen == [0, 0, 1]


async def test_it_throttles_and_refuses_without_words_where_it_is_told_to(world: World) -> None:
    world.plane.faults.fault = HttpFault(status=429, code="TooManyRequests", times=1)
    first, _, _ = await ask(world, ROUTES)
    world.plane.is_wordless = True
    second, headers, body = await ask(world, ROUTES, who="stranger")

    assert (first, second, headers["Content-Length"], body) == (429, 403, "0", None)
