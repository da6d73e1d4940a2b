"""AMQP 1.0 values from bytes, by constructor table (OASIS AMQP 1.0 part 1).

A sender's claims are checked before memory is spent on them; whatever is wrong with the bytes
is a `CodecError`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lab.messaging.values import (
    Array,
    Byte,
    Char,
    CodecError,
    Decimal,
    Described,
    Int,
    Short,
    Single,
    Symbol,
    Timestamp,
    Ubyte,
    Uint,
    Ulong,
    Ushort,
)

if TYPE_CHECKING:
    from collections.abc import Callable

type _Decoder = Callable[[bytes, int], tuple[Any, int]]

_U16: Final = struct.Struct(">H")
_U32: Final = struct.Struct(">I")
_U32X2: Final = struct.Struct(">II")
_MALFORMED: Final = (
    IndexError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


def decode(buffer: bytes, position: int = 0) -> tuple[Any, int]:
    """Return the value at `position` and where the next begins; raises `CodecError`."""
    try:
        return _decode(buffer, position)
    except CodecError:
        raise
    except _MALFORMED as error:
        raise CodecError(f"malformed value at byte {position}: {error!r}") from error


def skip(buffer: bytes, position: int) -> int:
    """Return where the value after the one at `position` begins, without decoding it."""
    try:
        return _skip(buffer, position)
    except _MALFORMED as error:
        raise CodecError(f"malformed value at byte {position}: {error!r}") from error


def _decode(buffer: bytes, position: int) -> tuple[Any, int]:
    return _DECODERS[buffer[position]](buffer, position + 1)


def _skip(buffer: bytes, position: int) -> int:
    code = buffer[position]
    position += 1
    if code == 0:
        return _skip(buffer, _skip(buffer, position))
    kind = code >> 4
    if kind in _FIXED_WIDTHS:
        position += _FIXED_WIDTHS[kind]
    elif kind in {0xA, 0xC, 0xE}:
        position += 1 + buffer[position]
    else:
        position += 4 + int(_U32.unpack_from(buffer, position)[0])
    if position > len(buffer):
        raise CodecError("the value ends after the bytes do")
    return position


_FIXED_WIDTHS: Final = {4: 0, 5: 1, 6: 2, 7: 4, 8: 8, 9: 16}


def _unknown(buffer: bytes, position: int) -> tuple[Any, int]:
    raise CodecError(f"unknown constructor 0x{buffer[position - 1]:02x} at {position - 1}")


def _constant(value: object) -> _Decoder:
    return lambda _, position: (value, position)


def _fixed(layout: str, kind: Callable[[Any], Any] | None = None) -> _Decoder:
    """Return the decoder of a number; `kind` wraps what is not a plain int or float."""
    parser = struct.Struct(layout)
    unpack, width = parser.unpack_from, parser.size
    if kind is None:
        return lambda buffer, position: (unpack(buffer, position)[0], position + width)
    return lambda buffer, position: (kind(unpack(buffer, position)[0]), position + width)


def _raw(width: int, kind: Callable[[bytes], Any]) -> _Decoder:
    def read(buffer: bytes, position: int) -> tuple[Any, int]:
        return kind(_take(buffer, position, width)), position + width

    return read


def _take(buffer: bytes, position: int, size: int) -> bytes:
    taken = buffer[position : position + size]
    if len(taken) != size:
        raise CodecError(f"{size} bytes wanted, {len(taken)} left")
    return taken


def _variable(kind: Callable[[bytes], Any], *, wide: bool) -> _Decoder:
    def read_short(buffer: bytes, position: int) -> tuple[Any, int]:
        size = buffer[position]
        return kind(_take(buffer, position + 1, size)), position + 1 + size

    def read_wide(buffer: bytes, position: int) -> tuple[Any, int]:
        size = _U32.unpack_from(buffer, position)[0]
        return kind(_take(buffer, position + 4, size)), position + 4 + size

    return read_wide if wide else read_short


def _symbol(raw: bytes) -> Symbol:
    return Symbol(raw, "ascii")


def _text(raw: bytes) -> str:
    return raw.decode()


def _uuid(raw: bytes) -> UUID:
    return UUID(bytes=raw)


def _short_head(buffer: bytes, position: int) -> tuple[int, int, int]:
    """Return a compound's count, where its items begin and where it ends."""
    size, count = buffer[position], buffer[position + 1]
    return _head(buffer, position + 1, size, 1, count)


def _wide_head(buffer: bytes, position: int) -> tuple[int, int, int]:
    size, count = _U32X2.unpack_from(buffer, position)
    return _head(buffer, position + 4, size, 4, count)


def _head(buffer: bytes, start: int, size: int, width: int, count: int) -> tuple[int, int, int]:
    """Check what a sender claims before memory is spent on it."""
    if start + size > len(buffer) or count > size - width:
        raise CodecError(f"a compound of {count} items in {size} bytes does not fit")
    return count, start + width, start + size


type _Head = Callable[[bytes, int], tuple[int, int, int]]


def _list(head: _Head) -> _Decoder:
    def read(buffer: bytes, position: int) -> tuple[Any, int]:
        count, position, end = head(buffer, position)
        items, position = _items(buffer, position, count)
        return items, _closed(position, end)

    return read


def _map(head: _Head) -> _Decoder:
    def read(buffer: bytes, position: int) -> tuple[Any, int]:
        count, position, end = head(buffer, position)
        items, position = _items(buffer, position, count)
        if count % 2:
            raise CodecError("a map without a value for its last key")
        return dict(zip(items[::2], items[1::2], strict=True)), _closed(position, end)

    return read


def _items(buffer: bytes, position: int, count: int) -> tuple[list[Any], int]:
    items = []
    decoders = _DECODERS
    for _ in range(count):
        item, position = decoders[buffer[position]](buffer, position + 1)
        items.append(item)
    return items, position


def _closed(position: int, end: int) -> int:
    if position != end:
        raise CodecError(f"a compound ends at {position} and said {end}")
    return end


def _array(head: _Head) -> _Decoder:
    def read(buffer: bytes, position: int) -> tuple[Any, int]:
        count, position, end = head(buffer, position)
        of, item, position = _constructor(buffer, position)
        items = []
        for _ in range(count):
            value, position = item(buffer, position)
            items.append(value)
        return Array(of, tuple(items)), _closed(position, end)

    return read


def _constructor(buffer: bytes, position: int) -> tuple[type, _Decoder, int]:
    code = buffer[position]
    if code:
        return _ARRAY_TYPES[code], _DECODERS[code], position + 1
    descriptor, position = _decode(buffer, position + 1)
    _, inner, position = _constructor(buffer, position)

    def described(buffer: bytes, position: int) -> tuple[Any, int]:
        value, position = inner(buffer, position)
        return Described(descriptor, value), position

    return Described, described, position


def _described(buffer: bytes, position: int) -> tuple[Any, int]:
    descriptor, position = _decode(buffer, position)
    value, position = _decode(buffer, position)
    return Described(descriptor, value), position


def _boolean(buffer: bytes, position: int) -> tuple[Any, int]:
    return buffer[position] != 0, position + 1


def _character(buffer: bytes, position: int) -> tuple[Any, int]:
    return Char(_take(buffer, position, 4).decode("utf-32-be")), position + 4


def _decimal(code: int, width: int) -> _Decoder:
    return _raw(width, lambda raw: Decimal(code, raw))


_TABLE: Final[dict[int, tuple[type, _Decoder]]] = {
    0x40: (type(None), _constant(None)),
    0x41: (bool, _constant(value=True)),
    0x42: (bool, _constant(value=False)),
    0x43: (Uint, _constant(Uint(0))),
    0x44: (Ulong, _constant(Ulong(0))),
    0x45: (list, lambda _, position: ([], position)),
    0x50: (Ubyte, _fixed(">B", Ubyte)),
    0x51: (Byte, _fixed(">b", Byte)),
    0x52: (Uint, _fixed(">B", Uint)),
    0x53: (Ulong, _fixed(">B", Ulong)),
    0x54: (Int, _fixed(">b", Int)),
    0x55: (int, _fixed(">b")),
    0x56: (bool, _boolean),
    0x60: (Ushort, _fixed(">H", Ushort)),
    0x61: (Short, _fixed(">h", Short)),
    0x70: (Uint, _fixed(">I", Uint)),
    0x71: (Int, _fixed(">i", Int)),
    0x72: (Single, _fixed(">f", Single)),
    0x73: (Char, _character),
    0x74: (Decimal, _decimal(0x74, 4)),
    0x80: (Ulong, _fixed(">Q", Ulong)),
    0x81: (int, _fixed(">q")),
    0x82: (float, _fixed(">d")),
    0x83: (Timestamp, _fixed(">q", Timestamp)),
    0x84: (Decimal, _decimal(0x84, 8)),
    0x94: (Decimal, _decimal(0x94, 16)),
    0x98: (UUID, _raw(16, _uuid)),
    0xA0: (bytes, _variable(bytes, wide=False)),
    0xA1: (str, _variable(_text, wide=False)),
    0xA3: (Symbol, _variable(_symbol, wide=False)),
    0xB0: (bytes, _variable(bytes, wide=True)),
    0xB1: (str, _variable(_text, wide=True)),
    0xB3: (Symbol, _variable(_symbol, wide=True)),
    0xC0: (list, _list(_short_head)),
    0xC1: (dict, _map(_short_head)),
    0xD0: (list, _list(_wide_head)),
    0xD1: (dict, _map(_wide_head)),
    0xE0: (Array, _array(_short_head)),
    0xF0: (Array, _array(_wide_head)),
}
_ARRAY_TYPES: Final = {code: of for code, (of, _) in _TABLE.items()}
_DECODERS: Final[list[_Decoder]] = [
    _described,
    *(_TABLE[code][1] if code in _TABLE else _unknown for code in range(1, 256)),
]
