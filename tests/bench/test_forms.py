"""Which runs are complete: those that write the document and are held to the whole budget."""

from __future__ import annotations

import pytest

from bench.__main__ import is_complete, parsed


@pytest.mark.parametrize("given", [[], ["--json"], ["--growth"]])
def test_a_run_of_everything_is_complete(given: list[str]) -> None:
    assert is_complete(parsed(given))


@pytest.mark.parametrize(
    "given", [["--quick"], ["--smoke"], ["--only", "Node"], ["--sections", "growth", "parts"]]
)
def test_a_run_of_less_is_not(given: list[str]) -> None:
    assert not is_complete(parsed(given))
