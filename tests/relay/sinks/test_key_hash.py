"""Where a key goes, by the values of the service's own hash."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.sinks import key_hash
from relay.sinks.key_hash import partition

# Results c and b of lookup3, and the partitions of 4 and of 32.
VALUES = [
    ("a", 0x58D68708, 0x582647AC, 0, 28),
    ("Room21", 0x4803E6BA, 0xB41109A5, 1, 1),
    ("plant-7/line-3", 0x18839B1A, 0xA3CD81EF, 1, 21),
    ("abcdefghijkl", 0x4012F87B, 0x75B50EC0, 1, 5),
    ("abcdefghijklm", 0x928128F9, 0x0F04AB68, 3, 15),
    ("Zürich", 0x381B0F62, 0xD1620B43, 1, 1),
]


@pytest.mark.parametrize(("key", "c", "b", "of_4", "of_32"), VALUES)
def test_known_keys_go_where_the_service_puts_them(
    key: str, c: int, b: int, of_4: int, of_32: int
) -> None:
    assert key_hash._lookup3(key.encode()) == (c, b)
    assert (partition(key, 4), partition(key, 32)) == (of_4, of_32)


@pytest.mark.parametrize(
    ("text", "seeds_result"),
    [
        (b"", (0xDEADBEEF, 0xDEADBEEF)),
        (b"Four score and seven years ago", (0x17770551, 0xCE7226E6)),
    ],
)
def test_the_hash_gives_the_results_that_its_author_published(
    text: bytes, seeds_result: tuple[int, int]
) -> None:
    assert key_hash._lookup3(text) == seeds_result


@given(st.text(max_size=60), st.integers(1, 2000))
@settings(max_examples=200, deadline=None)
def test_any_key_has_a_place_and_always_the_same(key: str, partitions: int) -> None:
    place = partition(key, partitions)

    assert 0 <= place < partitions
    assert place == partition("".join(list(key)), partitions)


def test_no_key_goes_to_the_first_partition() -> None:
    assert [partition("", count) for count in (1, 4, 32)] == [0, 0, 0]


def test_keys_spread_over_all_partitions() -> None:
    places = [partition(f"pump-{n}", 32) for n in range(3200)]

    assert set(places) == set(range(32))
    assert max(places.count(place) for place in range(32)) < 200
