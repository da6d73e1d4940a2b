"""A message between wire and entity: what is read when it comes, what is added when it goes.

The bare message (properties, application properties, body) goes out byte for byte as it came;
only a dead letter's application properties gain the reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lab.messaging.codec import CodecError, Int, Timestamp, decode, skip
from lab.messaging.entities import Incoming
from lab.messaging.message import (
    APPLICATION_PROPERTIES,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    Header,
    Message,
    section,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.messaging.codec import Value
    from lab.messaging.entities import DeadLettering
    from lab.messaging.entities import Message as Stored

SCHEDULED_AT: Final = "x-opt-scheduled-enqueue-time"
REASON: Final = "DeadLetterReason"
DESCRIPTION: Final = "DeadLetterErrorDescription"

_MESSAGE_ID: Final = 0
_GROUP_ID: Final = 10


def incoming(payload: bytes) -> Incoming:
    """Read what an entity needs to know of an encoded message; raises `CodecError`."""
    sections = _sections(payload)
    header = _header(payload, sections)
    annotations = _map(payload, sections, MESSAGE_ANNOTATIONS)
    _head(header, annotations)
    properties = [*_list(payload, sections, PROPERTIES), *[None] * (_GROUP_ID + 1)]
    message_id, session_id = properties[_MESSAGE_ID], properties[_GROUP_ID]
    due = annotations.get(SCHEDULED_AT)
    return Incoming(
        payload,
        message_id if isinstance(message_id, (str, bytes, int)) else _text(message_id),
        session_id if isinstance(session_id, str) else None,
        None if header.ttl is None else header.ttl / 1000,
        due / 1000 if isinstance(due, int) else None,
    )


def outgoing(message: Stored, locked_until: float | None = None) -> bytes:
    """Encode a message for a receiver, with what the entity knows of it.

    Args:
        message: what is in the entity.
        locked_until: when the receiver's lock on it ends (epoch seconds), if that is its own.
    """
    payload = message.incoming.sections
    sections = _sections(payload)
    header = replace(_header(payload, sections), delivery_count=message.delivery_count)
    theirs = _map(payload, sections, MESSAGE_ANNOTATIONS)
    head = _head(header, {**theirs, **_annotations(message, locked_until)})
    return head + _bare(payload, sections, message.dead_lettering)


def _head(header: Header, annotations: Mapping[str, Value]) -> bytes:
    """Encode what precedes the bare message; raises `CodecError`."""
    try:
        return Message(header=header, annotations=annotations).encode()
    except (TypeError, ValueError) as error:
        raise CodecError(f"malformed header or annotation: {error}") from error


def _annotations(message: Stored, locked_until: float | None) -> dict[str, Value]:
    found: dict[str, Value] = {
        "x-opt-sequence-number": message.sequence_number,
        "x-opt-enqueue-sequence-number": message.sequence_number,
        "x-opt-enqueued-time": timestamp(message.enqueued_at),
        "x-opt-message-state": Int(message.state),
    }
    if locked_until is not None:
        found["x-opt-locked-until"] = timestamp(locked_until)
    if message.dead_lettering is not None:
        found["x-opt-deadletter-source"] = message.dead_lettering.source
    return found


def timestamp(seconds: float) -> Timestamp:
    """Return a time as AMQP writes it."""
    return Timestamp(round(seconds * 1000))


def _bare(payload: bytes, sections: Mapping[int, int], letter: DeadLettering | None) -> bytes:
    start = min(
        (at for code, at in sections.items() if code >= PROPERTIES), default=len(payload)
    )
    if letter is None:
        return payload[start:]
    try:
        return _explained(payload, sections, start, letter)
    except CodecError:
        return payload[start:]  # a sender's nonsense stays nonsense, without a reason


def _explained(
    payload: bytes, sections: Mapping[int, int], start: int, letter: DeadLettering
) -> bytes:
    """Return the bare message with the reason among its application properties."""
    properties = _slice(payload, sections, PROPERTIES)
    mine = _map(payload, sections, APPLICATION_PROPERTIES) | _why(letter)
    rest = start + len(properties) + len(_slice(payload, sections, APPLICATION_PROPERTIES))
    return properties + Message(application_properties=mine, body=payload[rest:]).encode()


def _why(letter: DeadLettering) -> dict[str, Value]:
    words = {REASON: letter.reason, DESCRIPTION: letter.description}
    return {name: text for name, text in words.items() if text is not None}


def _sections(payload: bytes) -> dict[int, int]:
    """Return where each section begins, up to the first of the body."""
    found: dict[int, int] = {}
    position = 0
    while position < len(payload):
        code, start = section(payload, position)
        found[code] = position
        if code > APPLICATION_PROPERTIES:
            break
        position = skip(payload, start)
    return found


def _value(payload: bytes, sections: Mapping[int, int], code: int) -> Value:
    if code not in sections:
        return None
    value: Value = decode(payload, section(payload, sections[code])[1])[0]
    return value


def _header(payload: bytes, sections: Mapping[int, int]) -> Header:
    fields: list[Any] = _list(payload, sections, HEADER)
    try:
        header = Header(*fields)
        return replace(header, ttl=None if header.ttl is None else int(header.ttl))
    except (TypeError, ValueError) as error:
        raise CodecError(f"malformed header: {error}") from error


def _list(payload: bytes, sections: Mapping[int, int], code: int) -> list[Value]:
    value = _value(payload, sections, code)
    if value is None:
        return []
    if not isinstance(value, list):
        raise CodecError(f"section 0x{code:x} holds no list")
    return value


def _map(payload: bytes, sections: Mapping[int, int], code: int) -> dict[str, Value]:
    value = _value(payload, sections, code)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CodecError(f"section 0x{code:x} holds no map")
    return value


def _slice(payload: bytes, sections: Mapping[int, int], code: int) -> bytes:
    if code not in sections:
        return b""
    start = sections[code]
    return payload[start : skip(payload, section(payload, start)[1])]


def _text(message_id: Value) -> str | None:
    return None if message_id is None else str(message_id)
