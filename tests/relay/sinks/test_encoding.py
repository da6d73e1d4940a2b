"""Ready bytes are the SDKs' own, whatever the event."""

from __future__ import annotations

import pytest
from azure.eventhub import EventData, EventDataBatch
from azure.servicebus import ServiceBusMessageBatch, ServiceBusReceivedMessage
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay.event import Event
from relay.formats import amqp_binding
from relay.routing import key
from relay.sinks import event_hub, service_bus
from relay.sinks.encoding import encoded, placed_by
from tests.fakes import an_event
from tests.relay.event_texts import events

ROOM = 4_000_000
EDGES = (0, 1, 127, 128, 129, 252, 253, 254, 255, 256, 257, 65_535, 65_536)
"""Lengths around those at which AMQP, or a quota, takes another form."""

thoroughly = settings(max_examples=300, deadline=None)


def by_hub_sdk(event: Event, partition_key: str = "") -> bytes:
    batch = EventDataBatch(ROOM, partition_key=partition_key or None)
    batch.add(event_hub.message(event))
    return bytes(batch._message.data[0])


def by_bus_sdk(event: Event, *, session: bool) -> bytes:
    batch = ServiceBusMessageBatch(ROOM)
    batch.add_message(service_bus.message(event, session=session))
    return bytes(batch._message[5][0])


@st.composite
def long_events(draw: st.DrawFn) -> Event:
    """Events of which something is about as long as a form of AMQP allows."""
    event, length = draw(events()), draw(st.sampled_from(EDGES))
    text = draw(st.sampled_from("aüЖ😀")) * length
    where = draw(st.sampled_from(["id", "subject", "datacontenttype", "n" * length, "data"]))
    if where == "data":
        return Event(event.attributes, text.encode())
    text = text or "-"
    return Event({**event.attributes, where: text}, event.data)


@given(events() | long_events())
@example(an_event(least=-(2**31), most=2**31 - 1, low=-129, small=-128, large=127, more=128))
@example(Event({f"id{n or ''}": str(n) for n in range(127)}))
@example(Event({f"id{n or ''}": str(n) for n in range(128)}))
@thoroughly
def test_an_event_is_written_as_both_sdks_write_it(event: Event) -> None:
    assert encoded(event) == by_hub_sdk(event) == by_bus_sdk(event, session=False)


@given(events() | long_events())
@thoroughly
def test_a_session_is_written_as_the_sdk_writes_it(event: Event) -> None:
    if key(event):
        assert encoded(event, key(event)) == by_bus_sdk(event, session=True)


@given(events(), st.text(min_size=1, max_size=140))
@thoroughly
def test_a_partition_key_is_written_as_the_sdk_writes_it(event: Event, name: str) -> None:
    assert placed_by(name) + encoded(event) == by_hub_sdk(event, name)


@given(events())
@thoroughly
def test_the_sdks_read_the_same_event(event: Event) -> None:
    received = ServiceBusReceivedMessage.from_bytes(encoded(event, key(event)))
    hub = EventData.from_bytes(encoded(event))

    for properties, message in (
        (received.application_properties or {}, received),
        (hub.properties, hub),
    ):
        body = b"".join(message.body)
        assert event == amqp_binding.decode(properties, message.content_type, body)
    assert received.session_id == key(event)


@pytest.mark.parametrize(("value", "error"), [("\ud800", UnicodeError), (2**31, OverflowError)])
def test_what_no_message_can_hold_is_an_error_of_the_events_own(
    value: str | int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        encoded(an_event(odd=value))
