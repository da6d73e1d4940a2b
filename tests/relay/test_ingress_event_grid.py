"""Events of the Event Grid trigger, in both schemas, whatever their times look like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.dead_letters import Fate, blob_name
from relay.event import Event
from relay.formats import json_format
from relay.ingress import Malformed, Order, from_event_grid
from tests.fakes import NOON, an_event
from tests.relay.event_texts import events

EVENTS = Path(__file__).parents[1] / "events"
NAMES = sorted(path.stem for path in (EVENTS / "event-grid").glob("*.json"))
HOST = "plant-a.api.weu.digitaltwins.azure.net"


def content(event: str, source: str | None = HOST) -> Event | Malformed:
    (arrival,) = from_event_grid(event, NOON, source)
    return arrival.content


def example(shape: str, name: str) -> str:
    """The example as the trigger hands it over: each event of the array by itself."""
    text = (EVENTS / shape / f"{name}.json").read_text("utf-8")
    value = json.loads(text)
    return json.dumps(value[0]) if isinstance(value, list) else text


@given(events())
@settings(max_examples=100, deadline=None)
def test_a_cloudevent_comes_through_unchanged(event: Event) -> None:
    assert event == content(json_format.encode(event))


@pytest.mark.parametrize("name", NAMES)
def test_both_schemas_tell_of_the_same_twin(name: str) -> None:
    cloud, grid = content(example("structured", name)), content(example("event-grid", name))

    assert isinstance(cloud, Event)
    assert isinstance(grid, Event)
    assert (cloud.id, cloud.type, cloud.twin_id) == (grid.id, grid.type, grid.twin_id)
    assert json.loads(cloud.data) == json.loads(grid.data)
    assert HOST == grid.source


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.9999999Z",
        "2026-11-21T21:00:00+02:00",
        "2026-11-21t21:00:00.123456789z",
        "yesterday",
    ],
)
def test_a_time_is_carried_as_it_is_written(time: str) -> None:
    """Telemetry in Event Grid's schema has the year 1, and the library can't read an offset."""
    grid = {
        "id": "1",
        "subject": "pump-17",
        "eventType": "microsoft.iot.telemetry",
        "eventTime": time,
        "dataVersion": "1.0",
        "data": {"data": {"rpm": 1.0}, "contenttype": "application/json"},
    }
    for event in (content(json.dumps(grid)), content(json_format.encode(an_event(time=time)))):
        assert isinstance(event, Event)
        assert time == event.text("time")


def test_without_a_source_from_the_settings_the_event_is_kept_and_the_remedy_said() -> None:
    kept = content(example("event-grid", "telemetry"), None)

    assert isinstance(kept, Malformed)
    assert "INGRESS_EVENT_GRID_SOURCE" in kept.detail


@given(st.text(max_size=40) | st.text(st.characters(categories=["Cs", "Lu"]), max_size=4))
@settings(max_examples=200, deadline=None)
def test_nothing_that_the_trigger_hands_over_makes_reading_raise(text: str) -> None:
    assert from_event_grid(text, NOON, HOST)


@given(st.lists(st.text(max_size=20), min_size=2, max_size=2, unique=True))
@settings(max_examples=200, deadline=None)
def test_the_same_event_gets_the_same_dead_letter_and_another_one_never_does(
    texts: list[str],
) -> None:
    first, other = (from_event_grid(text, NOON, HOST) for text in texts)
    again = from_event_grid(texts[0], NOON, HOST)

    assert {Order.NONE} == {arrival.order for arrival in (*first, *other)}
    assert blob_name("r", first, Fate.HELD) == blob_name("r", again, Fate.HELD)
    assert blob_name("r", first, Fate.HELD) != blob_name("r", other, Fate.HELD)
