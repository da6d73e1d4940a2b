"""AMQP 1.0 types as Python values.

| AMQP                              | Python                                            |
|-----------------------------------|---------------------------------------------------|
| null, boolean, string, binary     | `None`, `bool`, `str`, `bytes`                    |
| long, double, uuid, list, map     | `int`, `float`, `UUID`, `list`, `dict`            |
| symbol, timestamp (ms), char      | `Symbol`, `Timestamp`, `Char`                     |
| other integers, float             | `Ubyte` ... `Int`, `Single`: subclasses of theirs |
| decimals                          | `Decimal`: carried, not understood                |
| array, described                  | `Array`, `Described`                              |

A plain `int` is a long, so what is decoded is encoded again with the type it had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

type Value = (
    bool | int | float | str | bytes | UUID | list[Any] | dict[Any, Any]
    | Array | Described | Decimal | None
)  # fmt: skip
"""What AMQP can say; inside lists and maps again any of these."""


class CodecError(ValueError):
    """The bytes are no AMQP, or a value has no AMQP form."""


class Symbol(str):
    """An ASCII name of the protocol's or the service's."""

    __slots__ = ()


class Char(str):
    """One Unicode character."""

    __slots__ = ()


class Ubyte(int):
    """An unsigned 8-bit integer."""

    __slots__ = ()


class Ushort(int):
    """An unsigned 16-bit integer."""

    __slots__ = ()


class Uint(int):
    """An unsigned 32-bit integer."""

    __slots__ = ()


class Ulong(int):
    """An unsigned 64-bit integer."""

    __slots__ = ()


class Byte(int):
    """A signed 8-bit integer."""

    __slots__ = ()


class Short(int):
    """A signed 16-bit integer."""

    __slots__ = ()


class Int(int):
    """A signed 32-bit integer."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since 1970, UTC."""

    __slots__ = ()


class Single(float):
    """A 32-bit floating-point number."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Decimal:
    """A decimal number: its constructor (0x74, 0x84 or 0x94) and its bytes."""

    code: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a descriptor: `Ulong` for what the protocol knows, else `Symbol`."""

    descriptor: Value
    value: Value


@dataclass(frozen=True, slots=True)
class Array:
    """Values of one type, which is named by the class that stands for it above."""

    of: type
    items: tuple[Value, ...] = ()
