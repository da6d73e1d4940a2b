"""Each request gets a clear answer: who may ask, for what, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.failures import DeliveryError, Reason
from relay.observer import Fact, RequestRefused
from relay.operations.access import Caller, ForbiddenError, UnauthenticatedError
from relay.operations.answers import Answer, in_json
from relay.operations.http_api import (
    BadRequestError,
    Call,
    HttpApi,
    NotNowError,
    NotThereError,
    Resource,
)
from relay.permissions import Action
from tests.relay.operations.twins_world import Request

KNOWN = {"authorization": "Bearer known"}
ERRORS = {
    "bad": BadRequestError("it is bad"),
    "gone": NotThereError("it is gone"),
    "conflict": NotNowError("it can't be"),
    "blob": DeliveryError(Reason.THROTTLED, "busy", wait=7.4),
}


@dataclass
class Surface:
    """A surface with a resource of each kind, whom it let pass, and what it told."""

    allowed: set[Action] = field(default_factory=lambda: set(Action))
    calls: list[Call] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    async def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        api = HttpApi(
            "/api/",
            {
                "GET routes": Resource(Action.ROUTES_READ, self._handle),
                "GET letters": Resource(
                    Action.DEAD_LETTERS_READ, self._handle, frozenset({"top", "id"})
                ),
                "GET letters/{name}": Resource(Action.DEAD_LETTERS_READ, self._handle),
                "POST letters/redrive": Resource(Action.DEAD_LETTERS_REDRIVE, self._handle),
                "POST routes/{name}/redrive": Resource(
                    Action.DEAD_LETTERS_REDRIVE, self._handle
                ),
                "GET health": Resource(None, self._handle),
            },
            self._identify,
            self._permit,
            self.facts.append,
            lambda: Answer(200, {"Content-Type": "text/html"}, b"page"),
        )
        given = KNOWN if headers is None else dict(headers)
        return await api.answer(Request(method, f"https://x{path}", dict(given), body))

    async def _identify(self, request: Any) -> Caller:
        if request.headers.get("authorization") != "Bearer known":
            raise UnauthenticatedError("it is not good", "invalid_token")
        return Caller("a", "o", frozenset())

    def _permit(self, caller: Caller, action: Action) -> None:
        if action not in self.allowed:
            raise ForbiddenError(f"{caller} may not do {action}", "insufficient_scope")

    async def _handle(self, call: Call) -> Answer:
        self.calls.append(call)
        if call.name in ERRORS:
            raise ERRORS[call.name]
        return in_json({"name": call.name, **call.query})


def problem(answer: Answer) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = json.loads(answer.body)
    assert told["status"] == answer.status
    return told


# Who may


@pytest.mark.parametrize(
    ("path", "method", "action"),
    [
        ("/api/routes", "GET", Action.ROUTES_READ),
        ("/api/letters", "GET", Action.DEAD_LETTERS_READ),
        ("/api/letters/x", "GET", Action.DEAD_LETTERS_READ),
        ("/api/letters/redrive", "POST", Action.DEAD_LETTERS_REDRIVE),
        ("/api/routes/x/redrive", "POST", Action.DEAD_LETTERS_REDRIVE),
    ],
)
async def test_each_resource_takes_its_own_action(
    path: str, method: str, action: Action
) -> None:
    surface = Surface(allowed={action})
    others = Surface(allowed=set(Action) - {action})

    assert (await surface.ask(path, method)).status == 200
    assert (await others.ask(path, method)).status == 403
    assert others.calls == []


async def test_who_is_not_known_is_asked_who_he_is_and_it_is_told() -> None:
    surface = Surface()
    answer = await surface.ask("/api/routes", headers={})

    assert (answer.status, surface.calls) == (401, [])
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert surface.facts == [RequestRefused(401, "it is not good", "routes/read")]


async def test_what_everybody_may_see_asks_nobody() -> None:
    assert (await Surface(allowed=set()).ask("/api/health", headers={})).status == 200


async def test_a_browser_is_shown_the_page_which_asks_for_itself() -> None:
    surface = Surface()
    answer = await surface.ask("/api/routes", headers={"accept": "text/html,*/*"})

    assert (answer.body, surface.calls) == (b"page", [])
    assert (await surface.ask("/api/letters", headers={"accept": "text/html"})).status == 401


# What there is


@pytest.mark.parametrize(
    "path", ["/api/", "/api/nothing", "/api/letters/a/b", "/api/routes/redrive/x", "/"]
)
async def test_what_is_not_there_is_not_found(path: str) -> None:
    assert problem(await Surface().ask(path))["status"] == 404


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/api/routes", "DELETE", "GET"),
        ("/api/letters/x", "PUT", "GET"),
        ("/api/letters/redrive", "GET", "POST"),
        ("/api/routes/x/redrive", "GET", "POST"),
    ],
)
async def test_a_method_that_a_resource_lacks_is_told_with_those_it_has(
    path: str, method: str, allow: str
) -> None:
    answer = await Surface().ask(path, method)

    assert (problem(answer)["status"], answer.headers["Allow"]) == (405, allow)


async def test_a_name_is_read_as_it_was_meant() -> None:
    surface = Surface()
    await surface.ask("/api/routes/twin%2Dchanges/redrive", "POST")

    assert surface.calls == [Call("twin-changes", {}, {})]


# What is wrong with it


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/letters?bottom=1", "there is no parameter 'bottom': it takes id, top"),
        ("/api/letters?top=1&top=2", "the parameter 'top' stands there twice"),
        ("/api/letters/x?top=1", "it takes none"),
        ("/api/letters?top=", "the parameter 'top' has no value"),
    ],
)
async def test_a_parameter_that_means_nothing_is_named(path: str, words: str) -> None:
    answer = await Surface().ask(path)

    assert answer.status == 400
    assert words in problem(answer)["detail"]


async def test_a_key_of_the_functions_host_is_no_parameter_of_ours() -> None:
    surface = Surface()
    await surface.ask("/api/letters?code=secret&top=1")

    assert surface.calls == [Call("", {"top": "1"}, {})]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"1", b'"x"', b"\xff", b"[" * 60_000, b" " * 70_000]
)
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    answer = await Surface().ask("/api/letters/redrive", "POST", body=body)

    assert answer.status == 400
    assert "body" in problem(answer)["detail"]


async def test_a_body_that_the_host_swallowed_is_missed() -> None:
    chunked = KNOWN | {"transfer-encoding": "chunked"}
    answer = await Surface().ask("/api/letters/redrive", "POST", chunked)

    assert "send a Content-Length" in problem(answer)["detail"]


@pytest.mark.parametrize(
    ("name", "status"), [("bad", 400), ("gone", 404), ("conflict", 409), ("blob", 503)]
)
async def test_what_goes_wrong_is_a_problem_with_its_status(name: str, status: int) -> None:
    surface = Surface()
    answer = await surface.ask(f"/api/letters/{name}")

    assert problem(answer)["status"] == status
    assert answer.headers.get("Retry-After") == ("7" if name == "blob" else None)
    assert [fact.status for fact in surface.facts if isinstance(fact, RequestRefused)] == [
        status
    ]


@given(st.text(), st.sampled_from(["GET", "POST", "HEAD", "x"]), st.binary())
async def test_whatever_is_asked_is_answered(path: str, method: str, body: bytes) -> None:
    answer = await Surface().ask(f"/api/{path}", method, body=body)

    assert 200 <= answer.status < 500


# What need not be sent again


@pytest.mark.parametrize("weak", ["", "W/"], ids=["as it was", "compressed on the way"])
async def test_what_did_not_change_is_not_sent_again(weak: str) -> None:
    surface = Surface()
    first = await surface.ask("/api/letters?top=1")
    again = KNOWN | {"if-none-match": f'"x", {weak}{first.headers["ETag"]}'}

    same = await surface.ask("/api/letters?top=1", headers=again)
    other = await surface.ask("/api/letters?top=2", headers=again)

    assert (same.status, same.body, other.status) == (304, b"", 200)
    assert other.headers["ETag"] != first.headers["ETag"] == same.headers["ETag"]


async def test_who_may_not_is_not_told_whether_anything_changed() -> None:
    surface = Surface()
    tag = (await surface.ask("/api/letters")).headers["ETag"]
    answer = await Surface(allowed=set()).ask(
        "/api/letters", headers=KNOWN | {"if-none-match": tag}
    )

    assert answer.status == 403


async def test_what_is_private_is_kept_by_no_cache_in_between() -> None:
    answer = await Surface().ask("/api/letters")

    assert "private" in answer.headers["Cache-Control"]


async def test_a_head_has_the_headers_and_no_body() -> None:
    surface = Surface()
    got, head = await surface.ask("/api/routes"), await surface.ask("/api/routes", "HEAD")

    assert (head.status, head.body, head.headers) == (200, b"", got.headers)
