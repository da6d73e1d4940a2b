"""The surface over Blob in memory: it shows what is there, and does what is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from relay.dead_letters import Fate
from relay.failures import DeliveryError, Reason
from relay.observer import Fact
from relay.operations.access import Caller, UnauthenticatedError
from relay.operations.answers import Answer
from relay.operations.operating import Parts, build_api
from relay.permissions import OPERATOR, READER
from relay.settings import Access, Api
from tests.fakes import MemorySink, always
from tests.relay.operations.twins_world import Request
from tests.relay.test_by_hand import HUB, LOOSE, Desk, a_desk
from tests.virtual_time import in_virtual_time

API = Api(Access("t", ("api://twin-relay",), "https://login.microsoftonline.com"), {})
CALLERS = {
    "Bearer operator": Caller("a", "o", frozenset({OPERATOR.value})),
    "Bearer reader": Caller("a", "r", frozenset({READER.value})),
}


async def verify(authorization: str | None) -> Caller:
    if authorization not in CALLERS:
        raise UnauthenticatedError("there is no good token")
    return CALLERS[authorization]


@dataclass
class Office:
    """A desk that is asked over HTTP."""

    desk: Desk = field(default_factory=a_desk)
    facts: list[Fact] = field(default_factory=list)
    since: str = "2026-03-05T12:00:00+00:00"
    reached: int = 0
    error: Exception | None = None

    def __post_init__(self) -> None:
        parts = Parts([HUB, LOOSE], self.desk.by_hand, self._report, self._reach, self._examine)
        self.api = build_api(API, "/api/", parts, verify, self.facts.append)

    def _report(self) -> dict[str, Any]:
        self.reached += 1
        route = {
            "name": "hub",
            "state": "healthy",
            "since": self.since,
            "destination": {"kind": "eventHub", "name": "hub"},
        }
        return {"asOf": f"2026-03-05T12:00:{self.reached % 60:02}Z", "routes": [route]}

    async def _examine(self) -> dict[str, Any]:
        return {"verdict": "well"}

    async def _reach(self) -> None:
        self.reached += 1
        if self.error is not None:
            raise self.error

    async def ask(
        self,
        path: str,
        method: str = "GET",
        body: object = None,
        *,
        who: str = "operator",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        given = {"authorization": f"Bearer {who}"} if headers is None else dict(headers)
        written = b"" if body is None else json.dumps(body).encode()
        return await self.api.answer(Request(method, f"https://x{path}", given, written))

    async def told(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        answer = await self.ask(*arguments, **options)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = json.loads(answer.body)
        return found


def events(told: Mapping[str, Any]) -> list[str]:
    return [letter["eventId"] for letter in told["value"]]


# Letters are seen


async def test_letters_are_listed_in_their_order_without_their_content() -> None:
    office = Office()
    await office.desk.keep(1, 2)
    await office.desk.keep(3, reason=Reason.TOO_LARGE)
    told = await office.told("/api/dead-letters")

    assert sorted(events(told)) == ["1", "2", "3"]
    assert "nextLink" not in told
    assert not [letter for letter in told["value"] if "content" in letter]
    assert told["value"][0].keys() >= {"id", "route", "fate", "reason", "enqueued", "detail"}


@pytest.mark.parametrize("top", [1, 2, 3, 7])
async def test_pages_hold_every_letter_once(top: int) -> None:
    office = Office()
    await office.desk.keep(1, 2, 3)
    await office.desk.keep(4, 5, lane="twin-events/1")
    await office.desk.keep(6, route="loose")
    path, found, pages = f"/api/dead-letters?top={top}", [], 0
    while path:
        told = await office.told(path)
        found += events(told)
        pages += 1
        path = told.get("nextLink", "")

    assert len(found) == len(set(found)) == 6
    assert pages == -(-6 // top)


async def test_a_page_keeps_what_was_selected() -> None:
    office = Office()
    await office.desk.keep(1, 2, 3)
    await office.desk.keep(4, route="loose")
    first = await office.told("/api/dead-letters?route=hub&top=2")
    second = await office.told(first["nextLink"])

    assert events(first) + events(second) == ["1", "2", "3"]


async def test_a_letter_is_read_whole_by_its_id() -> None:
    office = Office()
    await office.desk.keep(1, 2)
    listed = (await office.told("/api/dead-letters"))["value"]
    read = [await office.told(f"/api/dead-letters/{each['id']}") for each in listed]

    assert [each["eventId"] for each in read] == ["1", "2"]
    assert read[0]["content"]["data"] == '{"rpm":1450}'
    assert {**read[0], "content": None} == {**listed[0], "content": None}


async def test_a_letter_that_was_redriven_since_is_not_there() -> None:
    office = Office()
    await office.desk.keep(1)
    [letter] = (await office.told("/api/dead-letters"))["value"]
    await office.ask("/api/dead-letters/redrive", "POST", {"route": "hub"})
    answer = await office.ask(f"/api/dead-letters/{letter['id']}")

    assert answer.status == 404
    assert "it may have been redriven" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("top=0", "top is a number from 1 to 200"),
        ("top=x", "top is a number"),
        ("top=²", "top is a number"),
        ("fate=lost", "'lost' is no fate: there are waiting, held"),
        ("reason=forbiden", "'forbiden' is no reason"),
        ("since=yesterday", "is no time"),
        ("after=x", "is no dead letter's id"),
        ("color=red", "there is no parameter 'color'"),
    ],
)
async def test_a_query_that_means_nothing_is_named(query: str, words: str) -> None:
    answer = await Office().ask(f"/api/dead-letters?{query}")

    assert answer.status == 400
    assert words in json.loads(answer.body)["detail"]


# Letters are redriven


@in_virtual_time
async def test_letters_are_redriven_as_selected() -> None:
    office = Office()
    await office.desk.keep(1, 2)
    await office.desk.keep(3, route="loose")
    told = await office.told("/api/dead-letters/redrive", "POST", {"route": "hub"})

    assert (told["delivered"], told["left"], told["isWhole"]) == (2, [], True)
    assert office.desk.kept() == [3]


@in_virtual_time
async def test_what_waits_on_a_route_is_redriven_and_what_is_held_stays() -> None:
    office = Office()
    await office.desk.keep(1, 2)
    await office.desk.keep(3, reason=Reason.TOO_LARGE)
    told = await office.told("/api/routes/hub/redrive", "POST")

    assert told["delivered"] == 2
    assert office.desk.kept(Fate.HELD) == office.desk.kept() == [3]


@in_virtual_time
async def test_a_destination_that_does_not_take_them_is_told_with_its_reason() -> None:
    sink = MemorySink()
    sink.faults = always(Reason.FORBIDDEN)
    office = Office(a_desk(hub=sink))
    await office.desk.keep(1)
    told = await office.told("/api/routes/hub/redrive", "POST")

    assert (told["delivered"], told["left"][0]["reason"]) == (0, "forbidden")
    assert office.desk.kept() == [1]


async def test_what_would_break_the_order_is_a_conflict_that_says_how_to_mean_it() -> None:
    office = Office()
    await office.desk.keep(1, 2)
    order = {"route": "hub", "id": "2"}
    answer = await office.ask("/api/dead-letters/redrive", "POST", order)

    assert answer.status == 409
    assert office.desk.kept() == [1, 2]
    meant = order | {"outOfOrder": True}
    assert (await office.told("/api/dead-letters/redrive", "POST", meant))["delivered"] == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"rout": "hub"}, "there is no member 'rout'"),
        ({"route": 1}, "route is a text or a list of texts"),
        ({"route": []}, "of one at least"),
        ({}, "say which"),
        ({"outOfOrder": True}, "say which"),
        ({"route": "hub", "outOfOrder": "yes"}, "outOfOrder is true or false"),
        ({"since": ["1h", "2h"]}, "since is one time"),
        ({"reason": ["x"]}, "'x' is no reason"),
    ],
)
async def test_an_order_that_means_nothing_is_named(body: object, words: str) -> None:
    office = Office()
    await office.desk.keep(1)
    answer = await office.ask("/api/dead-letters/redrive", "POST", body)

    assert answer.status == 400
    assert words in json.loads(answer.body)["detail"]
    assert office.desk.kept() == [1]


@pytest.mark.parametrize("to", ["nowhere", "", ["hub"], 1])
async def test_letters_are_sent_by_a_route_that_there_is(to: object) -> None:
    answer = await Office().ask("/api/dead-letters/redrive", "POST", {"route": "hub", "to": to})

    assert answer.status == 409
    assert "no route is called" in json.loads(answer.body)["detail"]


async def test_a_route_that_is_not_there_is_not_found() -> None:
    assert (await Office().ask("/api/routes/nowhere/redrive", "POST")).status == 404


# Who may


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/dead-letters/redrive"),
        ("POST", "/api/routes/hub/redrive"),
        ("GET", "/api/doctor"),
    ],
)
async def test_a_reader_changes_nothing(method: str, path: str) -> None:
    office = Office()
    await office.desk.keep(1)
    answer = await office.ask(path, method, who="reader")

    assert answer.status == 403
    assert "Relay.Operator" in json.loads(answer.body)["detail"]
    assert office.desk.kept() == [1]


@pytest.mark.parametrize("path", ["/api/routes", "/api/dead-letters"])
async def test_a_reader_sees_and_a_stranger_does_not(path: str) -> None:
    assert (await Office().ask(path, who="reader")).status == 200
    assert (await Office().ask(path, who="stranger")).status == 401


async def test_an_operator_runs_the_doctor() -> None:
    assert await Office().told("/api/doctor") == {"verdict": "well"}


# Health, and what is described


async def test_it_is_ready_when_blob_storage_answers_and_it_is_not_asked_all_the_time() -> None:
    office = Office()
    found = [await office.told("/api/health", headers={}) for _ in range(3)]

    assert found == [{"live": True, "ready": True}] * 3
    assert office.reached == 1


@in_virtual_time
async def test_it_lives_but_is_not_ready_while_blob_storage_does_not_answer() -> None:
    office = Office(error=DeliveryError(Reason.UNAVAILABLE, "no"))
    ready = await office.ask("/api/health", headers={})
    live = await office.ask("/api/health/live", headers={})

    assert (ready.status, live.status) == (503, 200)
    assert json.loads(ready.body) == {"live": True, "ready": False}


async def test_the_tag_of_the_routes_changes_when_they_do_and_not_with_the_time() -> None:
    office = Office()
    first = (await office.ask("/api/routes")).headers["ETag"]
    bearer = {"authorization": "Bearer reader", "if-none-match": first}

    assert (await office.ask("/api/routes", headers=bearer)).status == 304
    office.since = "2026-03-05T13:00:00+00:00"
    assert (await office.ask("/api/routes", headers=bearer)).status == 200


async def test_the_surface_describes_itself_to_everybody() -> None:
    told = await Office().told("/api/openapi.json", headers={})

    assert (told["openapi"], told["servers"]) == ("3.1.0", [{"url": "/api"}])


async def test_the_description_names_the_action_that_each_resource_takes() -> None:
    """And what it names is what is asked for: a caller without it is told so."""
    office = Office()
    told = await office.told("/api/openapi.json", headers={})
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            where = "/api" + path.replace("{name}", "x")
            answer = await office.ask(where, method.upper(), headers={})
            action = operation.get("x-action")

            assert (answer.status == 401) is (action is not None), path
            if action:
                assert f"Takes {action}" in operation["summary"]
