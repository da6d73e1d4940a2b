"""An event as the bytes of an AMQP 1.0 message: what the SDKs write of it, byte for byte.

The SDKs for Python describe a message by nested dictionaries and walk these, twice for each
message of a batch, once for its size. What an event may hold is little: text, integers of 32
bits, booleans and bytes. `tests/relay/sinks/test_encoding.py` holds every byte to theirs.

The numbers are those of AMQP 1.0, part 1 section 1.6 (types) and part 3 section 3.2 (sections):
http://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-types-v1.0-os.html.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final

from relay.formats.amqp_binding import CONTENT_TYPE, PREFIX
from relay.routing import fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.event import AttributeValue, Event

_HEADER: Final = b"\x00\x53\x70"
_ANNOTATIONS: Final = b"\x00\x53\x72"
_PROPERTIES: Final = b"\x00\x53\x73"
_APPLICATION_PROPERTIES: Final = b"\x00\x53\x74"
_DATA: Final = b"\x00\x53\x75"

_NULL: Final = b"\x40"
_BOOLEANS: Final = (b"\x56\x00", b"\x56\x01")
_BYTE: Final = b"\x54"
_INT: Final = b"\x71"
# Codes of one type: where sizes have one byte, and where they have four.
_BINARY: Final = (0xA0, 0xB0)
_TEXT: Final = (0xA1, 0xB1)
_SYMBOL: Final = (0xA3, 0xB3)
_LIST: Final = (0xC0, 0xD0)
_MAP: Final = (0xC1, 0xD1)

_ONE_BYTE: Final = 256
_LARGE: Final = Struct(">BII")
"""The code, size and count of a large list or map."""
_SMALL: Final = range(-128, 128)
_SHORT_TEXTS: Final = tuple(bytes((_TEXT[0], size)) for size in range(_ONE_BYTE))

# Properties are a list in which each has its place: the id, then five others, and so on.
_AFTER_ID: Final = 5 * _NULL
_AFTER_CONTENT_TYPE: Final = 3 * _NULL
_AFTER_SESSION: Final = 2 * _NULL
_PROPERTIES_COUNT: Final = 13
_DURABLE: Final = _BOOLEANS[True] + 4 * _NULL
_HEADER_COUNT: Final = 5
_PARTITION_KEY: Final = "x-opt-partition-key"


def encoded(event: Event, session: str | None = None) -> bytes:
    """Return an event as a message, with its id as the message's.

    Args:
        event: what is written.
        session: the session's id, where there are sessions.

    Raises:
        UnicodeError: it holds half a surrogate pair.
        OverflowError: it holds an integer of more than 32 bits.
    """
    content_type = event.text(CONTENT_TYPE)
    properties = (
        _text(fitting(event.id)),
        _AFTER_ID,
        _symbol(content_type) if content_type else _NULL,
        _AFTER_CONTENT_TYPE,
        _NULL if session is None else _text(session),
        _AFTER_SESSION,
    )
    data = event.data
    return b"".join(
        (
            _PROPERTIES,
            _compound(_LIST, _PROPERTIES_COUNT, properties),
            event.written(_attributes),
            _DATA,
            _size(_BINARY, len(data)),
            data,
        )
    )


def placed_by(key: str) -> bytes:
    """Return what stands before a message that the service shall place by a partition key."""
    annotation = (_symbol(_PARTITION_KEY), _text(key))
    header = _HEADER + _compound(_LIST, _HEADER_COUNT, (_DURABLE,))
    return header + _ANNOTATIONS + _compound(_MAP, len(annotation), annotation)


def _attributes(event: Event) -> bytes:
    """Return the application properties, all attributes but the data's type."""
    written = [
        _name(name) + (_text(value) if type(value) is str else _scalar(value))
        for name, value in event.attributes.items()
        if name != CONTENT_TYPE
    ]
    if not written:
        return b""
    return _APPLICATION_PROPERTIES + _compound(_MAP, 2 * len(written), written)


@lru_cache(maxsize=64)
def _name(name: str) -> bytes:
    return _text(PREFIX + name)


@lru_cache(maxsize=64)
def _symbol(value: str) -> bytes:
    written = value.encode()
    return _size(_SYMBOL, len(written)) + written


def _scalar(value: AttributeValue) -> bytes:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return _BOOLEANS[value]
    if value in _SMALL:
        return _BYTE + value.to_bytes(1, signed=True)
    return _INT + value.to_bytes(4, signed=True)


def _text(value: str) -> bytes:
    written = value.encode()
    size = len(written)
    return (_SHORT_TEXTS[size] if size < _ONE_BYTE else _size(_TEXT, size)) + written


def _size(code: tuple[int, int], size: int) -> bytes:
    """Return the code of a type whose values have their size before them, and the size."""
    small, large = code
    return bytes((small, size)) if size < _ONE_BYTE else bytes((large, *size.to_bytes(4)))


def _compound(code: tuple[int, int], count: int, parts: Sequence[bytes]) -> bytes:
    """Return a list or a map, with as few bytes for its sizes as will do."""
    values = b"".join(parts)
    size = len(values) + 1
    small, large = code
    if size < _ONE_BYTE and count < _ONE_BYTE:
        return bytes((small, size, count)) + values
    return _LARGE.pack(large, size + 3, count) + values
