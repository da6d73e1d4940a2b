"""Event Grid by the control surface: subscribe, misbehave, see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from lab.certificates import server_context
from lab.control_http import ControlServer
from lab.event_grid.service import RESOURCE
from lab.local_azure import LocalAzure
from lab.plan import EVENT_GRID_DEAD_LETTERS
from lab.serving import HttpServer
from tests.lab.event_grid.grid_lab import CODE, Hook, a_cloud_event

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOPIC = {"topic": "plant-a-cloud-events"}


@pytest_asyncio.fixture(loop_scope="session")
async def server(azure: LocalAzure) -> AsyncIterator[ControlServer]:
    server = ControlServer(azure.control)
    await server.start()
    yield server
    await post(server, "/event-grid/heal", TOPIC)
    await post(server, "/event-grid/tokens/mend")
    for name in list(azure.event_grid.state()[TOPIC["topic"]]["subscriptions"]):
        await post(server, "/event-grid/unsubscribe", TOPIC | {"name": name})
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def hook(azure: LocalAzure) -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.serve)
    server = HttpServer("the webhook", app, tls=server_context(azure.tls))
    await server.start()
    hook.url = f"{server.url}/hook?code={CODE}"
    yield hook
    await server.stop()


async def post(server: ControlServer, path: str, body: Any = None) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url + path, json=body or {}) as answer,
    ):
        return answer.status, await answer.json()


async def publish(azure: LocalAzure, number: int) -> int:
    token = azure.directory.issue(azure.directory.principal("digital-twins"), RESOURCE)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/cloudevents+json",
    }
    url = azure.event_grid.endpoint(TOPIC["topic"])
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=a_cloud_event(number), headers=headers, ssl=False) as answer,
    ):
        return answer.status


async def test_a_webhook_is_subscribed_and_seen_in_the_state(
    azure: LocalAzure, server: ControlServer, hook: Hook
) -> None:
    told = TOPIC | {
        "name": "a",
        "url": hook.url,
        "dead_letters": EVENT_GRID_DEAD_LETTERS,
        "audience": "api://relay",
        "batch": 10,
    }
    assert (200, {"done": "/event-grid/subscribe", **told}) == await post(
        server, "/event-grid/subscribe", told
    )
    await publish(azure, 1)
    (seen,) = await hook.until_seen(1)
    state = azure.control.state()["event_grid"][TOPIC["topic"]]

    assert "Authorization" in seen.headers
    assert azure.event_grid.endpoint(TOPIC["topic"]) == state["endpoint"]
    assert hook.url.partition("?")[0] == state["subscriptions"]["a"]["url"]
    assert CODE not in str(state)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"topic": "plant-b"}, 404, "no topic is called 'plant-b'; known: plant-a, plant-a-"),
        ({"schema": "Custom"}, 404, "no schema is called 'Custom'; known: CloudEvent"),
        ({"dead_letters": "graves"}, 404, "no container is called 'graves'"),
        ({"schema": "EventGridSchema"}, 400, "takes CloudEvents and delivers nothing else"),
        ({"batch": 0}, 400, "max_events_per_batch is between 1 and 5000, not 0"),
        ({"url": "http://127.0.0.1/"}, 400, "a webhook's URL begins with https://"),
        ({"url": "https://127.0.0.1:1/"}, 400, "does not answer the handshake"),
    ],
    ids=str,
)
async def test_what_cannot_be_subscribed_is_told_why(
    server: ControlServer, hook: Hook, changes: dict[str, Any], status: int, said: str
) -> None:
    told = TOPIC | {"name": "b", "url": hook.url} | changes
    got, answer = await post(server, "/event-grid/subscribe", told)

    assert status == got
    assert said in answer["error"]


async def test_deliveries_can_be_held_disordered_and_duplicated(
    azure: LocalAzure, server: ControlServer, hook: Hook
) -> None:
    struck = azure.control.struck()["event grid"]
    told = TOPIC | {"name": "c", "url": hook.url, "batch": 10}
    for path, body in (
        ("/event-grid/subscribe", told),
        ("/event-grid/hold", TOPIC),
        ("/event-grid/disorder", TOPIC),
        ("/event-grid/duplicate", TOPIC | {"times": 1}),
    ):
        assert 200 == (await post(server, path, body))[0]
    for number in range(3):
        await publish(azure, number)
    await post(server, "/event-grid/release", TOPIC)
    seen = await hook.until_seen(2)

    assert [["2", "1", "0"]] * 2 == [each.ids for each in seen]
    assert struck + 2 == azure.control.struck()["event grid"]


async def test_publishing_can_be_refused(azure: LocalAzure, server: ControlServer) -> None:
    await post(server, "/event-grid/refuse", TOPIC | {"status": 429, "times": 1})

    assert [429, 200] == [await publish(azure, 1), await publish(azure, 1)]


async def test_tokens_can_be_spoilt_by_name_only(
    azure: LocalAzure, server: ControlServer
) -> None:
    assert 200 == (await post(server, "/event-grid/tokens/spoil", {"what": "audience"}))[0]
    assert "audience" == azure.event_grid.tokens.spoilt
    status, answer = await post(server, "/event-grid/tokens/spoil", {"what": "colour"})

    assert 404 == status
    assert (
        "no way to spoil a token is called 'colour'; known: audience, caller" in answer["error"]
    )


async def test_a_topic_is_a_scope_of_roles(azure: LocalAzure) -> None:
    assert azure.control.scope("plant-a").endswith("/Microsoft.EventGrid/topics/plant-a")
