from __future__ import annotations

import pytest

from lab.messaging.key_hash import hash16, partition_for


@pytest.mark.parametrize(
    ("key", "expected", "of_4", "of_32"),
    [
        ("", 0, 0, 0),
        ("a", -16220, 0, 28),
        ("Room21", -4321, 1, 1),
        ("plant-7/line-3", 6901, 1, 21),
        pytest.param("abcdefghijkl", -2373, 1, 5, id="exactly one block"),
        pytest.param("abcdefghijklm", -31855, 3, 15, id="one byte more than a block"),
        pytest.param("Zürich", 1057, 1, 1, id="beyond ASCII, by UTF-8"),
    ],
)
def test_a_key_hashes_as_the_service_does(
    key: str, expected: int, of_4: int, of_32: int
) -> None:
    assert hash16(key) == expected
    assert partition_for(key, 4) == of_4
    assert partition_for(key, 32) == of_32
