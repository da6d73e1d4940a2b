"""The CloudEvents HTTP binding in binary mode: attributes in headers, data as the body.

Follows
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from relay.event import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.event import AttributeValue

PREFIX: Final = "ce-"
CONTENT_TYPE: Final = "content-type"

_NOT_IN_HEADERS: Final = frozenset({"", "data", "data_base64", "datacontenttype"})
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")


def is_binary_mode(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers, names in lower case, is an event in binary mode."""
    return any(name.startswith(PREFIX) for name in headers)


def decode(headers: Mapping[str, str], body: bytes) -> Event:
    """Read an event; headers without the prefix are not the event's.

    Raises:
        ValueError: a name or a value can be no attribute of a CloudEvent.
    """
    attributes: dict[str, AttributeValue] = {}
    for header, value in headers.items():
        if header.startswith(PREFIX):
            name = header.removeprefix(PREFIX)
            if name in _NOT_IN_HEADERS:
                raise ValueError(f"the header {header!r} is no attribute in binary mode")
            attributes[name] = _value(header, value)
    content_type = headers.get(CONTENT_TYPE)
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return Event(attributes, body)


def _value(header: str, written: str) -> str:
    quoted = _QUOTED.fullmatch(written)
    if quoted is not None:
        written = _ESCAPED.sub(r"\1", quoted[1])
    try:
        return unquote_to_bytes(written).decode()
    except UnicodeError as error:
        raise ValueError(f"the header {header!r} is no UTF-8 in percent encoding") from error
