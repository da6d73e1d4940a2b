"""What an independent reader sees: messages, and the CloudEvents in them.

Nothing here comes from the relay: an audit that shared its decoder would share its mistakes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "cloudEvents:"
STRUCTURED: Final = "application/cloudevents"
REQUIRED: Final = ("specversion", "id", "source", "type")

_DECODER: Final = json.JSONDecoder()

type Key = tuple[str, str]
"""An event's `source` and `id`, which together name it."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it was read back.

    Attributes:
        stream: which ordered stream of its entity it stood in: the partition or the session.
        properties: the application properties, text decoded.
        body: the bytes of the body.
        content_type: AMQP's `content-type`.
        message_id: AMQP's `message-id`.
        enqueued: when a hub took it in, seconds since 1970; it makes no message another one.
    """

    stream: str
    properties: Mapping[str, object]
    body: bytes
    content_type: str | None = None
    message_id: str | None = None
    enqueued: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Observed:
    """A CloudEvent as the audit reads it out of a message, whatever its shape.

    Attributes:
        attributes: by their plain names; `datacontenttype` is one of them.
        data: the bytes of the data, as they stood on the wire.
    """

    attributes: Mapping[str, object]
    data: bytes

    @property
    def type(self) -> str:
        """The event's `type`."""
        return str(self.attributes["type"])

    @property
    def key(self) -> Key:
        """The event's `source` and `id`."""
        return str(self.attributes["source"]), str(self.attributes["id"])

    @property
    def twin(self) -> str:
        """The twin: the end of telemetry's `source`, else the beginning of `subject`."""
        if self.type == "microsoft.iot.telemetry":
            return str(self.attributes["source"]).split("/")[-1]
        return str(self.attributes.get("subject", "")).split("/")[0]

    @property
    def body(self) -> Mapping[str, object]:
        """The data as a JSON object; empty when it is none."""
        try:
            value = json.loads(self.data)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def observe(message: Received) -> Observed | None:
    """Return the event in a message, `None` if there is none that can be read."""
    if is_binary(message):
        return _complete(_binary(message))
    if (message.content_type or "").startswith(STRUCTURED):
        return _complete(_structured(message))
    return None


def is_binary(message: Received) -> bool:
    """Whether the message is in CloudEvents' AMQP binary mode."""
    return any(name.startswith(PREFIX) for name in message.properties)


def _binary(message: Received) -> Observed:
    attributes = {
        name.removeprefix(PREFIX): value
        for name, value in message.properties.items()
        if name.startswith(PREFIX)
    }
    if message.content_type is not None:
        attributes["datacontenttype"] = message.content_type
    return Observed(attributes, message.body)


def _structured(message: Received) -> Observed | None:
    """Read the attributes; the data's bytes are cut out of the body as they stand there."""
    try:
        text = message.body.decode()
        if not isinstance(json.loads(text), dict):
            return None
    except ValueError:
        return None
    members = dict(_members(text))
    data = members.pop("data", "")
    return Observed({name: json.loads(text) for name, text in members.items()}, data.encode())


def _members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the members of a JSON object: each name, and its value's text untouched."""
    position = text.index("{") + 1
    while (start := _skip(text, position, " \t\r\n,")) < text.rindex("}"):
        name, end = _DECODER.raw_decode(text, start)
        start = _skip(text, end, " \t\r\n:")
        _, position = _DECODER.raw_decode(text, start)
        yield name, text[start:position]


def _skip(text: str, position: int, characters: str) -> int:
    return position + len(text[position:]) - len(text[position:].lstrip(characters))


def _complete(event: Observed | None) -> Observed | None:
    """Return the event if it has what makes it one."""
    if event is None or any(not event.attributes.get(name) for name in REQUIRED):
        return None
    return event
