"""The surface as it runs: the real worker, real tokens, dead letters in Azurite."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from lab.functions_host import FunctionsHost
from lab.identity import Principal
from lab.local_azure import LocalAzure
from lab.plan import free_block, plant_plan
from relay.app import from_environment
from relay.formats.json_format import encode
from relay.permissions import OPERATOR, READER
from relay.settings import SettingsError
from tests.fakes import an_event
from tests.lab.functions.hosting import Logs, MemorySource
from tests.relay.operations.tag_lists import a_list

APP = Path(__file__).parents[3]
AUDIENCE = "api://twin-relay"
SENDING = "AzureEventGridSecureWebhookSubscriber"
MODELS = ("whole", "flowing")
SENDER = "Azure Event Hubs Data Sender"
ROUTES = [
    {
        "name": "everything",
        "filter": "true",
        "destination": {"connection": "ANALYTICS", "eventHub": "telemetry"},
    }
]


@dataclass
class World:
    """A local Azure with the relay in it, and how to ask it as somebody."""

    azure: LocalAzure
    settings: dict[str, str]
    hub: str
    url: str = ""
    urls: dict[str, str] = field(default_factory=dict)

    def token(self, *roles: str) -> str:
        who: Principal = self.azure.directory.principal("auditor")
        return self.azure.directory.issue(who, AUDIENCE, roles)

    async def ask(self, path: str, *roles: str, method: str = "GET") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token(*roles)}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.url}{path}") as answer,
        ):
            return answer.status, json.loads(await answer.read())

    async def send(self, body: bytes | AsyncIterator[bytes], role: str = SENDING) -> int:
        headers = {
            "Authorization": f"Bearer {self.token(role)}",
            "Content-Type": "application/cloudevents+json",
        }
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{self.url}/api/events", data=body) as answer,
        ):
            return answer.status

    async def leave_behind(self, count: int) -> None:
        """Let events be dead-lettered, for lack of a role."""
        self.azure.control.revoke("relay", SENDER, self.hub)
        relay = from_environment(self.settings)
        try:
            await relay.settle([an_event(id=str(n)) for n in range(count)])
        finally:
            await relay.close()
        self.azure.control.grant("relay", SENDER, self.hub)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as running:
        azure = await running.enter_async_context(
            LocalAzure(plant_plan(free_block()), tmp_path_factory.mktemp("lab"))
        )
        settings = azure.settings("relay") | {
            "RELAY_ROUTES": json.dumps(ROUTES),
            "RELAY_HTTP_API": "true",
            "ACCESS_TENANT": azure.directory.tenant_id,
            "ACCESS_AUDIENCE": AUDIENCE,
            "ACCESS_AUTHORITY": azure.endpoint.url,
            "INGRESS_HTTP": "true",
            "INGRESS_HTTP_ROLE": SENDING,
            "INGRESS_HTTP_LARGEST_BODY": "1000000",
        }
        environment = running.enter_context(pytest.MonkeyPatch.context())
        for name, value in azure.endpoint.settings("relay").items():
            environment.setenv(name, value)
        hub = azure.namespace("analytics").scope("eventhubs", "telemetry")
        world = World(azure, settings, hub)
        for model in MODELS:
            streams = {"TWINS_PROXY_STREAMS": str(model == "flowing").lower()}
            host = FunctionsHost(
                APP, settings | streams, on_log=Logs(), sources=lambda *_: MemorySource({})
            )
            await running.enter_async_context(host)
            world.url = world.urls[model] = await host.listen()
            opened = await world.send(encode(an_event(id=model)).encode())
            assert opened == 202  # and what is opened ahead is open
        yield world


@pytest.fixture(params=MODELS)
def world(both: World, request: pytest.FixtureRequest) -> World:
    """The same with the worker's HTTP functions of one model or the other."""
    both.url = both.urls[request.param]
    return both


@pytest.mark.xdist_group("surface")
@pytest.mark.asyncio(loop_scope="module")
async def test_an_operator_sees_what_waits_and_redrives_it(world: World) -> None:
    await world.leave_behind(3)
    _, health = await world.ask("/api/health")
    listed, letters = await world.ask("/api/dead-letters", READER.value)
    read, letter = await world.ask(
        f"/api/dead-letters/{letters['value'][0]['id']}", READER.value
    )
    redriven, outcome = await world.ask(
        "/api/routes/everything/redrive", OPERATOR.value, method="POST"
    )
    _, left = await world.ask("/api/dead-letters", READER.value)
    routes, told = await world.ask("/api/routes", READER.value)

    assert health == {"live": True, "ready": True}
    assert (listed, read, redriven, routes) == (200, 200, 200, 200)
    assert {each["reason"] for each in letters["value"]} == {"forbidden"}
    assert letter["content"]["data"] == '{"rpm":1450}'
    assert (outcome["delivered"], outcome["left"], left["value"]) == (3, [], [])
    assert [route["name"] for route in told["routes"]] == ["everything"]


@pytest.mark.xdist_group("surface")
@pytest.mark.asyncio(loop_scope="module")
async def test_who_lacks_the_role_is_refused_with_its_name(world: World) -> None:
    status, told = await world.ask(
        "/api/routes/everything/redrive", READER.value, method="POST"
    )

    assert status == 403
    assert "Relay.Operator" in told["detail"]
    assert (await world.ask("/api/routes"))[0] == 403


@pytest.mark.xdist_group("surface")
@pytest.mark.asyncio(loop_scope="module")
async def test_an_operator_runs_the_doctor(world: World) -> None:
    status, told = await world.ask("/api/doctor", OPERATOR.value)

    assert status == 200
    assert {check["subject"] for check in told["checks"]}


@pytest.mark.xdist_group("surface")
@pytest.mark.asyncio(loop_scope="module")
async def test_what_has_not_changed_is_not_sent_again(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.token(READER.value)}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = f"{world.url}/api/openapi.json"
        async with session.get(url) as answer:
            described, etag = await answer.json(), answer.headers["ETag"]
        async with session.get(url, headers={"If-None-Match": etag}) as again:
            unchanged = again.status, await again.read()
        async with session.head(url) as head:
            bare = head.status, head.headers["ETag"], await head.read()
        async with session.get(
            f"{world.url}/api/routes", headers={"Accept": "text/html"}
        ) as page:
            shown = await page.text()
        async with session.post(f"{world.url}/api/routes/%65verything/redrive?x=1") as refused:
            problem = await refused.json(content_type="application/problem+json")

    assert described["info"]["title"]
    assert (unchanged, bare) == ((304, b""), (200, etag, b""))
    assert shown.startswith("<!doctype html>")
    assert problem["status"] == 403


@pytest.mark.xdist_group("surface")
@pytest.mark.asyncio(loop_scope="module")
async def test_an_event_by_http_is_settled_and_a_body_that_is_too_large_is_not(
    world: World,
) -> None:
    event = json.loads(encode(an_event()))
    assert await world.send(json.dumps(event).encode()) == 202
    assert await world.send(b"x" * 1_000_001) == 413
    assert await world.send(b"{}", role="Somebody.Else") == 403


@pytest.mark.xdist_group("surface")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_body_without_end_is_refused_while_it_comes(both: World) -> None:
    """Chunked bodies arrive in this model; no more of one is read than is taken."""
    both.url = both.urls["flowing"]

    async def without_end() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000

    async def chunked() -> AsyncIterator[bytes]:
        yield encode(an_event()).encode()

    assert await both.send(without_end()) == 413
    assert await both.send(chunked()) == 202


def test_a_list_of_addresses_that_is_none_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    file.write_text("{}")
    with pytest.raises(SettingsError, match="SERVICE_TAGS_FILE: it is no list of service tags"):
        from_environment(LOCKED | {"SERVICE_TAGS_FILE": str(file)})


def test_a_gate_without_its_tag_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    file.write_text(json.dumps(a_list()))
    gate = {"SERVICE_TAGS_FILE": str(file), "INGRESS_HTTP_SERVICE_TAG": "AzureEventGrid"}
    with pytest.raises(SettingsError, match="INGRESS_HTTP_SERVICE_TAG: the list has no"):
        from_environment(LOCKED | gate)


LOCKED = {
    "INGRESS__fullyQualifiedNamespace": "plant.servicebus.windows.net",
    "INGRESS__credential": "managedidentity",
    "INGRESS_EVENT_HUB": "twin-events",
    "INGRESS_CONSUMER_GROUP": "relay",
    "ANALYTICS__fullyQualifiedNamespace": "analytics.servicebus.windows.net",
    "DEAD_LETTERS__blobServiceUri": "https://plant.blob.core.windows.net",
    "DEAD_LETTERS_CONTAINER": "dead-letters",
    "RELAY_ROUTES": json.dumps(ROUTES),
}
