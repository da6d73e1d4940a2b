"""AMQP 1.0 types: bytes to values and back."""

from __future__ import annotations

from lab.messaging.decoding import decode, skip
from lab.messaging.encoding import encode, encode_list
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

__all__ = [
    "Array",
    "Byte",
    "Char",
    "CodecError",
    "Decimal",
    "Described",
    "Int",
    "Short",
    "Single",
    "Symbol",
    "Timestamp",
    "Ubyte",
    "Uint",
    "Ulong",
    "Ushort",
    "Value",
    "decode",
    "encode",
    "encode_list",
    "skip",
]
