"""What an HTTP request brings: CloudEvents in any content mode, or Event Grid's schema."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from relay.formats import http_binding, json_format
from relay.ingress.arrivals import Message, Order, number_of
from relay.ingress.reading import each, looked_at, many, one, placed, whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from relay.event import Event
    from relay.ingress.arrivals import Arrival, Malformed

LANE: Final = "http:"
UNDERSTOOD: Final = (json_format.EVENT_TYPE, json_format.BATCH_TYPE, "application/json")
"""The media types of bodies that hold events; with `ce-` headers a body may be anything."""

_CLOUDEVENTS: Final = "application/cloudevents"
_CHARSETS: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})
_CHARSET: Final = re.compile(r'(?:^|;)\s*charset\s*=\s*"?([^\s;"]*)')
_KEPT: Final = ("ce-", "aeg-", "webhook-request-", "content-", "user-agent", "traceparent")
"""How headers begin that a dead letter keeps; tokens and cookies are none of them."""
_TELLING: Final = ("ce-", "content-type")
"""How headers begin that are the same when a sender repeats a request."""


class Mode(StrEnum):
    """How a request carries events."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCHED = "batched"
    UNSAID = "unsaid"
    """As plain JSON: what it is, is seen by looking."""


class NotUnderstoodError(Exception):
    """The headers announce what the relay can't read; the text says what it can."""


def mode_of(headers: Mapping[str, str]) -> Mode:
    """Return how a request with these headers, names in lower case, carries events.

    Raises:
        NotUnderstoodError: in no way that the relay can read.
    """
    media_type, charset = _content_type(headers.get("content-type", ""))
    if http_binding.is_binary_mode(headers) and not media_type.startswith(_CLOUDEVENTS):
        return Mode.BINARY
    if media_type not in UNDERSTOOD:
        said = f"the content type {media_type!r}" if media_type else "a body of no content type"
        raise NotUnderstoodError(
            f"{said} holds no events that can be read: send {', '.join(UNDERSTOOD)}, or the "
            "attributes as ce- headers"
        )
    if charset not in _CHARSETS:
        raise NotUnderstoodError(f"JSON in the charset {charset!r} is not read: send UTF-8")
    return _MODES[media_type]


_MODES: Final = {
    json_format.EVENT_TYPE: Mode.STRUCTURED,
    json_format.BATCH_TYPE: Mode.BATCHED,
    "application/json": Mode.UNSAID,
}


def from_http(
    headers: Mapping[str, str], body: bytes, received: datetime, source: str | None
) -> list[Arrival]:
    """Read a request; HTTP keeps no order, and gives no number.

    Args:
        headers: their names in lower case.
        body: its bytes.
        received: when it came.
        source: the `source` of events in Event Grid's schema, which has none.

    Raises:
        NotUnderstoodError: the headers announce what the relay can't read.
    """
    mode = mode_of(headers)
    kept = {name: headers[name] for name in sorted(headers) if name.startswith(_KEPT)}
    telling = [f"{name}: {value}" for name, value in kept.items() if name.startswith(_TELLING)]
    number = number_of([body, *(line.encode(errors="surrogatepass") for line in telling)])
    message = Message(LANE, number, received, body, kept, order=Order.NONE)
    return placed(message, _contents(message, mode, headers, source))


def _contents(
    message: Message, mode: Mode, headers: Mapping[str, str], source: str | None
) -> list[Event | Malformed]:
    match mode:
        case Mode.BINARY:
            return [whole(message, lambda it: http_binding.decode(headers, it.body))]
        case Mode.STRUCTURED:
            return each(message, one, json_format.decode)
        case Mode.BATCHED:
            return each(message, many, json_format.decode)
        case Mode.UNSAID:
            return looked_at(message, source)


def _content_type(written: str) -> tuple[str, str]:
    """Return the media type and the charset, both in lower case, `""` for what is not said."""
    media_type, _, parameters = written.lower().partition(";")
    charset = _CHARSET.search(parameters)
    return media_type.strip(), charset[1] if charset else ""
