"""Any event, in any encoding, leaves for both kinds of destinations as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.servicebus import ServiceBusMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import Event
from relay.formats import amqp_binding, json_format
from relay.ingress import Arrival, Message, Order, from_caller, from_event_grid, from_http, read
from relay.sinks import event_hub, service_bus
from tests.fakes import NOON
from tests.relay.event_texts import events
from tests.relay.http_requests import as_text, batched, in_binary_mode, structured


def by_amqp(event: Event) -> Iterable[Arrival]:
    """In binary mode, as from a hub or from Service Bus."""
    told = event.attributes.get("datacontenttype")
    content_type = None if told is None else str(told)
    properties = amqp_binding.encode(event)
    return read(Message("l", 1, NOON, event.data, properties, content_type), None)


def by_json(event: Event) -> Iterable[Arrival]:
    """In JSON, as from a hub that Event Grid writes to."""
    body = json_format.encode(event).encode()
    return read(Message("l", 1, NOON, body, {}, order=Order.RISING), None)


ENCODINGS: dict[str, Callable[[Event], Iterable[Arrival]]] = {
    "amqp": by_amqp,
    "json": by_json,
    "event grid": lambda event: from_event_grid(json_format.encode(event), NOON, None),
    "http structured": lambda event: from_http(*structured(event), NOON, None),
    "http batched": lambda event: from_http(*batched([event]), NOON, None),
    "value": lambda event: from_caller([event], NOON, None),
    "text": lambda event: from_caller([json_format.encode(event)], NOON, None),
}


def of_event_hubs(message: EventData) -> Event:
    """Read what leaves for a hub by a reader of its own."""
    return decoded(message.properties, message.content_type, message.body)


def of_service_bus(message: ServiceBusMessage) -> Event:
    """Read what leaves for Service Bus by a reader of its own."""
    return decoded(message.application_properties or {}, message.content_type, message.body)


def decoded(properties: Any, content_type: str | None, body: Iterable[bytes] | bytes) -> Event:
    attributes = {
        (name.decode() if isinstance(name, bytes) else name).removeprefix("cloudEvents:"): value
        for name, value in properties.items()
    }
    if content_type:
        attributes["datacontenttype"] = content_type
    return Event(attributes, body if isinstance(body, bytes) else b"".join(body))


def leaves(arrivals: Iterable[Arrival]) -> list[Event]:
    (arrival,) = arrivals
    event = arrival.content
    assert isinstance(event, Event)
    bus = service_bus.message(event, session=True)
    return [of_event_hubs(event_hub.message(event)), of_service_bus(bus)]


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_event_leaves_with_the_attributes_and_bytes_it_came_with(
    encoding: str, data: st.DataObject
) -> None:
    event = data.draw(events())

    assert [event, event] == leaves(ENCODINGS[encoding](event))


@settings(max_examples=100, deadline=None)
@given(events())
def test_an_event_in_https_binary_mode_leaves_with_its_values_as_text(event: Event) -> None:
    text = as_text(event)

    assert [text, text] == leaves(from_http(*in_binary_mode(event), NOON, None))
