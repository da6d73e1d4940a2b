"""Messages of Service Bus become events, each on the lane that keeps what order there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from azure.functions.meta import Datum
from azure.functions.servicebus import ServiceBusMessageInConverter
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.functions.messages import Data
from lab.functions.service_bus_data import ReceivedMessage, batch
from relay.dead_letters import Fate, blob_name
from relay.event import Event
from relay.formats import amqp_binding
from relay.ingress import Arrival, Entity, Malformed, Order, from_service_bus
from tests.fakes import NOON, an_event
from tests.relay.event_texts import events

QUEUE = Entity("twin-events")
SESSIONS = Entity("twin-events/relay", session=True)
BARE = Event({"specversion": "1.0", "id": "1", "source": "s", "type": "t"})


@dataclass(frozen=True)
class Received:
    """A message as the host has it."""

    body: bytes = b"{}"
    sequence: int | None = 1
    session: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    enqueued: str | None = "2026-03-05T12:00:00"


def many(received: Sequence[Received]) -> list[func.ServiceBusMessage]:
    """Let the library's own converter make the objects that the function gets for a batch."""
    bodies = SimpleNamespace(bytes=[each.body for each in received])
    arrays = {
        "UserPropertiesArray": [each.properties for each in received],
        "ApplicationPropertiesArray": [each.properties for each in received],
        "SequenceNumberArray": [each.sequence for each in received],
        "SessionIdArray": [each.session for each in received],
        "ContentTypeArray": [each.content_type for each in received],
        "EnqueuedTimeUtcArray": [each.enqueued for each in received],
    }
    decoded: list[func.ServiceBusMessage] = ServiceBusMessageInConverter.decode(
        Datum(bodies, "collection_bytes"),
        trigger_metadata={
            name: Datum(json.dumps(value), "json") for name, value in arrays.items()
        },
    )
    return decoded


def one(received: Received, *, kind: str = "bytes") -> func.ServiceBusMessage:
    """Let the converter make the object of a single message."""
    texts = {
        "SessionId": received.session,
        "ContentType": received.content_type,
        "EnqueuedTimeUtc": received.enqueued,
    }
    metadata = {name: Datum(text, "string") for name, text in texts.items() if text is not None}
    properties = Datum(json.dumps(received.properties), "json")
    metadata |= {"UserProperties": properties, "ApplicationProperties": properties}
    if received.sequence is not None:
        metadata["SequenceNumber"] = Datum(received.sequence, "int")
    body = received.body if kind == "bytes" else received.body.decode()
    return ServiceBusMessageInConverter.decode(Datum(body, kind), trigger_metadata=metadata)


def arrivals(messages: Sequence[func.ServiceBusMessage], entity: Entity) -> list[Arrival]:
    return from_service_bus(messages, entity, None)


@given(st.lists(events(), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_events_in_binary_mode_come_through_unchanged_in_a_batch_and_one_by_one(
    sent: list[Any],
) -> None:
    received = [
        Received(
            event.data,
            number,
            properties={str(name): value for name, value in amqp_binding.encode(event).items()},
            content_type=event.attributes.get("datacontenttype"),
        )
        for number, event in enumerate(sent)
    ]

    assert sent == [arrival.content for arrival in arrivals(many(received), QUEUE)]
    assert sent == [
        arrival.content for each in received for arrival in arrivals([one(each)], QUEUE)
    ]


def test_a_session_is_a_lane_and_its_numbers_rise() -> None:
    received = [Received(sequence=7, session="pump-1"), Received(sequence=9, session="b/~")]
    found = arrivals(many(received), SESSIONS)

    assert [
        ("servicebus:twin-events/relay/pump-1", 7),
        ("servicebus:twin-events/relay/b/~", 9),
    ] == [(each.lane, each.sequence) for each in found]
    assert {Order.RISING} == {each.order for each in found}
    assert {NOON} == {each.enqueued for each in found}


def test_an_entity_without_sessions_is_one_lane_that_promises_no_order() -> None:
    """Also for messages that carry a session id, which such an entity ignores."""
    found = arrivals(many([Received(sequence=7, session="x"), Received(sequence=9)]), QUEUE)

    assert [("servicebus:twin-events", 7), ("servicebus:twin-events", 9)] == [
        (each.lane, each.sequence) for each in found
    ]
    assert {Order.NONE} == {each.order for each in found}


@pytest.mark.parametrize("session", ["", "x" * 128, "ü" * 128, "\U0001f600" * 128, "a/b~c=%"])
def test_whatever_a_session_is_called_its_dead_letters_have_a_name_that_blob_takes(
    session: str,
) -> None:
    (arrival,) = arrivals([one(Received(session=session))], Entity("t" * 260, session=True))
    (other,) = arrivals([one(Received(session=session + "2"))], Entity("t" * 260, session=True))
    name = blob_name("r" * 50, [arrival], Fate.WAITING)

    assert len(name) < 1024
    assert arrival.lane != other.lane


def test_a_message_without_a_number_gets_one_from_its_bytes() -> None:
    numbers = [
        arrivals([one(Received(body, None))], QUEUE)[0].sequence for body in (b"1", b"2", b"1")
    ]

    assert numbers[0] == numbers[2] != numbers[1]


@pytest.mark.parametrize("kind", ["bytes", "string", "json"])
def test_a_body_may_come_as_bytes_or_as_text(kind: str) -> None:
    (arrival,) = arrivals([one(Received(b'{"a": 1.0}'), kind=kind)], QUEUE)

    assert isinstance(arrival.content, Malformed)
    assert b'{"a": 1.0}' == arrival.content.body


def test_a_message_without_a_body_or_properties_is_kept() -> None:
    metadata = {"UserProperties": Datum("{}", "json")}
    message = ServiceBusMessageInConverter.decode(None, trigger_metadata=metadata)
    (arrival,) = arrivals([message], QUEUE)

    assert isinstance(arrival.content, Malformed)
    assert b"" == arrival.content.body
    assert datetime(1970, 1, 1, tzinfo=UTC) == arrival.enqueued


def test_a_structured_batch_in_one_message_keeps_its_neighbours() -> None:
    good = '{"specversion":"1.0","id":"1","source":"s","type":"t"}'
    found = arrivals([one(Received(f"[{good}, x, {good}]".encode()))], QUEUE)

    assert [0, 1, 2] == [arrival.part for arrival in found]
    assert isinstance(found[1].content, Malformed)
    assert found[0].content == found[2].content != an_event()


# A batch as the host brings it: empty texts are left out of its arrays


def as_the_host_does(*content_types: str | None) -> list[func.ServiceBusMessage]:
    data = batch(
        [
            ReceivedMessage(
                body=b"{}",
                message_id=str(number),
                sequence_number=number,
                enqueued_time=NOON,
                lock_token="l",
                delivery_count=1,
                content_type=content_type,
                properties={
                    str(name): value for name, value in amqp_binding.encode(BARE).items()
                },
            )
            for number, content_type in enumerate(content_types)
        ],
        binary=True,
    )

    def typed(value: Data) -> Datum:
        if value.kind.startswith("collection_"):
            items = {value.kind.removeprefix("collection_"): value.value}
            return Datum(SimpleNamespace(**items), value.kind)
        return Datum(value.value, value.kind)

    decoded: list[func.ServiceBusMessage] = ServiceBusMessageInConverter.decode(
        typed(data.input),
        trigger_metadata={name: typed(value) for name, value in data.metadata.items()},
    )
    return decoded


@pytest.mark.parametrize("told", [("a/b", "c/d"), (None, None), (None,), ("a/b",)], ids=str)
def test_content_types_that_all_or_none_of_a_batch_have_are_told_apart(
    told: tuple[str | None, ...],
) -> None:
    found = from_service_bus(as_the_host_does(*told), QUEUE, None)

    contents = [each.content for each in found if isinstance(each.content, Event)]
    assert told == tuple(event.attributes.get("datacontenttype") for event in contents)
    assert list(range(len(told))) == [arrival.sequence for arrival in found]


@pytest.mark.parametrize("told", [("a/b", None), (None, "a/b"), (None, "a/b", None)], ids=str)
def test_content_types_that_cannot_be_told_apart_stop_the_batch_with_the_remedy(
    told: tuple[str | None, ...],
) -> None:
    """By position, the library would give a message the type of another."""
    with pytest.raises(ValueError, match="set INGRESS_BATCHES to false"):
        from_service_bus(as_the_host_does(*told), QUEUE, None)
