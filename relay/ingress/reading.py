"""From a message to events in their order of arrival; what can't be read stays as `Malformed`.

Three shapes arrive and are told apart by looking: CloudEvents in AMQP's binary mode (what
Azure Digital Twins writes to a hub or a Service Bus topic), CloudEvents in JSON, and Event
Grid's schema (what a topic passes on).
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from relay.event import REQUIRED, Event
from relay.formats import amqp_binding, event_grid_schema, json_format, verbatim_json
from relay.ingress.arrivals import Arrival, Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from relay.event import AttributeValue
    from relay.ingress.arrivals import Message

    type Written = tuple[str, bytes]
    """An object as text, and as the bytes it was written in."""

_VERSION: Final = "1.0"
_required: Final = itemgetter(*REQUIRED)
_INT: Final = 2**31
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
MOST_EVENTS: Final = 20_000
"""Elements of a batch: a message of commas only would become millions of dead letters."""
_BYTE_ORDER_MARK: Final = "\ufeff"


def read_usual(
    properties: Mapping[Any, object], content_type: str | None, body: bytes
) -> Event | None:
    """Read what nearly every message of a hub is; `None` where `read` must look closer."""
    event = amqp_binding.decode_usual(properties, content_type, body)
    return event if event is not None and _has_what_it_must(event) else None


def read(message: Message, event_grid_source: str | None) -> list[Arrival]:
    """Read a message; never raises: what is wrong comes out as `Malformed`.

    Args:
        message: what arrived.
        event_grid_source: the `source` of events in Event Grid's schema, which has none.
    """
    usual = read_usual(message.properties, message.content_type, message.body)
    if usual is not None:
        return [_placed(message, 0, usual)]
    return read_closely(message, event_grid_source)


def read_closely(message: Message, event_grid_source: str | None) -> list[Arrival]:
    """Read a message that is not what nearly every one is, as `read` does."""
    if amqp_binding.is_binary_mode(message.properties):
        return [_placed(message, 0, whole(message, _from_amqp))]
    return placed(message, looked_at(message, event_grid_source))


def placed(message: Message, contents: Iterable[Event | Malformed]) -> list[Arrival]:
    """Give what is in a message its place in the order of arrival."""
    return [_placed(message, part, content) for part, content in enumerate(contents)]


def _placed(message: Message, part: int, content: Event | Malformed) -> Arrival:
    lane, sequence, order = message.lane, message.sequence, message.order
    return Arrival(lane, sequence, part, message.enqueued, content, order)


def whole(message: Message, decode: Callable[[Message], Event]) -> Event | Malformed:
    """Read a message that is one event."""
    try:
        return complete(decode(message))
    except ValueError as error:
        return _malformed(message, message.body, error)


def looked_at(message: Message, source: str | None) -> list[Event | Malformed]:
    """Read JSON of which nobody says what it is: one object or an array, in either schema."""
    return each(message, _objects, lambda text: _from_object(text, source))


def each(
    message: Message,
    split: Callable[[bytes], Sequence[Written]],
    decode: Callable[[str], Event],
) -> list[Event | Malformed]:
    """Read every object in a message; one that is no event harms no other."""
    try:
        objects = split(message.body)
    except ValueError as error:
        return [_malformed(message, message.body, error)]
    found: list[Event | Malformed] = []
    for text, written in objects:
        try:
            found.append(complete(decode(text)))
        except ValueError as error:
            found.append(_malformed(message, written, error))
    return found


def one(body: bytes) -> Sequence[Written]:
    """Take a body as one object.

    Raises:
        ValueError: it is no UTF-8.
    """
    return [(body.decode().removeprefix(_BYTE_ORDER_MARK), body)]


def many(body: bytes) -> Sequence[Written]:
    """Take a body as an array of objects; an empty one is no trouble.

    Raises:
        ValueError: it is no UTF-8, does not begin or end as an array, or holds too much.
    """
    text = body.decode().removeprefix(_BYTE_ORDER_MARK)
    found = verbatim_json.elements(text, MOST_EVENTS)
    return [(element, element.encode()) for element in found]


def _objects(body: bytes) -> Sequence[Written]:
    [(text, _)] = one(body)
    if not text.lstrip(" \t\r\n").startswith("["):
        return [(text, body)]
    elements = many(body)
    if not elements:
        raise ValueError("it is an empty array: no event is in it")
    return elements


def _from_amqp(message: Message) -> Event:
    return amqp_binding.decode(message.properties, message.content_type, message.body)


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


def complete(event: Event) -> Event:
    """Refuse what no destination could carry: attributes missing, or not of CloudEvents' types.

    Raises:
        ValueError: naming the attributes.
    """
    attributes = event.attributes
    if _has_what_it_must(event):
        return event  # as mostly: ASCII text is legal
    missing = [name for name in REQUIRED if not attributes.get(name) and not event.text(name)]
    if missing:
        raise ValueError(f"the required attributes {', '.join(missing)} are missing or empty")
    if event.text("specversion") != _VERSION:
        raise ValueError(f"specversion is {event.text('specversion')!r}, not {_VERSION!r}")
    wrong = [name for name, value in attributes.items() if not _is_legal(name, value)]
    if wrong:
        raise ValueError(f"the attributes {wrong} hold no legal text or a too large integer")
    return event


def _has_what_it_must(event: Event) -> bool:
    """Whether it is ASCII text, which is legal, and has the required attributes, as mostly."""
    try:
        version, id_, source, type_ = _required(event.attributes)
    except KeyError:
        return False
    return bool(event.is_plain and version == _VERSION and id_ and source and type_)


def _is_legal(name: str, value: AttributeValue) -> bool:
    """Whether every transport can carry it: Unicode text, or an integer of 32 bits."""
    is_fit = -_INT <= value < _INT if isinstance(value, int) else not _SURROGATE.search(value)
    return is_fit and not _SURROGATE.search(name)


def _malformed(message: Message, body: bytes, error: ValueError) -> Malformed:
    properties = {shown(name): shown(value) for name, value in message.properties.items()}
    return Malformed(body, properties, str(error))
