"""An event as the bytes of an AMQP 1.0 message: what the SDKs write of it, byte for byte.

The SDKs for Python describe a message by nested dictionaries and walk these, twice for each
message of a batch, once for its size. What an event may hold is little: text, integers of 32
bits, booleans and bytes. `tests/relay/sinks/test_encoding.py` holds every byte to theirs.

Bytes are put together as text, one character for each (Latin-1), since mostly all of a message
but its data is ASCII text, and many texts are joined and turned into bytes much faster than
many small bytes are.

The numbers are those of AMQP 1.0, part 1 section 1.6 (types) and part 3 section 3.2 (sections):
http://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-types-v1.0-os.html.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final

from relay.formats.amqp_binding import CONTENT_TYPE, PREFIX
from relay.memo import Memo
from relay.routing import fitting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from relay.event import AttributeValue, Event

_HEADER: Final = "\x00\x53\x70"
_ANNOTATIONS: Final = "\x00\x53\x72"
_PROPERTIES: Final = "\x00\x53\x73"
_APPLICATION_PROPERTIES: Final = "\x00\x53\x74"
_DATA: Final = "\x00\x53\x75"

_NULL: Final = "\x40"
_BOOLEANS: Final = ("\x56\x00", "\x56\x01")
_BYTE: Final = "\x54"
_INT: Final = "\x71"
# Codes of one type: where sizes have one byte, and where they have four.
_BINARY: Final = ("\xa0", "\xb0")
_TEXT: Final = ("\xa1", "\xb1")
_SYMBOL: Final = ("\xa3", "\xb3")
_LIST: Final = ("\xc0", "\xd0")
_MAP: Final = ("\xc1", "\xd1")

_ONE_BYTE: Final = 256
_LARGE: Final = Struct(">II")
"""The size and the count of a large list or map."""
_SMALL: Final = range(-128, 128)
_SHORT: Final = tuple(_TEXT[0] + chr(size) for size in range(_ONE_BYTE))

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
    data = event.data
    properties = (
        f"{_text(fitting(event.text('id')))}{_after_id(event.text(CONTENT_TYPE))}"
        f"{_NULL if session is None else _text(session)}{_AFTER_SESSION}"
    )
    before = (
        f"{_before_properties(len(properties))}{properties}"
        f"{event.written(_attributes)}{_before_data(len(data))}"
    )
    return before.encode("latin-1") + data


def placed_by(key: str) -> bytes:
    """Return what stands before a message that the service shall place by a partition key."""
    annotation = _symbol(_PARTITION_KEY) + _text(key)
    header = _HEADER + _compound(_LIST, _HEADER_COUNT, _DURABLE)
    written = header + _ANNOTATIONS + _compound(_MAP, 2, annotation)
    return written.encode("latin-1")


def _attributes(event: Event) -> str:
    """Return the application properties, all attributes but the data's type."""
    attributes: Mapping[str, Any] = event.attributes
    count = len(attributes) - (CONTENT_TYPE in attributes)
    if not count:
        return ""
    written = _short_texts(attributes) if event.is_plain else None
    if written is None:
        pairs = attributes.items()
        written = "".join([_NAMES[n] + _value(v) for n, v in pairs if n != CONTENT_TYPE])
    return f"{_before_attributes(count, len(written))}{written}"


def _short_texts(attributes: Mapping[str, str]) -> str | None:
    """Write ASCII texts of less than 256 characters, without a call for each; else `None`."""
    try:
        return "".join(
            [
                f"{_NAMES[name]}{_SHORT[len(text)]}{text}"
                for name, text in attributes.items()
                if name != CONTENT_TYPE
            ]
        )
    except IndexError:
        return None


def _name(name: str) -> str:
    return _text(PREFIX + name)


# Each of these is the same for nearly all events, or one of few.
_NAMES: Final = Memo(_name)


@lru_cache(maxsize=64)
def _after_id(content_type: str) -> str:
    return f"{_AFTER_ID}{_symbol(content_type)}{_AFTER_CONTENT_TYPE}"


@lru_cache(maxsize=4096)
def _before_properties(size: int) -> str:
    return _PROPERTIES + _before(_LIST, _PROPERTIES_COUNT, size)


@lru_cache(maxsize=4096)
def _before_attributes(count: int, size: int) -> str:
    return _APPLICATION_PROPERTIES + _before(_MAP, 2 * count, size)


@lru_cache(maxsize=4096)
def _before_data(size: int) -> str:
    return _DATA + _size(_BINARY, size)


def _symbol(value: str) -> str:
    if not value:
        return _NULL
    written = _as_bytes(value)
    return _size(_SYMBOL, len(written)) + written


def _value(value: AttributeValue) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return _BOOLEANS[value]
    if value in _SMALL:
        return _BYTE + _integer(value, 1)
    return _INT + _integer(value, 4)


def _integer(value: int, size: int) -> str:
    return value.to_bytes(size, signed=True).decode("latin-1")


def _text(value: str) -> str:
    written = value if value.isascii() else _as_bytes(value)
    size = len(written)
    return f"{_SHORT[size] if size < _ONE_BYTE else _size(_TEXT, size)}{written}"


def _as_bytes(value: str) -> str:
    """Return text as its bytes in UTF-8, a character for each."""
    return value.encode().decode("latin-1")


def _size(code: tuple[str, str], size: int) -> str:
    """Return the code of a type whose values have their size before them, and the size."""
    small, large = code
    if size < _ONE_BYTE:
        return small + chr(size)
    return large + size.to_bytes(4).decode("latin-1")


def _compound(code: tuple[str, str], count: int, values: str) -> str:
    """Return a list or a map, with as few bytes for its sizes as will do."""
    return _before(code, count, len(values)) + values


def _before(code: tuple[str, str], count: int, size: int) -> str:
    """Return what stands before values of a list or a map: so many, so many bytes of them."""
    small, large = code
    size += 1
    if size < _ONE_BYTE and count < _ONE_BYTE:
        return small + chr(size) + chr(count)
    return large + _LARGE.pack(size + 3, count).decode("latin-1")
