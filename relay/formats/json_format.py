"""The CloudEvents JSON format, with data carried as the text that it was.

Follows https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Final

from relay.event import Event
from relay.formats import verbatim_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.event import AttributeValue

EVENT_TYPE: Final = "application/cloudevents+json"
BATCH_TYPE: Final = "application/cloudevents-batch+json"

_DATA: Final = "data"
_DATA_BASE64: Final = "data_base64"
_UNSET: Final = "null"
_write: Final = json.JSONEncoder(ensure_ascii=False).encode


def decode(text: str) -> Event:
    """Read one event.

    Raises:
        ValueError: the text is not a CloudEvent in JSON.
    """
    members = verbatim_json.members(text)
    data, base64_data = members.pop(_DATA, ""), members.pop(_DATA_BASE64, _UNSET)
    values = {name: attribute(name, value) for name, value in members.items()}
    attributes = {name: value for name, value in values.items() if value is not None}
    if base64_data == _UNSET:
        return Event(attributes, _data(data, str(attributes.get("datacontenttype", ""))))
    if data:
        raise ValueError("it holds both data and data_base64")
    return Event(attributes, _base64(json.loads(base64_data)))


def attribute(name: str, written: str) -> AttributeValue | None:
    """Return the value of an attribute; `None` where it was written as `null`, that is, unset.

    Args:
        name: for the complaint.
        written: the value as `verbatim_json.members` finds it, so that it is JSON.

    Raises:
        ValueError: it is no string, integer or boolean.
    """
    if written[:1] == '"' and "\\" not in written:
        return written[1:-1]
    value: object = json.loads(written)
    if value is None or isinstance(value, str | bool | int):
        return value
    raise ValueError(f"the attribute {name!r} is neither text, integer nor boolean")


def _data(written: str, content_type: str) -> bytes:
    if written.startswith('"') and not is_json(content_type):
        return str(json.loads(written)).encode()
    return written.encode()


def _base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("data_base64 is no text")  # noqa: TRY004 - malformed, as all else here
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"data_base64 is not Base64: {error}") from error


def is_json(content_type: str) -> bool:
    """Whether a content type says JSON; an absent one does, in this format."""
    media_type = content_type.partition(";")[0].strip().lower()
    return not media_type or media_type.endswith(("/json", "+json"))


def encode(event: Event, extensions: Mapping[str, AttributeValue] | None = None) -> str:
    """Write one event, with `extensions` beside its own attributes.

    Data that is one JSON value and said to be JSON is written as it is; any other as Base64, so
    that `decode` gives back the same bytes whatever they were.
    """
    attributes = _write({**event.attributes, **(extensions or {})})
    if not event.data:
        return attributes
    return f"{attributes[:-1]}, {_encode_data(event)}}}"


def _encode_data(event: Event) -> str:
    text = _json_text(event)
    if text is not None:
        return f'"{_DATA}": {text}'
    return f'"{_DATA_BASE64}": "{base64.b64encode(event.data).decode()}"'


def _json_text(event: Event) -> str | None:
    if not is_json(event.text("datacontenttype")):
        return None
    try:
        text = event.data.decode()
    except UnicodeDecodeError:
        return None
    return text if verbatim_json.is_whole(text) else None


def decode_batch(text: str) -> list[Event]:
    """Read a batch.

    Raises:
        ValueError: the text is not an array of CloudEvents in JSON.
    """
    return [decode(element) for element in verbatim_json.elements(text)]


def encode_batch(written: Iterable[str]) -> str:
    """Join events that `encode` wrote into a batch, one a line."""
    return "[" + ",\n ".join(written) + "]\n"
