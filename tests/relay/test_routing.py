from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import TELEMETRY, Event
from relay.routing import LONGEST_NAME, key, match
from tests.fakes import a_route, an_event
from tests.relay.event_texts import events

quickly = settings(max_examples=100, deadline=None)


def test_all_routes_that_want_an_event_get_it_in_their_declared_order() -> None:
    routes = [
        a_route("z", wants="true"),
        a_route("none", wants="false"),
        a_route("updates", wants="type = 'Microsoft.DigitalTwins.Twin.Update'"),
        a_route("a", wants="$body.rpm > 1000"),
    ]

    assert [route.name for route in match(routes, an_event())] == ["z", "updates", "a"]


def test_an_event_that_no_route_wants_has_no_routes() -> None:
    assert match([a_route(wants="false")], an_event()) == []
    assert match([], an_event()) == []


@given(events())
@quickly
def test_no_event_makes_matching_raise(event: Event) -> None:
    routes = [a_route("a", wants="$body.x.y = 1 OR subject = 'x'"), a_route("b", wants="true")]

    assert routes[1] in match(routes, event)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (an_event(), "pump-17"),
        (an_event(subject="pump-17/relationships/feeds-1"), "pump-17"),
        (an_event(type=TELEMETRY, source="host/digitaltwins/pump-17", subject="c"), "pump-17"),
        (an_event(partitionkey="line-3"), "line-3"),
        (an_event(partitionkey=""), "pump-17"),
        (an_event(partitionkey=7), "7"),
        (an_event(subject=""), "plant-a.api.weu.digitaltwins.azure.net"),
        (an_event(subject="x" * LONGEST_NAME), "x" * LONGEST_NAME),
        (
            an_event(subject="x" * (LONGEST_NAME + 1)),
            "sha256-" + hashlib.sha256(b"x" * (LONGEST_NAME + 1)).hexdigest(),
        ),
    ],
)
def test_the_key_is_what_keeps_an_event_in_order(event: Event, expected: str) -> None:
    assert key(event) == expected


@given(events(), st.text(max_size=300))
@quickly
def test_every_event_has_a_key_that_the_services_take(event: Event, subject: str) -> None:
    chosen = key(Event({**event.attributes, "subject": subject}, event.data))

    assert 1 <= len(chosen) <= LONGEST_NAME
    chosen.encode()


@given(st.text(min_size=1, max_size=300), st.sampled_from(["", "/relationships/r"]))
@quickly
def test_events_of_one_twin_have_one_key(twin: str, path: str) -> None:
    twin = twin.replace("/", "-")
    about = [
        an_event(subject=twin + path),
        an_event(type=TELEMETRY, source=f"host/digitaltwins/{twin}"),
    ]

    assert {key(an_event(subject=twin))} == {key(event) for event in about}


def test_long_keys_that_differ_stay_apart() -> None:
    keys = {key(an_event(subject="x" * 200 + str(n))) for n in range(100)}

    assert len(keys) == 100
