from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import TELEMETRY, Event
from tests.fakes import an_event

HOST = "plant-a.api.weu.digitaltwins.azure.net"

twin_ids = st.text("abcXYZ019-.+%_#*?!(),=@$'", min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("subject", "twin"),
    [
        ("pump-17", "pump-17"),
        ("pump-17/relationships/feeds-1", "pump-17"),
        ("pump-17/relationships/a/relationships/b", "pump-17"),
        ("pump/17", "pump/17"),
        ("", ""),
    ],
)
def test_a_change_is_about_the_twin_in_its_subject(subject: str, twin: str) -> None:
    assert twin == an_event(subject=subject).twin_id


@pytest.mark.parametrize("source", [HOST, f"https://{HOST}", "", f"{HOST}/"])
def test_telemetry_whose_source_names_no_twin_falls_back_to_its_subject(source: str) -> None:
    assert an_event(type=TELEMETRY, source=source, subject="pump-17").twin_id == "pump-17"


@given(
    twin_ids, st.sampled_from([HOST, f"https://{HOST}"]), st.sampled_from(["component1", ""])
)
@settings(max_examples=50, deadline=None)
def test_telemetry_is_about_the_twin_in_its_source(
    twin: str, host: str, component: str
) -> None:
    sources = [f"{host}/{twin}", f"{host}/digitaltwins/{twin}"]

    for source in sources:
        assert twin == an_event(type=TELEMETRY, source=source, subject=component).twin_id


@given(twin_ids, st.text("abc-", min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_all_events_of_one_twin_name_the_same_twin(twin: str, relationship: str) -> None:
    about = [
        an_event(subject=twin),
        an_event(subject=f"{twin}/relationships/{relationship}"),
        an_event(type=TELEMETRY, source=f"{HOST}/digitaltwins/{twin}", subject="motor"),
    ]

    assert {twin} == {event.twin_id for event in about}


def test_absent_attributes_read_as_empty_text() -> None:
    event = Event({})

    assert [
        event.id,
        event.source,
        event.type,
        event.subject,
        event.twin_id,
        event.text("anything"),
    ] == ["", "", "", "", "", ""]


def test_numbers_and_booleans_read_as_text() -> None:
    event = an_event(sequence=42, urgent=False)

    assert [event.text("sequence"), event.text("urgent")] == ["42", "False"]


def test_an_event_is_sealed_against_whoever_made_it_and_whoever_gets_it() -> None:
    attributes = {"id": "1"}
    event = Event(attributes)
    attributes["id"] = "2"

    assert event.id == "1"
    with pytest.raises(TypeError):
        event.attributes["id"] = "3"  # type: ignore[index]
    with pytest.raises(AttributeError):
        event.data = b"x"  # type: ignore[misc]


def test_what_is_written_of_an_event_is_written_once_for_all_who_ask() -> None:
    event, calls = an_event(), []

    def write(asked: Event) -> bytes:
        calls.append(asked)
        return b"written"

    assert [event.written(write) for _ in range(3)] == [b"written"] * 3
    assert len(calls) == 1
    assert event == an_event()
    assert "written" not in repr(event)
    assert replace(event, data=b"other").written(lambda _: b"anew") == b"anew"
