"""What an event looks like on the wire of both services."""

from __future__ import annotations

from typing import Any

import pytest
from azure.eventhub import EventDataBatch
from azure.servicebus import ServiceBusMessageBatch
from hypothesis import given, settings

from relay.event import Event
from relay.formats import amqp_binding
from relay.routing import key
from relay.sinks import event_hub, service_bus
from tests.fakes import an_event
from tests.relay.event_texts import events

quickly = settings(max_examples=100, deadline=None)


def body_of(message: Any) -> bytes:
    return b"".join(message.body)


@given(events())
@quickly
def test_an_event_goes_to_a_hub_with_all_its_attributes_and_bytes(event: Event) -> None:
    message = event_hub.message(event)

    assert event == amqp_binding.decode(
        message.properties, message.content_type, body_of(message)
    )
    EventDataBatch(100_000).add(message)


@given(events())
@quickly
def test_an_event_goes_to_a_queue_with_all_its_attributes_and_bytes(event: Event) -> None:
    message = service_bus.message(event, session=False)

    assert event == amqp_binding.decode(
        message.application_properties or {}, message.content_type, body_of(message)
    )
    ServiceBusMessageBatch(100_000).add_message(message)


def test_the_properties_are_those_that_azure_digital_twins_writes() -> None:
    expected = {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": "5d4c",
        "cloudEvents:source": "plant-a.api.weu.digitaltwins.azure.net",
        "cloudEvents:type": "Microsoft.DigitalTwins.Twin.Update",
        "cloudEvents:subject": "pump-17",
        "cloudEvents:time": "2024-03-05T08:14:22.1234567Z",
        "cloudEvents:traceparent": "00-1-2-01",
    }
    event = an_event(time="2024-03-05T08:14:22.1234567Z", traceparent="00-1-2-01")

    assert event_hub.message(event).properties == expected
    assert service_bus.message(event, session=False).application_properties == expected


def test_the_data_type_is_the_messages_content_type() -> None:
    event = an_event(datacontenttype="application/json-patch+json; charset=utf-8")

    assert (
        event_hub.message(event).content_type
        == service_bus.message(event, session=False).content_type
        == "application/json-patch+json; charset=utf-8"
    )


def test_an_event_without_a_data_type_gets_none() -> None:
    event = Event({"specversion": "1.0", "id": "1", "source": "s", "type": "t"})

    assert event_hub.message(event).content_type is None
    assert service_bus.message(event, session=False).content_type is None


def test_the_id_is_the_messages_id() -> None:
    assert event_hub.message(an_event(id="42")).message_id == "42"
    assert service_bus.message(an_event(id="42"), session=False).message_id == "42"


@pytest.mark.parametrize("length", [1, 128, 129, 70_000])
def test_an_id_of_any_length_travels_whole_as_an_attribute(length: int) -> None:
    event = an_event(id="x" * length)
    hub, bus = event_hub.message(event), service_bus.message(event, session=True)
    properties = bus.application_properties or {}

    assert hub.properties["cloudEvents:id"] == properties["cloudEvents:id"] == event.id
    assert (hub.message_id == event.id) is (length <= 128)
    assert (bus.message_id == event.id) is (length <= 128)


@pytest.mark.parametrize(
    "subject", ["pump-17", "x" * 128, "x" * 129, "", "pump/relationships/r"]
)
def test_the_key_is_the_session_where_sessions_are_wanted(subject: str) -> None:
    event = an_event(subject=subject)

    assert service_bus.message(event, session=True).session_id == key(event)
    assert service_bus.message(event, session=False).session_id is None


def test_nothing_else_is_invented() -> None:
    message = service_bus.message(an_event(), session=False)

    assert (
        message.time_to_live,
        message.scheduled_enqueue_time_utc,
        message.partition_key,
        message.subject,
        message.to,
        message.reply_to,
        message.correlation_id,
    ) == (None,) * 7
    assert event_hub.message(an_event()).correlation_id is None
