"""The stand-in for the data plane answers as the service's REST reference says."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

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
