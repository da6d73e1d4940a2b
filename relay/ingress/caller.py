"""What another part of the same app hands over: events, or CloudEvents as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.event import Event
from relay.ingress.arrivals import Arrival, Message, Order, number_of
from relay.ingress.reading import looked_at, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from relay.ingress.arrivals import Malformed

    type Given = Event | bytes | str
    """An event, or JSON with one or an array of them."""

LANE: Final = "app:"


def from_caller(
    given: Sequence[Given], received: datetime, source: str | None
) -> list[Arrival]:
    """Take what is given together; between calls there is no order, and no number.

    Args:
        given: events, or CloudEvents in JSON; what is neither stays as `Malformed`.
        received: when.
        source: the `source` of events in Event Grid's schema, which has none.
    """
    number = number_of(part for each in given for part in _bytes(each))
    contents = [
        content for each in given for content in _contents(each, number, received, source)
    ]
    return [
        Arrival(LANE, number, part, received, content, Order.NONE)
        for part, content in enumerate(contents)
    ]


def _contents(
    given: Given, number: int, received: datetime, source: str | None
) -> list[Event | Malformed]:
    body = _bytes(given)[-1]
    message = Message(LANE, number, received, body, {}, order=Order.NONE)
    if isinstance(given, Event):
        return [whole(message, lambda _: given)]
    return looked_at(message, source)


def _bytes(given: Given) -> tuple[bytes, ...]:
    """Return what tells it from everything else, its body last."""
    if isinstance(given, Event):
        attributes = repr(sorted(given.attributes.items()))
        return attributes.encode(errors="surrogatepass"), given.data
    return (given if isinstance(given, bytes) else given.encode(errors="surrogatepass"),)
