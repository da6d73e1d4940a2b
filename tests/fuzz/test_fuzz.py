"""A short run of what `make fuzz` does at length: good inputs, mutilated, and anything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, seeds

PIECES = [
    b"",
    b'"',
    b"\\",
    b"[" * 2000,
    b"}",
    b"null",
    b"\xff",
    b"1e400",
    b"9" * 5000,
    b"\\ud800",
    b"\n\n",
    b": ",
    b"\x00",
    b"\xef\xbb\xbf",
    b'"id":"2",',
    b"NaN",
    b"%FF",
]


@st.composite
def mutilated(draw: st.DrawFn, target: str) -> bytes:
    """A good input from which a piece was cut, with something else in its place."""
    seed = draw(st.sampled_from(seeds(target)))
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(start, len(seed)))
    return seed[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + seed[end:]


@pytest.mark.parametrize("target", TARGETS)
def test_a_good_input_is_no_trouble(target: str) -> None:
    for seed in seeds(target):
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_input_is_trouble(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(mutilated(target) | st.binary(max_size=60)))
