"""AMQP messages: their sections, and the batches that Azure puts them into.

A message is its bytes; it is looked into only where something must be known. What is not
understood (bodies, footers) is carried as it came.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lab.messaging.codec import (
    CodecError,
    Symbol,
    Timestamp,
    Ubyte,
    Uint,
    Ulong,
    Value,
    decode,
    encode,
    encode_list,
    skip,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HEADER: Final = 0x70
DELIVERY_ANNOTATIONS: Final = 0x71
MESSAGE_ANNOTATIONS: Final = 0x72
PROPERTIES: Final = 0x73
APPLICATION_PROPERTIES: Final = 0x74
DATA: Final = 0x75
SEQUENCE: Final = 0x76
VALUE: Final = 0x77
FOOTER: Final = 0x78

_U32: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Header:
    """How a message is to be delivered.

    Attributes:
        durable: whether it must survive a restart.
        priority: 0 to 9; the default is 4.
        ttl: how long it lives, ms.
        first_acquirer: whether nobody had it before.
        delivery_count: how often it was delivered in vain.
    """

    durable: bool | None = None
    priority: int | None = None
    ttl: int | None = None
    first_acquirer: bool | None = None
    delivery_count: int | None = None


@dataclass(frozen=True, slots=True)
class Properties:
    """The bare message's own properties, as the specification lists them (times in ms)."""

    message_id: Value = None
    user_id: bytes | None = None
    to: str | None = None
    subject: str | None = None
    reply_to: str | None = None
    correlation_id: Value = None
    content_type: str | None = None
    content_encoding: str | None = None
    absolute_expiry_time: int | None = None
    creation_time: int | None = None
    group_id: str | None = None
    group_sequence: int | None = None
    reply_to_group_id: str | None = None


_HEADER_TYPES: Final = (bool, Ubyte, Uint, bool, Uint)
_PROPERTIES_TYPES: Final = (
    None,
    bytes,
    str,
    str,
    str,
    None,
    Symbol,
    Symbol,
    Timestamp,
    Timestamp,
    str,
    Uint,
    str,
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message by its sections.

    Attributes:
        header: `None` when there is none.
        delivery_annotations: for the next hop only.
        annotations: the message annotations.
        properties: the bare message's properties.
        application_properties: the sender's own.
        body: the encoded body sections with the footer, as they came.
    """

    header: Header | None = None
    delivery_annotations: Mapping[str, Value] = field(default_factory=dict)
    annotations: Mapping[str, Value] = field(default_factory=dict)
    properties: Properties | None = None
    application_properties: Mapping[str, Value] = field(default_factory=dict)
    body: bytes = b""

    def encode(self) -> bytes:
        """Return the message's bytes; empty sections are left out."""
        return b"".join(
            (
                _record(HEADER, self.header, _HEADER_TYPES),
                annotation_section(DELIVERY_ANNOTATIONS, self.delivery_annotations),
                annotation_section(MESSAGE_ANNOTATIONS, self.annotations),
                _record(PROPERTIES, self.properties, _PROPERTIES_TYPES),
                _map(APPLICATION_PROPERTIES, self.application_properties),
                self.body,
            )
        )

    def value(self) -> Value:
        """Return what an amqp-value body holds, `None` when the body is something else."""
        if not self.body:
            return None
        code, start = section(self.body, 0)
        return decode(self.body, start)[0] if code == VALUE else None


def decode_message(payload: bytes) -> Message:
    """Return the sections of an encoded message; raises `CodecError`."""
    parts: dict[int, Any] = {}
    position = 0
    while position < len(payload):
        code, start = section(payload, position)
        if code >= DATA:
            break
        parts[code], position = decode(payload, start)
    return _built(parts, payload[position:])


def _built(parts: Mapping[int, Any], body: bytes) -> Message:
    try:
        return Message(
            Header(*_part(parts, HEADER, list)) if HEADER in parts else None,
            _part(parts, DELIVERY_ANNOTATIONS, dict),
            _part(parts, MESSAGE_ANNOTATIONS, dict),
            Properties(*_part(parts, PROPERTIES, list)) if PROPERTIES in parts else None,
            _part(parts, APPLICATION_PROPERTIES, dict),
            body,
        )
    except TypeError as error:
        raise CodecError(f"malformed message section: {error}") from error


def _part[Part: (list[Any], dict[Any, Any])](
    parts: Mapping[int, Any], code: int, kind: type[Part]
) -> Part:
    """Return a section of the kind that it must be; one that is not there is empty."""
    part = parts.get(code)
    if part is None:
        return kind()
    if not isinstance(part, kind):
        raise CodecError(f"the section 0x{code:x} is no {kind.__name__}")
    return part


def section(payload: bytes, position: int) -> tuple[int, int]:
    """Return the code of the section at `position` and where its value begins."""
    if payload[position : position + 2] == b"\x00\x53" and len(payload) > position + 2:
        return _known(payload[position + 2]), position + 3
    if payload[position : position + 1] != b"\x00":
        raise CodecError(f"no section at byte {position}")
    descriptor, start = decode(payload, position + 1)
    if not isinstance(descriptor, Ulong):
        raise CodecError(f"no section at byte {position}")
    return _known(int(descriptor)), start


def _known(code: int) -> int:
    if not HEADER <= code <= FOOTER:
        raise CodecError(f"no section has the code 0x{code:x}")
    return code


def split_batch(payload: bytes) -> list[bytes]:
    """Return the encoded messages in a batch's data sections; raises `CodecError`."""
    messages = []
    position, end = 0, len(payload)
    while position < end:
        code, start = section(payload, position)
        position = skip(payload, start)
        if code == DATA:
            messages.append(_binary(payload, start, position))
    return messages


def _binary(payload: bytes, start: int, end: int) -> bytes:
    constructor = payload[start]
    if constructor == 0xA0:
        return payload[start + 2 : end]
    if constructor == 0xB0:
        return payload[start + 5 : end]
    raise CodecError(f"a data section holds binary, not 0x{constructor:02x}")


def first_annotation(payload: bytes, name: str) -> Value:
    """Return one message annotation of a message or envelope, `None` when it has none."""
    position = 0
    while position < len(payload):
        code, start = section(payload, position)
        if code == MESSAGE_ANNOTATIONS:
            value: Value = (decode(payload, start)[0] or {}).get(name)
            return value
        if code > MESSAGE_ANNOTATIONS:
            return None
        position = skip(payload, start)
    return None


def annotated(
    payload: bytes, added: Mapping[str, Value], delivery: Mapping[str, Value] | None = None
) -> bytes:
    """Return an encoded message with more annotations, its bare message untouched.

    Raises `CodecError` if what comes before the bare message is malformed.

    Args:
        payload: the encoded message.
        added: message annotations to add to those it has.
        delivery: delivery annotations, in the place of those it has.
    """
    header, position = b"", 0
    kept: dict[str, Value] = {}
    while position < len(payload):
        code, start = section(payload, position)
        if code > MESSAGE_ANNOTATIONS:
            break
        end = skip(payload, start)
        if code == HEADER:
            header = payload[position:end]
        elif code == MESSAGE_ANNOTATIONS:
            kept = _part({code: decode(payload, start)[0]}, code, dict)
        position = end
    return b"".join(
        (
            header,
            annotation_section(DELIVERY_ANNOTATIONS, delivery or {}),
            annotation_section(MESSAGE_ANNOTATIONS, {**kept, **added}),
            payload[position:],
        )
    )


def data(payload: bytes) -> bytes:
    """Return an encoded data section."""
    if len(payload) < 256:
        return bytes((0, 0x53, DATA, 0xA0, len(payload))) + payload
    return bytes((0, 0x53, DATA, 0xB0)) + _U32.pack(len(payload)) + payload


def value(body: Value) -> bytes:
    """Return an encoded amqp-value section."""
    return bytes((0, 0x53, VALUE)) + encode(body)


def annotation_section(code: int, items: Mapping[str, Value]) -> bytes:
    """Return an encoded annotations section (keys are symbols), empty when there are none."""
    return _map(code, {Symbol(key): item for key, item in items.items()})


def _map(code: int, items: Mapping[str, Value]) -> bytes:
    return bytes((0, 0x53, code)) + encode(dict(items)) if items else b""


def _record(
    code: int,
    record: Header | Properties | None,
    types: Sequence[Callable[[Any], Value] | None],
) -> bytes:
    if record is None:
        return b""
    fields = zip(astuple(record), types, strict=True)
    items = [
        encode(item if item is None or kind is None else kind(item)) for item, kind in fields
    ]
    return bytes((0, 0x53, code)) + encode_list(items)
