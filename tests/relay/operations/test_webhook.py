"""Each request gets a clear answer; our own trouble never looks like the sender's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.delivery import UnsettledError
from relay.failures import DeliveryError, Reason
from relay.ingress import Arrival, Malformed
from relay.observer import Fact, RequestRefused
from relay.operations.access import Caller, UnauthenticatedError, UnverifiableError
from relay.operations.addresses import Gate
from relay.operations.webhook import Answer, Webhook
from relay.outcomes import Result
from relay.settings import Access, HttpIngress
from tests.fakes import NOON, an_event
from tests.relay.http_requests import (
    BATCHED,
    STRUCTURED,
    HttpRequest,
    batched,
    in_binary_mode,
    structured,
)

SENDER = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
ROLE = "AzureEventGridSecureWebhookSubscriber"
CALLER = Caller(SENDER, "o", frozenset({ROLE}))
INGRESS = HttpIngress(
    Access("t", ("api://twin-relay",), "https://login.microsoftonline.com"),
    role=ROLE,
    origins=frozenset({"eventgrid.azure.net"}),
    largest_body=1000,
)
OK = {"authorization": "Bearer good"}


@dataclass
class Hook:
    """A webhook, what it settled, and what it told."""

    ingress: HttpIngress = INGRESS
    error: Exception | None = None
    source: str | None = None
    gate: Gate | None = None
    settled: list[list[Arrival]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    async def answer(self, request: HttpRequest) -> Answer:
        webhook = Webhook(
            self.ingress,
            self.source,
            self._caller,
            self._settle,
            self.facts.append,
            lambda: NOON,
            self.gate,
        )
        return await webhook.answer(request)

    async def post(self, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        return await self.answer(HttpRequest("POST", {**OK, **headers}, body))

    async def _caller(self, authorization: str | None) -> Caller:
        if authorization == "Bearer good":
            return CALLER
        if authorization == "Bearer nobody knows":
            raise UnverifiableError("the keys can't be had")
        raise UnauthenticatedError("it is not good", "invalid_token")

    async def _settle(self, arrivals: Sequence[Arrival]) -> list[Result]:
        if self.error is not None:
            raise self.error
        self.settled.append(list(arrivals))
        return []

    @property
    def contents(self) -> list[Any]:
        return [arrival.content for arrivals in self.settled for arrival in arrivals]


def problem(answer: Answer) -> dict[str, Any]:
    assert "application/problem+json" == answer.headers["Content-Type"]
    told: dict[str, Any] = json.loads(answer.body)
    assert {"title", "status", "detail"} == told.keys()
    assert answer.status == told["status"]
    assert told["title"]
    assert told["detail"]
    return told


# Events are taken


@pytest.mark.parametrize(
    ("headers", "body"),
    [in_binary_mode(an_event()), structured(an_event()), batched([an_event()])],
    ids=["binary", "structured", "batched"],
)
async def test_events_in_every_content_mode_are_settled_and_accepted(
    headers: Mapping[str, str], body: bytes
) -> None:
    hook = Hook()
    answer = await hook.post(headers, body)

    assert Answer(202) == answer
    assert [an_event()] == hook.contents
    assert not hook.facts


async def test_an_event_in_event_grids_schema_gets_its_source_from_the_settings() -> None:
    hook = Hook(source="plant-a")
    body = b'[{"id":"1","eventType":"t","dataVersion":"1","data":{}}]'
    answer = await hook.post({"content-type": "application/json"}, body)

    assert 202 == answer.status
    assert "plant-a" == hook.contents[0].source


async def test_an_empty_batch_is_accepted() -> None:
    assert 202 == (await Hook().post(BATCHED, b"[]")).status


# Who may: before anything of the body is read


@pytest.mark.parametrize(
    ("headers", "ingress", "status"),
    [
        ({}, INGRESS, 401),
        ({"authorization": "Bearer bad"}, INGRESS, 401),
        ({"authorization": "Bearer nobody knows"}, INGRESS, 503),
        (OK, replace(INGRESS, role="Other"), 403),
        (OK, replace(INGRESS, applications=frozenset({"other"})), 403),
    ],
)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"aeg-event-type": "SubscriptionValidation"},
        {"content-length": "9999999999"},
        {"content-type": "text/plain", "content-encoding": "gzip"},
        {"x-ms-client-principal": "eyJ9", "x-ms-client-principal-id": "admin"},
    ],
    ids=str,
)
async def test_whoever_may_not_is_told_so_and_nothing_is_read(
    headers: Mapping[str, str], ingress: HttpIngress, status: int, more: Mapping[str, str]
) -> None:
    hook = Hook(ingress)
    request = HttpRequest("POST", {**STRUCTURED, **headers, **more}, structured(an_event())[1])
    answer = await hook.answer(request)

    assert status == problem(answer)["status"]
    assert not request.was_read
    assert not hook.settled
    [fact] = hook.facts
    assert isinstance(fact, RequestRefused)
    assert (status, problem(answer)["detail"]) == (fact.status, fact.detail)
    assert fact.action == "events/write"
    assert bool(fact.caller) == (status == 403)
    assert ("Retry-After" if status == 503 else "WWW-Authenticate") in answer.headers


async def test_a_token_in_the_address_or_another_header_does_not_count() -> None:
    request = HttpRequest("POST", {**STRUCTURED, "x-authorization": "Bearer good"})

    assert 401 == (await Hook().answer(request)).status


# Requests that are no way to send events


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "get"])
async def test_another_method_is_answered_with_those_there_are(method: str) -> None:
    answer = await Hook().answer(HttpRequest(method, OK))

    assert 405 == problem(answer)["status"]
    assert "OPTIONS, POST" == answer.headers["Allow"]


@pytest.mark.parametrize(
    ("headers", "status", "header"),
    [
        ({**STRUCTURED, "content-encoding": "gzip"}, 415, "Accept-Encoding"),
        ({**STRUCTURED, "content-encoding": "deflate, gzip"}, 415, "Accept-Encoding"),
        ({**STRUCTURED, "content-encoding": "br"}, 415, "Accept-Encoding"),
        ({"content-type": "text/plain"}, 415, "Accept"),
        ({"content-type": "application/cloudevents+avro"}, 415, "Accept"),
        ({"content-type": "application/cloudevents+json; charset=utf-16"}, 415, "Accept"),
        ({}, 415, "Accept"),
        ({**STRUCTURED, "content-length": "1001"}, 413, ""),
        ({**STRUCTURED, "content-length": "9" * 5000}, 413, ""),
    ],
    ids=str,
)
async def test_what_the_headers_rule_out_is_told_before_the_body_is_read(
    headers: Mapping[str, str], status: int, header: str
) -> None:
    request = HttpRequest("POST", {**OK, **headers}, b"\x1f\x8b" + b"x" * 5000)
    answer = await Hook().answer(request)

    assert status == problem(answer)["status"]
    assert not request.was_read
    assert not header or answer.headers[header]


async def test_a_body_that_is_larger_than_its_header_says_is_too_large_all_the_same() -> None:
    hook = Hook()
    answer = await hook.post({**STRUCTURED, "content-length": "10"}, b"{" + b" " * 1000)

    assert 413 == problem(answer)["status"]
    assert not hook.settled


async def test_a_body_of_the_largest_size_is_taken() -> None:
    headers, body = structured(an_event())

    assert 202 == (await Hook().post(headers, body.ljust(1000))).status


async def test_a_chunked_body_that_the_host_drops_is_not_taken_for_an_empty_one() -> None:
    headers, _ = in_binary_mode(an_event())
    answer = await Hook().post({**headers, "transfer-encoding": "chunked"})

    assert 411 == problem(answer)["status"]


async def test_plain_is_no_compression() -> None:
    headers, body = structured(an_event())

    assert 202 == (await Hook().post({**headers, "content-encoding": "identity"}, body)).status


# What is no event


async def test_what_is_no_event_is_kept_and_accepted() -> None:
    hook = Hook()
    answer = await hook.post(STRUCTURED, b"{")

    assert 202 == answer.status
    assert isinstance(hook.contents[0], Malformed)


async def test_what_is_no_event_is_refused_where_the_settings_say_so() -> None:
    hook = Hook(replace(INGRESS, keeps_malformed=False))
    answer = await hook.post(STRUCTURED, b"{")

    assert 400 == problem(answer)["status"]
    assert not hook.settled


async def test_a_batch_with_one_good_event_is_never_refused() -> None:
    """The sender would drop the good one with the bad."""
    hook = Hook(replace(INGRESS, keeps_malformed=False))
    body = b'[{}, {"specversion":"1.0","id":"1","source":"s","type":"t"}]'

    assert 202 == (await hook.post(BATCHED, body)).status
    assert 2 == len(hook.contents)


# Our own trouble


def caused_by(error: Exception) -> Exception:
    inner, outer = UnsettledError("1 of 2 lots"), UnsettledError("1 of 1 lots: secret text")
    inner.__cause__, outer.__cause__ = error, inner
    return outer


@pytest.mark.parametrize("reason", Reason)
async def test_whatever_our_own_trouble_is_the_sender_is_told_to_come_again(
    reason: Reason,
) -> None:
    hook = Hook(error=caused_by(DeliveryError(reason, "x", wait=7.4)))
    answer = await hook.post(*structured(an_event()))
    told = problem(answer)

    assert (429 if reason is Reason.THROTTLED else 503) == told["status"]
    assert "7" == answer.headers["Retry-After"]
    assert "secret" not in told["detail"]
    assert any(isinstance(f, RequestRefused) and "secret" in f.detail for f in hook.facts)


@pytest.mark.parametrize("cause", [TimeoutError("x"), ValueError("x")])
async def test_trouble_of_another_kind_is_ours_too(cause: Exception) -> None:
    answer = await Hook(error=caused_by(cause)).post(*structured(an_event()))

    assert (503, "30") == (answer.status, answer.headers["Retry-After"])


# The handshake of CloudEvents


def asking(origin: str | None, **headers: str) -> HttpRequest:
    named = {} if origin is None else {"webhook-request-origin": origin}
    return HttpRequest("OPTIONS", named | headers)


@pytest.mark.parametrize("origin", ["eventgrid.azure.net", " EventGrid.Azure.NET "])
async def test_an_origin_that_may_send_gets_consent(origin: str) -> None:
    answer = await Hook().answer(asking(origin, **{"webhook-request-rate": "120"}))

    assert 200 == answer.status
    assert {
        "Allow": "OPTIONS, POST",
        "WebHook-Allowed-Origin": "eventgrid.azure.net",
        "WebHook-Allowed-Rate": "*",
    } == answer.headers


@pytest.mark.parametrize(
    "origin", [None, "", "*", "example.com", "eventgrid.azure.net.example", "a\r\nb"]
)
async def test_another_origin_gets_no_consent(origin: str | None) -> None:
    answer = await Hook().answer(asking(origin))

    assert (200, {"Allow": "OPTIONS, POST"}) == (answer.status, answer.headers)


async def test_where_all_may_ask_the_origin_is_named_if_it_can_be_one() -> None:
    hook = Hook(replace(INGRESS, origins=frozenset({"*"})))

    for origin in ("", "*", "a\r\nX-Evil: 1", "a b", "ü"):
        assert {"Allow": "OPTIONS, POST"} == (await hook.answer(asking(origin))).headers

    assert (
        "any.example"
        == (await hook.answer(asking("any.example"))).headers["WebHook-Allowed-Origin"]
    )


# The validation of Event Grid


def validation(**data: object) -> bytes:
    event = {
        "id": "1",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "dataVersion": "1",
        "data": data,
    }
    return json.dumps([event]).encode()


VALIDATION = {"content-type": "application/json", "aeg-event-type": "SubscriptionValidation"}


async def test_a_subscription_is_confirmed_by_its_code_and_its_address_is_left_alone() -> None:
    hook = Hook()
    body = validation(validationCode="512d-38", validationUrl="https://127.0.0.1/evil")
    answer = await hook.post(VALIDATION, body)

    assert (200, {"validationResponse": "512d-38"}) == (answer.status, json.loads(answer.body))
    assert "application/json" == answer.headers["Content-Type"]
    assert not hook.settled


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({**VALIDATION, "aeg-event-type": "Notification"}, validation(validationCode="x")),
        (VALIDATION, validation()),
        (VALIDATION, validation(validationCode=5)),
        (VALIDATION, b"[]"),
        (VALIDATION, b"\xff"),
        (VALIDATION, validation(validationCode="x").replace(b"Validation", b"Other", 1)),
    ],
    ids=repr,
)
async def test_what_only_looks_like_a_validation_is_an_event_like_any_other(
    headers: Mapping[str, str], body: bytes
) -> None:
    hook = Hook()

    assert 202 == (await hook.post(headers, body)).status
    assert hook.contents


async def test_a_subscriptions_farewell_is_no_event() -> None:
    hook = Hook()
    answer = await hook.post({**VALIDATION, "aeg-event-type": "SubscriptionDeletion"}, b"[{}]")

    assert (200, []) == (answer.status, hook.settled)


# Whatever comes

names = st.sampled_from(
    [
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "ce-id",
        "ce-specversion",
        "ce-",
        "aeg-event-type",
        "webhook-request-origin",
        "host",
    ]
)
values = st.one_of(
    st.sampled_from(
        [
            "application/json",
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "SubscriptionValidation",
            "chunked",
            "1.0",
            "%FF",
            "-1",
            "1e9",
        ]
    ),
    st.text(max_size=10),
)


@given(
    st.sampled_from(["POST", "post", "OPTIONS", "GET", ""]),
    st.dictionaries(names, values, max_size=5),
    st.binary(max_size=40) | st.sampled_from([b"[]", b"[{}]", b"{}", validation(a=1)]),
    st.booleans(),
)
@settings(max_examples=500, deadline=None)
async def test_every_request_has_an_answer(
    method: str, headers: dict[str, str], body: bytes, keeps: bool
) -> None:
    hook = Hook(replace(INGRESS, keeps_malformed=keeps))
    answer = await hook.answer(HttpRequest(method, OK | headers, body))

    assert answer.status in {200, 202, 400, 405, 411, 413, 415}
    assert answer.status < 300 or problem(answer)
    assert all("\n" not in value and "\r" not in value for value in answer.headers.values())


# Whence it may be called


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_whoever_calls_from_elsewhere_is_refused_before_he_is_asked_who_he_is(
    method: str,
) -> None:
    hook = Hook(gate=Gate([ip_network("203.0.113.0/29")]))
    elsewhere = {"x-forwarded-for": "203.0.113.1, 198.51.100.7:4711"}
    answer = await hook.answer(HttpRequest(method, elsewhere))

    assert (answer.status, hook.settled) == (403, [])
    detail = "calls from this address are not taken"
    assert hook.facts == [RequestRefused(403, detail, "events/write", "address 198.51.100.7")]


async def test_whoever_calls_from_the_service_is_asked_who_he_is() -> None:
    hook = Hook(gate=Gate([ip_network("203.0.113.0/29")]))
    headers, body = structured(an_event())
    inside = {"x-forwarded-for": "203.0.113.1:4711"}

    assert (await hook.post({**headers, **inside}, body)).status == 202
    assert (await hook.answer(HttpRequest("POST", inside))).status == 401
