from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from relay.app import Relay, from_environment
from relay.dead_letters import Backlog
from relay.failures import Reason
from relay.health import CURRENT, PlaceHealth, RouteHealth, State
from relay.observer import Fact, RequestRefused
from relay.operations.answers import Answer
from relay.operations.route_report import report
from relay.settings import read
from tests.fakes import NOON, a_route
from tests.relay.operations.twins_world import Request
from tests.test_function_app import example_settings

HUB = a_route("hub")


def test_a_route_is_reported_with_all_that_an_operator_asks_first() -> None:
    backlog = Backlog(7, 2, NOON - timedelta(hours=1), is_whole=False)
    health = RouteHealth(
        "hub",
        State.REFUSED,
        NOON - timedelta(hours=2),
        Reason.FORBIDDEN,
        "it lacks the role",
        "az role assignment create",
        last_success=NOON - timedelta(hours=3),
        heard=NOON,
        backlog=backlog,
        surveyed=NOON,
    )

    told = report(
        [HUB], {"hub": health}, {"ANALYTICS": "a.example"}, lambda _: 1.234, NOON, "i"
    )

    assert told == json.loads(json.dumps(told))
    assert told["instance"] == "i"
    assert told["routes"] == [
        {
            "name": "hub",
            "destination": {
                "kind": "eventHub",
                "name": "hub",
                "connection": "ANALYTICS",
                "namespace": "a.example",
            },
            "state": "refused",
            "reason": "forbidden",
            "since": "2026-03-05T10:00:00+00:00",
            "detail": "it lacks the role",
            "remedy": "az role assignment create",
            "lastSuccess": "2026-03-05T09:00:00+00:00",
            "isCurrent": True,
            "eventsPerMinute": 1.23,
            "backlog": {
                "waiting": 7,
                "held": 2,
                "oldest": "2026-03-05T11:00:00+00:00",
                "isWhole": False,
                "asOf": "2026-03-05T12:00:00+00:00",
            },
        }
    ]


def test_what_a_process_heard_long_ago_is_said_to_be_so() -> None:
    long_ago = NOON - CURRENT - timedelta(seconds=1)
    health = RouteHealth("hub", State.REFUSED, long_ago, Reason.FORBIDDEN, heard=long_ago)

    (route,) = report([HUB], {"hub": health}, {}, lambda _: 0.0, NOON)["routes"]
    (fresh,) = report([HUB], {"hub": replace(health, heard=NOON)}, {}, lambda _: 0.0, NOON)[
        "routes"
    ]

    assert (route["isCurrent"], fresh["isCurrent"]) == (False, True)
    assert route["backlog"] is None


def test_an_ingress_is_reported_with_what_its_last_try_came_to() -> None:
    refused = PlaceHealth(
        "ingress hub twin-events",
        State.REFUSED,
        NOON - timedelta(hours=2),
        Reason.FORBIDDEN,
        "it lacks the role",
        "az role assignment create",
        tried=NOON,
    )

    told = report([], {}, {}, lambda _: 0.0, NOON, places=[refused])

    assert told["places"] == [
        {
            "name": "ingress hub twin-events",
            "state": "refused",
            "reason": "forbidden",
            "since": "2026-03-05T10:00:00+00:00",
            "detail": "it lacks the role",
            "remedy": "az role assignment create",
            "lastTried": "2026-03-05T12:00:00+00:00",
            "isCurrent": True,
        }
    ]


async def test_a_relay_reports_every_route_from_the_beginning() -> None:
    relay = from_environment(example_settings())

    told = relay.report()
    await relay.close()

    assert [route.name for route in relay.settings.routes] == [
        r["name"] for r in told["routes"]
    ]
    assert {"healthy"} == {route["state"] for route in told["routes"]}
    assert all(route["destination"]["namespace"] for route in told["routes"])
    assert [("ingress hub twin-events", None), ("dead letters", None)] == [
        (place["name"], place["lastTried"]) for place in told["places"]
    ]


# Over HTTP

API = {
    "RELAY_HTTP_API": "true",
    "ACCESS_TENANT": "11111111-1111-4111-8111-111111111111",
    "ACCESS_AUDIENCE": "api://twin-relay",
}


async def asked(accept: str) -> tuple[Answer, list[Fact]]:
    """Ask a whole relay for its routes, without a token."""
    facts: list[Fact] = []
    settings = read(example_settings() | API, Path(__file__).parents[3])
    relay = Relay(settings, facts.append)
    request = Request("GET", "https://relay.example/api/routes", {"accept": accept}, b"")
    answer = await relay.surface.from_operator(request)
    await relay.close()
    return answer, facts


async def test_a_browser_is_shown_the_page() -> None:
    answer, _ = await asked("text/html,application/xhtml+xml")

    assert answer.status == 200
    assert b"<title>Twin Relay: routes</title>" in answer.body
    assert "sha256-" in answer.headers["Content-Security-Policy"]


async def test_a_caller_without_a_token_is_refused_and_that_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer, facts = await asked("application/json")

    assert answer.status == 401
    assert [401] == [fact.status for fact in facts if isinstance(fact, RequestRefused)]
    refused = [r for r in caplog.records if r.getMessage().startswith("relay.refused ")]
    assert ["relay"] == [record.refused_by for record in refused]  # type: ignore[attr-defined]
