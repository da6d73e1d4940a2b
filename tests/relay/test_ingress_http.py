"""Requests become events in every content mode; what announces something else is told so."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.dead_letters import Fate, blob_name
from relay.event import Event
from relay.ingress import Malformed, Order, from_http
from relay.ingress.http import Mode, NotUnderstoodError, mode_of
from tests.fakes import NOON, an_event
from tests.relay.event_texts import events
from tests.relay.http_requests import (
    BATCHED,
    STRUCTURED,
    as_text,
    batched,
    in_binary_mode,
    structured,
)

HOST = "plant-a.api.weu.digitaltwins.azure.net"
REQUIRED = '"specversion":"1.0","id":"1","source":"s","type":"t"'
quickly = settings(max_examples=150, deadline=None)


def contents(
    headers: Mapping[str, str], body: bytes, source: str | None = HOST
) -> list[Event | Malformed]:
    return [arrival.content for arrival in from_http(headers, body, NOON, source)]


# Content modes


@given(events())
@quickly
def test_an_event_in_binary_mode_comes_through_with_its_values_as_text(event: Event) -> None:
    headers, body = in_binary_mode(event)

    assert [as_text(event)] == contents(headers, body)


@given(events())
@quickly
def test_a_structured_event_comes_through_unchanged(event: Event) -> None:
    assert [event] == contents(*structured(event))


@given(st.lists(events(), max_size=4))
@quickly
def test_a_batch_comes_through_in_its_order(sent: list[Event]) -> None:
    assert sent == contents(*batched(sent))


@pytest.mark.parametrize(
    ("headers", "mode"),
    [
        ({"content-type": "application/cloudevents+json"}, Mode.STRUCTURED),
        ({"content-type": "APPLICATION/CloudEvents+JSON;charset=UTF-8"}, Mode.STRUCTURED),
        ({**STRUCTURED, "ce-id": "1"}, Mode.STRUCTURED),
        ({"content-type": "application/cloudevents-batch+json"}, Mode.BATCHED),
        ({"content-type": "application/json"}, Mode.UNSAID),
        ({"content-type": 'application/json; charset="utf-8"'}, Mode.UNSAID),
        ({"content-type": "application/json", "ce-id": "1"}, Mode.BINARY),
        ({"content-type": "text/xml; charset=iso-8859-1", "ce-id": "1"}, Mode.BINARY),
        ({"ce-specversion": "1.0"}, Mode.BINARY),
    ],
    ids=str,
)
def test_the_headers_tell_the_mode(headers: Mapping[str, str], mode: Mode) -> None:
    assert mode is mode_of(headers)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/cloudevents",
        "application/cloudevents+xml",
        "application/cloudevents+avro",
        "application/cloudevents-batch+avro",
        "application/cloudevents+json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        'application/json; a=b; CHARSET = "latin1"',
        "application/json, text/plain",
        ";",
        "multipart/form-data; boundary=x",
    ],
)
def test_what_cannot_be_read_is_said_to_be_so(content_type: str) -> None:
    with pytest.raises(NotUnderstoodError):
        mode_of({"content-type": content_type})


def test_a_format_that_cannot_be_read_is_not_taken_for_binary_mode() -> None:
    with pytest.raises(NotUnderstoodError):
        mode_of({"content-type": "application/cloudevents+avro", "ce-id": "1"})


def test_headers_beside_a_structured_event_are_not_its_own() -> None:
    headers, body = structured(an_event())

    assert [an_event()] == contents({**headers, "ce-id": "other", "ce-x": "y"}, body)


@pytest.mark.parametrize("source", [HOST, None])
def test_plain_json_may_be_event_grids_schema(source: str | None) -> None:
    body = b'[{"id":"1","eventType":"t","dataVersion":"1","data":{"a": 1.0}}]'
    (content,) = contents({"content-type": "application/json"}, body, source)

    if source is None:
        assert isinstance(content, Malformed)
        assert "INGRESS_EVENT_GRID_SOURCE" in content.detail
    else:
        assert isinstance(content, Event)
        assert (source, b'{"a": 1.0}') == (content.source, content.data)


# Headers in binary mode


def value_of(written: str) -> str:
    headers, body = in_binary_mode(an_event())
    (content,) = contents({**headers, "ce-x": written}, body)
    assert isinstance(content, Event), content
    return content.text("x")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € \U0001f600"),
        ("Euro%20%e2%82%ac", "Euro €"),
        ("%41%42", "AB"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("%2541", "%41"),
        ('"a \\"quoted\\" \\\\ value"', 'a "quoted" \\ value'),
        ('"a%20b"', "a b"),
        ('"open', '"open'),
        ("(not a comment)", "(not a comment)"),
        ("", ""),
        ("ü", "ü"),
    ],
)
def test_a_header_is_unquoted_and_decoded_once(written: str, meant: str) -> None:
    assert meant == value_of(written)


@pytest.mark.parametrize(
    "changes",
    [
        {"ce-x": "%C0%A0"},
        {"ce-x": "%ED%A0%80"},
        {"ce-x": "%FF"},
        {"ce-x": "\udc80"},
        {"ce-datacontenttype": "text/plain"},
        {"ce-data": "x"},
        {"ce-data_base64": "eA=="},
        {"ce-": "x"},
        {"ce-id": ""},
        {"ce-specversion": "0.3"},
        {"ce-specversion": "2.0"},
    ],
    ids=str,
)
def test_a_header_that_no_event_can_have_makes_it_malformed(changes: dict[str, str]) -> None:
    headers, body = in_binary_mode(an_event())
    (content,) = contents(headers | changes, body)

    assert isinstance(content, Malformed)
    assert body == content.body
    assert content.detail


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_binary_mode_without_a_required_attribute_is_malformed(name: str) -> None:
    headers, body = in_binary_mode(an_event())
    del headers[f"ce-{name}"]
    (content,) = contents(headers, body)

    assert isinstance(content, Malformed)
    assert name in content.detail


# What is kept, and under which name


def test_no_token_and_no_cookie_is_kept() -> None:
    secret = {"authorization": "Bearer t0ken", "cookie": "c", "x-functions-key": "k"}
    (content,) = contents({**STRUCTURED, **secret, "aeg-event-type": "Notification"}, b"{")

    assert isinstance(content, Malformed)
    assert {
        "content-type": STRUCTURED["content-type"],
        "aeg-event-type": "Notification",
    } == content.properties


def test_a_request_that_comes_again_has_the_name_of_the_first() -> None:
    """Event Grid counts its deliveries in a header; tracing headers differ too."""
    headers, body = in_binary_mode(an_event())
    retries = [
        from_http(
            {**headers, "aeg-delivery-count": str(n), "traceparent": str(n)}, body, NOON, None
        )
        for n in range(2)
    ]
    others = [
        from_http({**headers, "ce-id": "other"}, body, NOON, None),
        from_http(headers, body + b" ", NOON, None),
        from_http({**headers, "content-type": "text/plain"}, body, NOON, None),
    ]
    names = [blob_name("r", each, Fate.WAITING) for each in (*retries, *others)]

    assert names[0] == names[1]
    assert len({*names}) == 1 + len(others)


def test_the_events_of_a_request_have_places_of_their_own_and_no_order() -> None:
    arrivals = from_http(*batched([an_event(id="1"), an_event(id="2")]), NOON, None)

    assert [0, 1] == [arrival.part for arrival in arrivals]
    assert 1 == len({arrival.sequence for arrival in arrivals})
    assert {Order.NONE} == {arrival.order for arrival in arrivals}


@pytest.mark.parametrize("poison", ["{}", "1e400", "[" * 100_000, '{"type":"t"}', ""])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_event_of_a_batch_leaves_its_neighbours_unharmed(
    poison: str, place: int
) -> None:
    good = f"{{{REQUIRED}}}"
    elements = [good, good]
    elements.insert(place, poison if "[" not in poison else poison + "]" * len(poison))
    found = contents(BATCHED, f"[{','.join(elements)}]".encode())

    assert isinstance(found.pop(place), Malformed)
    assert all(isinstance(each, Event) for each in found)
    assert 2 == len(found)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"\xff", b'{"specversion":"1.0"}', b"[{}]"], ids=repr
)
def test_a_structured_body_that_is_no_event_is_kept_whole(body: bytes) -> None:
    (content,) = contents(STRUCTURED, body)

    assert isinstance(content, Malformed)
    assert body == content.body


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b"\xff"], ids=repr)
def test_a_batch_that_is_no_array_is_kept_whole(body: bytes) -> None:
    (content,) = contents(BATCHED, body)

    assert isinstance(content, Malformed)
    assert body == content.body


def test_an_empty_batch_brings_nothing() -> None:
    assert [] == contents(BATCHED, b" [ ] ")
