"""Whatever arrives comes out as it was written, or whole as malformed; nothing is raised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.meta import Datum
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab.functions.event_hub_data import Partition, ReceivedEvent, batch
from lab.functions.messages import Data
from lab.twins import POISON
from relay.event import Event
from relay.formats import amqp_binding, json_format
from relay.ingress import Arrival, Malformed, Message, from_event_hub, read
from tests.fakes import NOON, an_event
from tests.relay.event_texts import events, json_texts

EVENTS = Path(__file__).parents[1] / "events"
NAMES = sorted(path.stem for path in (EVENTS / "amqp").glob("*.json"))
HOST = "plant-a.api.weu.digitaltwins.azure.net"
REQUIRED = '"specversion":"1.0","id":"1","source":"s","type":"t"'

quickly = settings(max_examples=150, deadline=None)


def a_message(
    body: bytes = b"",
    properties: amqp_binding.Properties | None = None,
    content_type: str | None = None,
) -> Message:
    return Message("twin-events/3", 42, NOON, body, properties or {}, content_type)


def contents(message: Message, source: str | None = HOST) -> list[Event | Malformed]:
    return [arrival.content for arrival in read(message, source)]


def in_binary_mode(event: Event) -> Message:
    content_type = event.attributes.get("datacontenttype")
    return a_message(
        event.data,
        amqp_binding.encode(event),
        None if content_type is None else str(content_type),
    )


def in_event_grid_schema(event: Event) -> str:
    """Write an event by hand as Event Grid delivers what Azure Digital Twins published."""
    envelope = {"id": "id", "subject": "subject", "type": "eventType", "time": "eventTime"}
    outside = {
        envelope[name]: value for name, value in event.attributes.items() if name in envelope
    }
    inside = {
        name: value
        for name, value in event.attributes.items()
        if name not in {*envelope, "source", "specversion", "datacontenttype"}
    }
    nested = json.dumps(inside | {"contenttype": event.attributes["datacontenttype"]})
    nested = f'{nested[:-1]}, "data": {event.data.decode()} }}'
    top = json.dumps(outside | {"topic": "/subscriptions/x", "dataVersion": "1.0"})
    return f'{top[:-1]}, "data" : {nested} }}'


# Every shape gives the event back


@given(events())
@quickly
def test_an_event_in_binary_mode_comes_through_unchanged(event: Event) -> None:
    assert [event] == contents(in_binary_mode(event))


@given(events(), st.sampled_from(["", "\ufeff"]), st.sampled_from(["", " \r\n\t"]))
@quickly
def test_a_structured_event_comes_through_unchanged(
    event: Event, mark: str, space: str
) -> None:
    body = mark + space + json_format.encode(event) + space

    assert [event] == contents(a_message(body.encode()))


@given(events(), json_texts)
@example(Event({"specversion": "1.0", "id": "0", "type": "0", "contenttype": ""}), "null")
@quickly
def test_an_event_in_event_grids_schema_comes_through_unchanged(
    event: Event, text: str
) -> None:
    attributes = {**event.attributes, "source": HOST, "datacontenttype": "application/json"}
    attributes.pop("contenttype", None)  # the schema's own name for the data's type
    event = Event({"subject": "", **attributes}, text.encode())
    written = in_event_grid_schema(event)

    assert [event] == contents(a_message(written.encode()))
    assert [event, event] == contents(a_message(f"[{written},\n{written}]".encode()))


@given(st.lists(events(), min_size=1, max_size=5))
@quickly
def test_a_batch_comes_through_in_its_order(batch_of_events: list[Event]) -> None:
    body = json_format.encode_batch(map(json_format.encode, batch_of_events)).encode()

    assert batch_of_events == contents(a_message(body))


@given(json_texts)
@quickly
def test_structured_data_is_the_text_of_its_writer(text: str) -> None:
    body = f'{{{REQUIRED}, "data":{text}}}'.encode()
    (event,) = contents(a_message(body))

    assert isinstance(event, Event)
    assert text.encode() == event.data


# The documented examples


def example_of(shape: str, name: str) -> str:
    return (EVENTS / shape / f"{name}.json").read_text("utf-8")


def binary_example(name: str) -> Message:
    written = json.loads(example_of("amqp", name))
    return a_message(written["body"].encode(), written["properties"], written["contentType"])


@pytest.mark.parametrize("name", NAMES)
def test_an_example_in_binary_mode_keeps_attributes_and_bytes(name: str) -> None:
    written = json.loads(example_of("amqp", name))
    (event,) = contents(binary_example(name))

    assert isinstance(event, Event)
    assert amqp_binding.encode(event) == written["properties"]
    assert event.text("datacontenttype") == written["contentType"]
    assert event.data == written["body"].encode()


@pytest.mark.parametrize("name", NAMES)
def test_a_structured_example_is_the_binary_one(name: str) -> None:
    (event,) = contents(a_message(example_of("structured", name).encode()))
    (same,) = contents(binary_example(name))

    assert isinstance(event, Event)
    assert isinstance(same, Event)
    assert dict(event.attributes) | {"traceparent": ""} == dict(same.attributes) | {
        "traceparent": ""
    }
    assert json.loads(event.data) == json.loads(same.data)
    assert event.data.decode() in example_of("structured", name)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_from_event_grid_is_about_the_same_twin(name: str) -> None:
    (event,) = contents(a_message(example_of("event-grid", name).encode()))
    (same,) = contents(binary_example(name))

    assert isinstance(event, Event)
    assert isinstance(same, Event)
    assert (event.id, event.type, event.twin_id) == (same.id, same.type, same.twin_id)
    assert (event.source, event.text("datacontenttype")) == (HOST, same.text("datacontenttype"))
    assert json.loads(event.data) == json.loads(same.data)
    assert event.data.decode() in example_of("event-grid", name)


def test_the_examples_are_of_all_seven_types() -> None:
    types = {
        event.type
        for name in NAMES
        for event in contents(binary_example(name))
        if isinstance(event, Event)
    }

    assert types == {
        "Microsoft.DigitalTwins.Twin.Create",
        "Microsoft.DigitalTwins.Twin.Update",
        "Microsoft.DigitalTwins.Twin.Delete",
        "Microsoft.DigitalTwins.Relationship.Create",
        "Microsoft.DigitalTwins.Relationship.Update",
        "Microsoft.DigitalTwins.Relationship.Delete",
        "microsoft.iot.telemetry",
    }


# What cannot be read


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_malformed_and_keeps_its_bytes(kind: str) -> None:
    poison = POISON[kind]
    (content,) = contents(a_message(poison.body, dict(poison.properties), poison.content_type))

    assert isinstance(content, Malformed)
    assert content.body == poison.body
    assert content.properties == dict(poison.properties)
    assert content.detail


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"a": 1}',
        b' {"a": 1}\r\n',
        b"\xef\xbb\xbf[]",
        b"[ ]",
        b"[{}",
        b"\xff\xfe{\x00}\x00",
        b"null",
        b'"specversion"',
        b"1e400",
        b"\x00",
        b"[" * 100_000,
        f'{{{REQUIRED},"id":"2"}}'.encode(),
        f'{{{REQUIRED},"data":NaN}}'.encode(),
        f'{{{REQUIRED},"data":{"[" * 100_000}{"]" * 100_000}}}'.encode(),
        f'{{{REQUIRED},"x":"\\ud800"}}'.encode(),
        f'{{{REQUIRED},"\\ud800":"x"}}'.encode(),
        f'{{{REQUIRED},"\\ud800":5}}'.encode(),
        f'{{{REQUIRED},"\\ud800":true}}'.encode(),
        f'{{{REQUIRED},"x":2147483648}}'.encode(),
        f'{{{REQUIRED},"x":1.0}}'.encode(),
        f'{{{REQUIRED},"x":{"9" * 5000}}}'.encode(),
        b'{"specversion":1.0,"id":"1","source":"s","type":"t"}',
        b'{"specversion":"0.3","id":"1","source":"s","type":"t"}',
        b'{"specversion":null,"id":"1","source":"s","type":"t"}',
        b'{"specversion":"1.0","id":"","source":"s","type":"t"}',
        b'{"specversion":"1.0","id":null,"source":"s","type":"t"}',
        b'{"eventType":"t","dataVersion":"1.0","data":{}}',
        b'{"id":"1","eventType":{},"dataVersion":"1.0","data":{}}',
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_message_that_is_no_event_is_kept_whole(body: bytes) -> None:
    (content,) = contents(a_message(body, {"a": 1, b"\xff": b"\xfe", "n": None}))

    assert isinstance(content, Malformed)
    assert content.body == body
    assert content.properties == {"a": "1", "\ufffd": "\ufffd", "n": "None"}


@pytest.mark.parametrize(
    "changes",
    [
        {"cloudEvents:id": ""},
        {"cloudEvents:id": None},
        {"cloudEvents:id": 1.5},
        {"cloudEvents:specversion": "1.1"},
        {"cloudEvents_id": "1"},
        {"cloudEvents:x": 2**31},
        {"cloudEvents:x": -(2**31) - 1},
        {"cloudEvents:x": "\ud800"},
        {"cloudEvents:\ud800": 1},
        {b"cloudEvents:x": b"\xff"},
        {b"cloudEvents:\xff": b"x"},
        {"cloudEvents:data_base64": "eA=="},
    ],
    ids=repr,
)
def test_a_binary_message_that_is_no_event_is_kept_whole(
    changes: dict[str | bytes, object],
) -> None:
    properties = amqp_binding.encode(an_event()) | changes
    (content,) = contents(a_message(b"\xff\x00", properties))

    assert isinstance(content, Malformed)
    assert content.body == b"\xff\x00"
    assert len(content.properties) == len(properties)


@pytest.mark.parametrize(
    "poison",
    [
        "{}",
        "1e400",
        '{"a": NaN}',
        "[" * 100_000 + "]" * 100_000,
        f'{{{REQUIRED},"\\ud800":5}}',
        f'{{{REQUIRED},"data":{"[" * 100_000}{"]" * 100_000}}}',
        "{} {}",
        '{"specversion":"1.0"}',
        '"]}"',
        "",
    ],
    ids=lambda text: repr(text[:40]),
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_element_leaves_its_neighbours_in_a_message_unharmed(
    poison: str, place: int
) -> None:
    good = [json_format.encode(an_event(id=str(n))) for n in range(2)]
    elements = [*good[:place], poison, *good[place:]]
    found = contents(a_message(f"[{' ,\n'.join(elements)}]".encode()))

    bad = found.pop(place)
    assert isinstance(bad, Malformed)
    assert bad.body == poison.encode()
    assert found == [an_event(id="0"), an_event(id="1")]


def test_event_grids_schema_needs_a_source_from_the_settings() -> None:
    (content,) = contents(a_message(example_of("event-grid", "twin-update").encode()), None)

    assert isinstance(content, Malformed)
    assert "INGRESS_EVENT_GRID_SOURCE" in content.detail


# Nothing is ever raised

property_names = st.one_of(
    st.sampled_from(["cloudEvents:id", "cloudEvents_id", "cloudEvents:type", "cloudEvents:"]),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.binary(max_size=4).map(b"cloudEvents:".__add__),
)
property_values = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs"]), max_size=2),
    st.binary(max_size=8),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.datetimes(),
)
properties_of_any_kind = st.dictionaries(property_names, property_values, max_size=4)
SEEDS = [
    example_of("structured", "twin-update").encode(),
    example_of("event-grid", "telemetry").encode(),
    f'{{{REQUIRED},"data_base64":"eA==","datacontenttype":"text/plain","x":-1}}'.encode(),
]


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A good message from which a piece was cut, with something else in its place."""
    seed = draw(st.sampled_from(SEEDS))
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(start, len(seed)))
    piece = st.sampled_from(
        [b"", b'"', b"\\", b"[", b"}", b"null", b"\xff", b"1e9", b"\\ud800"]
    )
    return seed[:start] + draw(piece | st.binary(max_size=3)) + seed[end:]


@given(
    st.binary(max_size=60) | mutilated() | json_texts.map(str.encode),
    properties_of_any_kind,
    st.none() | st.text(max_size=10),
    st.none() | st.just(HOST),
)
@example(b"", {}, None, None)
@settings(max_examples=600, deadline=None)
def test_nothing_that_arrives_makes_reading_raise_or_vanishes(
    body: bytes,
    properties: dict[str | bytes, object],
    content_type: str | None,
    source: str | None,
) -> None:
    arrivals = list(read(a_message(body, properties, content_type), source))

    assert arrivals
    assert [arrival.part for arrival in arrivals] == list(range(len(arrivals)))
    for arrival in arrivals:
        written_down_and_back(arrival)


def written_down_and_back(arrival: Arrival) -> None:
    """What ingress lets through must be fit for every room behind it."""
    content = arrival.content
    if isinstance(content, Event):
        written = json_format.encode(content).encode()
        assert json_format.decode(written.decode()) == content
    else:
        assert content.detail.encode().strip()
        assert json.loads(json.dumps(content.properties)).keys() == content.properties.keys()


def test_an_arrival_knows_its_place() -> None:
    message = a_message(b"[{}, {}]")

    assert [arrival.place for arrival in read(message, None)] == [
        ("twin-events/3", 42, 0),
        ("twin-events/3", 42, 1),
    ]
    assert {arrival.enqueued for arrival in read(message, None)} == {NOON}


# Batches of the Event Hubs trigger, as the Functions library hands them over

PARTITION = Partition("ingress.servicebus.windows.net", "twin-events", "$Default", "7")


def typed(data: Data) -> Datum:
    """Return the value as the worker makes it of the host's typed data."""
    if data.kind.startswith("collection_"):
        items = {data.kind.removeprefix("collection_"): data.value}
        return Datum(SimpleNamespace(**items), data.kind)
    return Datum(data.value, data.kind)


def converted(received: Sequence[ReceivedEvent], **changes: Datum) -> list[func.EventHubEvent]:
    """Let the library's own converter make the objects that the function gets."""
    data = batch(received, PARTITION, binary=True)
    metadata = {name: typed(value) for name, value in data.metadata.items()} | changes
    decoded: list[func.EventHubEvent] = EventHubTriggerConverter.decode(
        typed(data.input), trigger_metadata=metadata
    )
    return decoded


def a_received_event(
    number: int = 0,
    body: bytes = b"{}",
    properties: Mapping[str, object] | None = None,
    **message_properties: object,
) -> ReceivedEvent:
    return ReceivedEvent(
        body,
        number,
        str(100 + number),
        NOON + timedelta(microseconds=number),
        properties=properties or {},
        message_properties={
            name.replace("_", "-"): value for name, value in message_properties.items()
        },
    )


def test_a_batch_is_taken_apart_event_by_event() -> None:
    received = [
        a_received_event(n, f"body {n}".encode(), {"n": n}, content_type=f"type/{n}")
        for n in range(3)
    ]

    for n, arrival in enumerate(from_event_hub(converted(received), HOST)):
        assert arrival.place == ("twin-events/7", n, 0)
        assert arrival.enqueued == NOON + timedelta(microseconds=n)
        assert isinstance(arrival.content, Malformed)
        assert arrival.content.body == f"body {n}".encode()
        assert arrival.content.properties == {"n": str(n)}
    assert n == 2


def test_each_event_of_a_batch_has_the_content_type_of_its_own_message() -> None:
    properties = {str(name): value for name, value in amqp_binding.encode(an_event()).items()}
    received = [
        a_received_event(n, b"", properties, content_type=f"type/{n}") for n in range(3)
    ]

    contents = [arrival.content for arrival in from_event_hub(converted(received), HOST)]
    assert [
        event.text("datacontenttype") for event in contents if isinstance(event, Event)
    ] == [
        "type/0",
        "type/1",
        "type/2",
    ]


@given(st.lists(events().filter(lambda e: "time" not in e.attributes), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_events_in_binary_mode_come_unchanged_through_the_trigger(sent: list[Event]) -> None:
    received = [
        a_received_event(
            n,
            event.data,
            {str(name): value for name, value in amqp_binding.encode(event).items()},
            **(
                {"content_type": event.text("datacontenttype")}
                if "datacontenttype" in event.attributes
                else {}
            ),
        )
        for n, event in enumerate(sent)
    ]
    arrivals = from_event_hub(converted(received), HOST)

    assert [arrival.content for arrival in arrivals] == sent


def test_seven_fractional_digits_come_unchanged_through_the_trigger() -> None:
    event = an_event(time="2024-03-05T08:14:22.1234567Z")
    properties = {str(name): value for name, value in amqp_binding.encode(event).items()}
    received = [a_received_event(0, event.data, properties, content_type="application/json")]

    (arrival,) = from_event_hub(converted(received), HOST)
    assert arrival.content == event


def test_an_empty_body_and_bytes_that_are_no_text_come_through() -> None:
    received = [a_received_event(0, b""), a_received_event(1, b"\xff\x00")]

    contents = [arrival.content for arrival in from_event_hub(converted(received), HOST)]
    assert [kept.body for kept in contents if isinstance(kept, Malformed)] == [b"", b"\xff\x00"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-21T19:00:00.123", datetime(2026, 11, 21, 19, 0, 0, 123000, UTC)),
        ("2026-11-21T19:00:00.1234567Z", datetime(2026, 11, 21, 19, 0, 0, 123456, UTC)),
        (None, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_utc(written: str | None, meant: datetime) -> None:
    system = [{"SequenceNumber": 1, "Offset": "1", "EnqueuedTimeUtc": written}]
    events_with_time = converted(
        [a_received_event()], SystemPropertiesArray=Datum(json.dumps(system), "json")
    )
    (arrival,) = from_event_hub(events_with_time, HOST)

    assert arrival.enqueued == meant
    assert arrival.enqueued.tzinfo is not None


@pytest.mark.parametrize("name", ["content-type", "ContentType"])
def test_the_content_type_stands_in_the_system_properties(name: str) -> None:
    system = [{"SequenceNumber": 1, "Offset": "1", name: "application/json"}]
    properties = {str(name): value for name, value in amqp_binding.encode(an_event()).items()}
    (arrival,) = from_event_hub(
        converted(
            [a_received_event(properties=properties)],
            SystemPropertiesArray=Datum(json.dumps(system), "json"),
        ),
        HOST,
    )

    assert isinstance(arrival.content, Event)
    assert arrival.content.text("datacontenttype") == "application/json"


def test_an_empty_batch_is_no_message() -> None:
    assert from_event_hub(converted([]), HOST) == []
    assert from_event_hub([], HOST) == []


def test_a_batch_without_application_properties_is_still_read() -> None:
    received = converted([a_received_event(0), a_received_event(1)])
    bare = [
        func.EventHubEvent(body=event.get_body(), sequence_number=event.sequence_number)
        for event in received
    ]

    found = from_event_hub(bare, HOST)
    kept = [arrival.content for arrival in found if isinstance(arrival.content, Malformed)]
    assert [arrival.place for arrival in found] == [("hub/0", 0, 0), ("hub/0", 1, 0)]
    assert [each.properties for each in kept] == [{}, {}]


@pytest.mark.parametrize("short", [[{"n": 0}], [{"n": 0}, {"n": 1}, {"n": 2}]])
def test_properties_that_do_not_match_the_bodies_are_never_paired_by_guess(
    short: list[Any],
) -> None:
    events_of_two = converted(
        [a_received_event(0), a_received_event(1)],
        PropertiesArray=Datum(json.dumps(short), "json"),
    )

    with pytest.raises(ValueError, match=r"zip\(\)"):
        from_event_hub(events_of_two, HOST)
