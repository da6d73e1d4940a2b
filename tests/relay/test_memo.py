"""A memo answers as its function does, and asks it once for each key that it keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.memo import Memo


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 5))
def test_it_answers_as_the_function_and_never_grows_beyond_its_bound(
    keys: list[int], most: int
) -> None:
    asked: list[int] = []

    def doubled(key: int) -> int:
        asked.append(key)
        return 2 * key

    memo = Memo(doubled, most)

    assert [2 * key for key in keys] == [memo[key] for key in keys]
    assert len(memo) <= most
    kept = list(dict.fromkeys(keys))[:most]
    assert kept == list(memo)
    assert {1} >= {asked.count(key) for key in kept}


def test_what_the_function_refuses_is_refused_every_time_and_not_kept() -> None:
    def refuse(key: str) -> str:
        raise KeyError(key)

    memo = Memo(refuse)

    for _ in range(2):
        with pytest.raises(KeyError):
            memo["a"]
    assert {} == memo
