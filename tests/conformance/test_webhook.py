"""What a delivery target MUST do by CloudEvents' HTTP 1.1 Web Hooks for Event Delivery.

https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md. One sentence is not
kept, on purpose: tokens in the address are refused, since addresses are logged.
"""

from __future__ import annotations

import pytest

from relay.failures import Reason
from tests.conformance.recipient import ORIGIN, Recipient
from tests.fakes import MemoryDeadLetters, MemorySink, always, an_event
from tests.relay.http_requests import STRUCTURED, in_binary_mode, structured
from tests.virtual_time import in_virtual_time

ASKING = {"WebHook-Request-Origin": ORIGIN}


async def test_the_delivery_is_an_http_post() -> None:
    headers, body = structured(an_event())
    recipient = Recipient()

    assert 202 == (await recipient.post(headers, body)).status
    assert 405 == (await recipient.request("PUT", headers, body)).status


@pytest.mark.parametrize("body", [b"{", structured(an_event())[1]], ids=["bad", "good"])
async def test_the_response_must_not_redirect(body: bytes) -> None:
    assert (await Recipient().post(STRUCTURED, body)).status not in range(300, 400)


@in_virtual_time
async def test_what_is_accepted_and_not_yet_at_its_end_must_be_answered_202() -> None:
    """Also for what is delivered: what its destination does with it, nobody knows."""
    for sink in (MemorySink(), MemorySink(faults=always(Reason.FORBIDDEN))):
        answer = await Recipient(sink).post(*structured(an_event()))

        assert (202, b"") == (answer.status, answer.body)


@in_virtual_time
async def test_whoever_is_told_of_a_rate_limit_must_be_told_when_to_come_again() -> None:
    throttled = always(Reason.THROTTLED)
    recipient = Recipient(MemorySink(faults=throttled), MemoryDeadLetters(faults=throttled))
    answer = await recipient.post(*structured(an_event()))

    assert 429 == answer.status
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("content_type", ["text/csv", "application/cloudevents+protobuf"])
async def test_a_format_that_is_not_understood_must_be_answered_415(content_type: str) -> None:
    answer = await Recipient().post({"Content-Type": content_type}, b"x")

    assert 415 == answer.status


async def test_the_bearer_token_must_be_taken_from_the_authorization_header() -> None:
    headers, body = structured(an_event())
    answer = await Recipient().request("POST", headers, body)

    assert 401 == answer.status
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_target_that_agrees_must_answer_options_with_the_origin_it_allows() -> None:
    answer = await Recipient().request("OPTIONS", ASKING)

    assert ORIGIN == answer.headers["WebHook-Allowed-Origin"]


async def test_the_allowed_rate_must_be_returned_if_a_rate_was_asked_for() -> None:
    answer = await Recipient().request("OPTIONS", ASKING | {"WebHook-Request-Rate": "120"})

    assert "*" == answer.headers["WebHook-Allowed-Rate"]


@pytest.mark.parametrize("origin", ["other.example.com", ""])
async def test_only_a_target_that_agrees_sends_these_headers(origin: str) -> None:
    answer = await Recipient().request("OPTIONS", {"WebHook-Request-Origin": origin})

    assert not [name for name in answer.headers if name.startswith("WebHook-")]


async def test_the_answer_to_options_names_post_as_permitted() -> None:
    for headers in (ASKING, {}):
        answer = await Recipient().request("OPTIONS", headers)

        assert "POST" in answer.headers["Allow"]


async def test_the_handshake_is_no_authentication() -> None:
    headers, body = in_binary_mode(an_event())
    recipient = Recipient()

    assert 401 == (await recipient.request("POST", {**headers, **ASKING}, body)).status
    assert not recipient.delivered
