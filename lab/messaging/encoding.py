"""AMQP 1.0 values to bytes, in the shortest form of their type (OASIS AMQP 1.0 part 1)."""

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
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_U32: Final = struct.Struct(">I")
_U32X2: Final = struct.Struct(">II")

type _Encoder = Callable[[Any], bytes]


def encode(value: Value) -> bytes:
    """Return the bytes of a value; raises `CodecError` for what AMQP cannot say."""
    try:
        return _encode(value)
    except (KeyError, struct.error, UnicodeEncodeError) as error:
        raise CodecError(f"no AMQP form for a {type(value).__name__}: {error!r}") from error


def _encode(value: object) -> bytes:
    return _ENCODERS[type(value)](value)


def encode_list(items: list[bytes]) -> bytes:
    """Return a list of items that are encoded already, never in its empty form."""
    return _compound(0xC0, 0xD0, len(items), b"".join(items))


def _compound(short: int, wide: int, count: int, body: bytes) -> bytes:
    size = len(body)
    if size < 255 and count < 256:
        return bytes((short, size + 1, count)) + body
    return bytes((wide,)) + _U32X2.pack(size + 4, count) + body


def _bytes(short: int, wide: int, raw: bytes) -> bytes:
    size = len(raw)
    if size < 256:
        return bytes((short, size)) + raw
    return bytes((wide,)) + _U32.pack(size) + raw


def _integer(small: int, wide: int, layout: str) -> _Encoder:
    """Return the encoder of an integer that has a one-byte form."""
    pack_small = struct.Struct(">B" + ("b" if layout[1].islower() else "B")).pack
    pack = struct.Struct(">B" + layout[1:]).pack
    low, high = (-128, 127) if layout[1].islower() else (0, 255)
    return lambda value: pack_small(small, value) if low <= value <= high else pack(wide, value)


def _number(code: int, layout: str) -> _Encoder:
    pack = struct.Struct(">B" + layout[1:]).pack
    return lambda value: pack(code, value)


def _encode_list(items: list[Any]) -> bytes:
    return encode_list([_encode(item) for item in items]) if items else b"\x45"


def _encode_map(items: dict[Any, Any]) -> bytes:
    body = b"".join(_encode(key) + _encode(value) for key, value in items.items())
    return _compound(0xC1, 0xD1, 2 * len(items), body)


def _encode_described(described: Described) -> bytes:
    return b"\x00" + _encode(described.descriptor) + _encode(described.value)


def _encode_array(array: Array) -> bytes:
    code, item = _ARRAY_ITEMS[array.of]
    body = b"".join(item(value) for value in array.items)
    return b"\xf0" + _U32X2.pack(len(body) + 5, len(array.items)) + bytes((code,)) + body


def _packed(layout: str) -> _Encoder:
    return struct.Struct(layout).pack


def _sized(raw: bytes) -> bytes:
    return _U32.pack(len(raw)) + raw


_ENCODERS: Final[dict[type, _Encoder]] = {
    type(None): lambda _: b"\x40",
    bool: lambda value: b"\x41" if value else b"\x42",
    int: _integer(0x55, 0x81, ">q"),
    Ubyte: _number(0x50, ">B"),
    Ushort: _number(0x60, ">H"),
    Uint: _integer(0x52, 0x70, ">I"),
    Ulong: _integer(0x53, 0x80, ">Q"),
    Byte: _number(0x51, ">b"),
    Short: _number(0x61, ">h"),
    Int: _integer(0x54, 0x71, ">i"),
    Timestamp: _number(0x83, ">q"),
    float: _number(0x82, ">d"),
    Single: _number(0x72, ">f"),
    Char: lambda value: b"\x73" + value.encode("utf-32-be"),
    Decimal: lambda value: bytes((value.code,)) + value.raw,
    UUID: lambda value: b"\x98" + value.bytes,
    bytes: lambda value: _bytes(0xA0, 0xB0, value),
    str: lambda value: _bytes(0xA1, 0xB1, value.encode()),
    Symbol: lambda value: _bytes(0xA3, 0xB3, value.encode("ascii")),
    list: _encode_list,
    dict: _encode_map,
    Described: _encode_described,
    Array: _encode_array,
}
_ARRAY_ITEMS: Final[dict[type, tuple[int, _Encoder]]] = {
    bool: (0x56, lambda value: b"\x01" if value else b"\x00"),
    int: (0x81, _packed(">q")),
    Ubyte: (0x50, _packed(">B")),
    Ushort: (0x60, _packed(">H")),
    Uint: (0x70, _packed(">I")),
    Ulong: (0x80, _packed(">Q")),
    Byte: (0x51, _packed(">b")),
    Short: (0x61, _packed(">h")),
    Int: (0x71, _packed(">i")),
    Timestamp: (0x83, _packed(">q")),
    float: (0x82, _packed(">d")),
    Single: (0x72, _packed(">f")),
    UUID: (0x98, lambda value: value.bytes),
    bytes: (0xB0, _sized),
    str: (0xB1, lambda value: _sized(value.encode())),
    Symbol: (0xB3, lambda value: _sized(value.encode("ascii"))),
}
