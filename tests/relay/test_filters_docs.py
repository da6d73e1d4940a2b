"""What docs/filters.md shows is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.filters import Concern, FilterError, compile, lint  # noqa: A004 - as in `re.compile`

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
BLOCKS = [block.strip("\n") for block in PAGE.split("```")[1::2]]


def test_the_filters_at_the_top_are_filters_without_surprises() -> None:
    examples = BLOCKS[0].splitlines()

    found = [finding for text in examples for finding in lint(text)]

    assert len(examples) == 3
    assert {Concern.EXTENSION} == {finding.concern for finding in found}


def test_the_refusal_shown_is_the_refusal_given() -> None:
    (shown,) = [block for block in BLOCKS if block.startswith("line 1, column")]
    text = shown.splitlines()[1].strip()

    with pytest.raises(FilterError) as caught:
        compile(text)

    assert shown == str(caught.value)


@pytest.mark.parametrize("concern", Concern)
def test_every_concern_is_explained(concern: Concern) -> None:
    assert f"| `{concern}` |" in PAGE
