"""From what a trigger hands over to events; what can't be read stays as `Malformed`.

Three shapes arrive and are told apart by looking: CloudEvents in AMQP's binary mode (what
Azure Digital Twins writes to a hub), CloudEvents in JSON, and Event Grid's schema (what a topic
passes on to a hub).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from relay.event import REQUIRED, Event
from relay.formats import amqp_binding, event_grid_schema, json_format, verbatim_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    import azure.functions as func

    from relay.event import AttributeValue
    from relay.formats.amqp_binding import Properties

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_INT: Final = 2**31
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that is no event.

    Attributes:
        body: its bytes, as they arrived.
        properties: its application properties as text, for whoever looks into the matter.
        detail: what is wrong with it, in words.
    """

    body: bytes
    properties: Mapping[str, str]
    detail: str


@dataclass(frozen=True, slots=True)
class Message:
    """What arrives before it is read: a body with its properties, at a place in a lane.

    Attributes:
        lane: the ordered stream it arrived on, `<hub>/<partition>`.
        sequence: its number in the lane, rising.
        enqueued: when the lane took it in.
    """

    lane: str
    sequence: int
    enqueued: datetime
    body: bytes
    properties: Properties
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, or what should have been one, with its place in the order of arrival.

    Attributes:
        part: its number among the events of one message (a message may hold a batch).
    """

    lane: str
    sequence: int
    part: int
    enqueued: datetime
    content: Event | Malformed

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands in the order of arrival."""
        return self.lane, self.sequence, self.part


def read(message: Message, event_grid_source: str | None) -> Iterator[Arrival]:
    """Read a message; never raises: what is wrong comes out as `Malformed`.

    Args:
        message: what arrived.
        event_grid_source: the `source` of events in Event Grid's schema, which has none.
    """
    for part, content in enumerate(_contents(message, event_grid_source)):
        yield Arrival(message.lane, message.sequence, part, message.enqueued, content)


def _contents(message: Message, source: str | None) -> Iterator[Event | Malformed]:
    try:
        if amqp_binding.is_binary_mode(message.properties):
            yield _complete(
                amqp_binding.decode(message.properties, message.content_type, message.body)
            )
            return
        objects = _objects(message.body)
    except ValueError as error:
        yield _malformed(message, message.body, error)
        return
    for text, written in objects:
        try:
            yield _complete(_from_object(text, source))
        except ValueError as error:
            yield _malformed(message, written, error)


def _objects(body: bytes) -> Sequence[tuple[str, bytes]]:
    """Return each object as text, and as the bytes it was written in."""
    text = body.decode().removeprefix(_BYTE_ORDER_MARK)
    if not text.lstrip(" \t\r\n").startswith("["):
        return [(text, body)]
    elements = verbatim_json.elements(text)
    if not elements:
        raise ValueError("it is an empty array: no event is in it")
    return [(element, element.encode()) for element in elements]


def _from_object(text: str, source: str | None) -> Event:
    members = verbatim_json.members(text)
    if "specversion" in members:
        return json_format.decode(text)
    if not event_grid_schema.is_event_grid(members):
        raise ValueError(
            "it has neither cloudEvents: properties, nor specversion, nor Event Grid's schema"
        )
    if source is None:
        raise ValueError(
            "Event Grid's schema does not say which instance wrote the event: set "
            "INGRESS_EVENT_GRID_SOURCE to the instance's host name, or let the topic use the "
            "CloudEvents schema"
        )
    return event_grid_schema.decode(members, source)


def _complete(event: Event) -> Event:
    """Refuse what no destination could carry: attributes missing, or not of CloudEvents' types.

    Raises:
        ValueError: naming the attributes.
    """
    missing = [name for name in REQUIRED if not event.text(name)]
    if missing:
        raise ValueError(f"the required attributes {', '.join(missing)} are missing or empty")
    if event.text("specversion") != "1.0":
        raise ValueError(f"specversion is {event.text('specversion')!r}, not '1.0'")
    wrong = [name for name, value in event.attributes.items() if not _is_legal(name, value)]
    if wrong:
        raise ValueError(f"the attributes {wrong} hold no legal text or a too large integer")
    return event


def _is_legal(name: str, value: AttributeValue) -> bool:
    """Whether every transport can carry it: Unicode text, or an integer of 32 bits."""
    is_fit = -_INT <= value < _INT if isinstance(value, int) else not _SURROGATE.search(value)
    return is_fit and not _SURROGATE.search(name)


def _malformed(message: Message, body: bytes, error: ValueError) -> Malformed:
    properties = {_show(name): _show(value) for name, value in message.properties.items()}
    return Malformed(body, properties, str(error))


def _show(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def from_event_hub(events: Sequence[func.EventHubEvent]) -> list[Message]:
    """Take a batch of the Event Hubs trigger apart.

    In a batch every event carries the metadata of all, position by position
    (Azure/azure-functions-python-library, `azure/functions/eventhub.py`).
    """
    if not events:
        return []
    metadata: Mapping[str, Any] = events[0].metadata or {}
    nothing: list[dict[str, Any]] = [{}] * len(events)
    lane = _lane(metadata.get("PartitionContext") or {})
    rows = zip(
        events,
        metadata.get("PropertiesArray") or nothing,
        metadata.get("SystemPropertiesArray") or nothing,
        strict=True,
    )
    return [
        Message(
            lane=lane,
            sequence=event.sequence_number or 0,
            enqueued=_aware(event.enqueued_time),
            body=event.get_body(),
            properties=properties or {},
            content_type=_content_type(system or {}),
        )
        for event, properties, system in rows
    ]


def _lane(context: Mapping[str, Any]) -> str:
    return f"{context.get('EventHubName', 'hub')}/{context.get('PartitionId', '0')}"


def _aware(time: datetime | None) -> datetime:
    """The extension sends times without a zone; they are UTC."""
    if time is None:
        return _EPOCH
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _content_type(system: Mapping[str, Any]) -> str | None:
    value = system.get("content-type", system.get("ContentType"))
    return None if value is None else _show(value)
