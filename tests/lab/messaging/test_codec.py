from __future__ import annotations

import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.messaging.codec import (
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
    decode,
    encode,
    skip,
)


def whole(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def symbols() -> st.SearchStrategy[Symbol]:
    return st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    whole(-(2**63), 2**63 - 1),
    whole(0, 2**8 - 1).map(Ubyte),
    whole(0, 2**16 - 1).map(Ushort),
    whole(0, 2**32 - 1).map(Uint),
    whole(0, 2**64 - 1).map(Ulong),
    whole(-(2**7), 2**7 - 1).map(Byte),
    whole(-(2**15), 2**15 - 1).map(Short),
    whole(-(2**31), 2**31 - 1).map(Int),
    whole(-(2**63), 2**63 - 1).map(Timestamp),
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(Single),
    st.characters(codec="utf-8").map(Char),
    st.text(max_size=300),
    st.binary(max_size=300),
    symbols(),
    st.uuids(),
    st.binary(min_size=8, max_size=8).map(lambda raw: Decimal(0x84, raw)),
)
ARRAYS = st.one_of(
    st.lists(st.text(), max_size=5).map(lambda items: Array(str, tuple(items))),
    st.lists(st.booleans(), max_size=5).map(lambda items: Array(bool, tuple(items))),
    st.lists(st.uuids(), max_size=5).map(lambda items: Array(UUID, tuple(items))),
    st.lists(whole(-(2**63), 2**63 - 1).map(Timestamp), max_size=5).map(
        lambda items: Array(Timestamp, tuple(items))
    ),
)
VALUES = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(symbols(), inner, max_size=5),
        st.builds(Described, symbols() | whole(0, 300).map(Ulong), inner),
    ),
    max_leaves=12,
)


def kinds(value: object) -> object:
    """Return the types inside a value: numbers of different types compare equal."""
    match value:
        case list():
            return [kinds(item) for item in value]
        case dict():
            return [(kinds(key), kinds(item)) for key, item in value.items()]
        case Described(descriptor, inner):
            return [kinds(descriptor), kinds(inner)]
        case Array(of, items):
            return [of, *map(kinds, items)]
        case _:
            return type(value)


@given(VALUES)
def test_every_value_comes_back_as_it_went(value: object) -> None:
    encoded = encode(value)

    decoded, end = decode(encoded)

    assert decoded == value
    assert kinds(decoded) == kinds(value)
    assert end == skip(encoded, 0) == len(encoded)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("40", None),
        ("41", True),
        ("5601", True),
        ("5600", False),
        ("43", Uint(0)),
        ("5207", Uint(7)),
        ("7000000100", Uint(256)),
        ("44", Ulong(0)),
        ("5314", Ulong(0x14)),
        ("5580", -128),
        ("8100000000000000ff", 255),
        ("54ff", Int(-1)),
        ("830000000000000001", Timestamp(1)),
        ("a10568656c6c6f", "hello"),
        ("b10000000568656c6c6f", "hello"),
        ("a30161", Symbol("a")),
        ("a002 00ff", b"\x00\xff"),
        ("45", []),
        ("c0030240 41", [None, True]),
        ("d0000000060000000240 41", [None, True]),
        ("c10502a1016b41", {"k": True}),
        ("e0 06 02 a3 0161 0162", Array(Symbol, (Symbol("a"), Symbol("b")))),
        ("00 53 24 45", Described(Ulong(0x24), [])),
        ("73 0001f600", Char("😀")),
    ],
)
def test_known_bytes_are_read_as_the_specification_says(raw: str, value: object) -> None:
    decoded, end = decode(bytes.fromhex(raw))

    assert decoded == value
    assert type(decoded) is type(value)
    assert end == len(bytes.fromhex(raw))


def test_a_number_that_is_none_comes_back_as_none() -> None:
    assert math.isnan(decode(encode(math.nan))[0])


def test_values_are_written_in_their_shortest_form() -> None:
    assert encode(Ulong(0x14)) == b"\x53\x14"
    assert encode(Uint(255)) == b"\x52\xff"
    assert encode([]) == b"\x45"
    assert encode("x" * 256)[:1] == b"\xb1"
    assert encode([None] * 255)[:1] == b"\xd0"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("3f", id="an unknown constructor"),
        pytest.param("a105 6865", id="text that ends early"),
        pytest.param("a102 fffe", id="text that is no UTF-8"),
        pytest.param("70 0000", id="a number that ends early"),
        pytest.param("c0 02 05 40", id="more items than bytes"),
        pytest.param("c0 04 01 40 40 40", id="fewer items than bytes"),
        pytest.param("c1 03 01 a0 00", id="a key without a value"),
        pytest.param("c1 03 02 45 40", id="a key that is a list"),
        pytest.param("f0 00000005 ffffffff 40", id="an array of four billion nulls"),
        pytest.param("d0 ffffffff 00000000", id="a list of four gigabytes"),
        pytest.param("73 ffffffff", id="a character that is none"),
        pytest.param("00" * 20_000, id="descriptors without end"),
        pytest.param("c0ff01" * 5_000, id="lists without end"),
    ],
)
def test_malformed_bytes_are_refused(raw: str) -> None:
    with pytest.raises(CodecError):
        decode(bytes.fromhex(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(raw: bytes) -> None:
    try:
        _, end = decode(raw)
    except CodecError:
        return
    assert end <= len(raw)


@pytest.mark.parametrize("value", [object(), {1, 2}, Uint(-1), 2**63, Symbol("ü")])
def test_what_amqp_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(CodecError):
        encode(value)
