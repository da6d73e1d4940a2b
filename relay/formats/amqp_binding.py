"""The CloudEvents AMQP binding in binary mode, as Azure Digital Twins writes it.

Attributes are application properties under a prefix, `datacontenttype` is the message's
content type, and the body is the data. Follows
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/amqp-protocol-binding.md;
`_` beside `:` in the prefix is newer text (cloudevents/spec#1050).
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from relay.event import Event
from relay.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.event import AttributeValue

PREFIX: Final = "cloudEvents:"
CONTENT_TYPE: Final = "datacontenttype"

_PREFIXES: Final = (PREFIX, "cloudEvents_")
_BYTES_PREFIXES: Final = (b"cloudEvents:", b"cloudEvents_")
_DATA_NAMES: Final = frozenset({"data", "data_base64"})

type Properties = Mapping[str | bytes, object]
"""Application properties as SDKs and hosts hand them over: names and values text or bytes."""


def is_binary_mode(properties: Properties) -> bool:
    """Whether a message with these application properties is a CloudEvent in binary mode."""
    for written in properties:  # noqa: SIM110 - mostly the first is one
        if _is_attribute(written):
            return True
    return False


def decode_usual(properties: Properties, content_type: str | None, body: bytes) -> Event | None:
    """Read an event as nearly all are: each property an attribute, and all ASCII text.

    Returns `None` where it is not: `decode` reads that too, and both read the same.
    """
    try:
        attributes: dict[str, Any] = {
            _USUAL[written]: value for written, value in properties.items()
        }
        is_usual = len(attributes) == len(properties) and "".join(attributes.values()).isascii()
    except (KeyError, TypeError):
        return None
    if not is_usual:
        return None
    if content_type is not None:
        attributes[CONTENT_TYPE] = content_type
    return Event(
        MappingProxyType(attributes), body, content_type is None or content_type.isascii()
    )


def decode(properties: Properties, content_type: str | None, body: bytes) -> Event:
    """Read an event from a message; properties without the prefix are not the event's.

    Raises:
        ValueError: a name or a value can be no attribute of a CloudEvent.
    """
    attributes: dict[str, AttributeValue] = {}
    for written, value in properties.items():
        if value is None or (name := _name(written)) is None:
            continue
        if name in attributes or name in _DATA_NAMES:
            raise ValueError(f"the property {_text(written)!r} stands twice or is no attribute")
        attributes[name] = value if type(value) is str else _value(name, value)
    if content_type is not None:
        attributes[CONTENT_TYPE] = content_type
    return Event(attributes, body)


def encode(event: Event) -> dict[str | bytes, Any]:
    """Return the application properties; data type and data go where the message keeps them."""
    return {
        PREFIX + name: value for name, value in event.attributes.items() if name != CONTENT_TYPE
    }


def _is_attribute(written: str | bytes) -> bool:
    """Whether a property is the event's; the others need not even be text."""
    if isinstance(written, bytes):
        return written.startswith(_BYTES_PREFIXES)
    return written.startswith(_PREFIXES)


def _usual(written: str | bytes) -> str:
    """Return the name of the attribute that a property is.

    Raises:
        KeyError: it is none, or not a usual one.
    """
    name = _name(written) if written.isascii() else None
    if name is None or name in _DATA_NAMES:
        raise KeyError(written)
    return name


_USUAL: Final = Memo(_usual)


@lru_cache(maxsize=64)
def _name(written: str | bytes) -> str | None:
    """Return the name of the attribute that a property is; `None` if it is none."""
    return _text(written)[len(PREFIX) :] if _is_attribute(written) else None


def _value(name: str, value: object) -> AttributeValue:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, str | bool | int):
        return value
    raise ValueError(f"the attribute {name!r} is neither text, integer nor boolean")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
