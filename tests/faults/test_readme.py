"""The README's table of faults, in short, says what docs/reliability.md says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.faults import readme
from lab.faults.entrance import Ingress
from lab.faults.plan import Kind
from lab.faults.report import document
from lab.faults.result import Matrix, Result

ROOT = Path(__file__).parents[2]
GOOD = Result(
    "network denied", Kind.QUEUE, 500, 499, 1, 321, 7, delay=0.6, family="the connection"
)
OTHER = replace(GOOD, case="frozen", sent=840, duplicated=0, delay=11.0)
WORKER = replace(GOOD, case="killed", lost=2, out_of_order=1, delay=None, family="the worker")


def test_the_readme_and_the_document_agree() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    written = (ROOT / "docs" / "reliability.md").read_text("utf-8")

    assert text == readme.put(text, written)
    assert 3 < len(readme.table(written).splitlines()) < 40


def test_there_is_a_row_for_each_family_and_one_for_all() -> None:
    table = readme.table(document(Matrix([GOOD, OTHER, WORKER])))

    assert table.splitlines()[2:] == [
        "| The connection | 2 | 1340 | 0 | 0 | ≤ 50 | ≤ 15 s |",
        "| The worker | 1 | 500 | 2 | 1 | ≤ 50 | nothing arrived |",
        "| all of it | 3 | 1840 | 2 | 1 | ≤ 50 | nothing arrived |",
    ]


def test_there_is_a_row_for_each_other_way_in_behind_those_of_the_event_hub() -> None:
    bus, grid = (replace(GOOD, ingress=each) for each in (Ingress.SESSIONS, Ingress.EVENT_GRID))
    table = readme.table(document(Matrix([GOOD, bus, WORKER, replace(bus, lost=1), grid])))

    assert table.splitlines()[2:] == [
        "| The connection | 1 | 500 | 0 | 0 | ≤ 50 | ≤ 1 s |",
        "| The worker | 1 | 500 | 2 | 1 | ≤ 50 | nothing arrived |",
        "| Some of it, by Service Bus queue with sessions | 2 | 1000 | 1 | 0 | ≤ 50 | ≤ 1 s |",
        "| Some of it, by Event Grid trigger | 1 | 500 | 0 | 0 | ≤ 50 | ≤ 1 s |",
        "| all of it | 5 | 2500 | 3 | 1 | ≤ 50 | nothing arrived |",
    ]


def test_what_is_beyond_the_highest_step_is_the_worst() -> None:
    late = replace(GOOD, delay=121.0, duplicated=1001)
    table = readme.table(document(Matrix([replace(GOOD, delay=119.0), late])))

    assert "> 1000 | > 120 s |" in table


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    before = f"a\n{readme.BEGIN}\nold\n{readme.END}\nz\n"
    after = readme.put(before, document(Matrix([GOOD])))

    assert after.startswith(f"a\n{readme.BEGIN}\n\n| what goes wrong |")
    assert after.endswith(f"|\n\n{readme.END}\nz\n")
    assert after == readme.put(after, document(Matrix([GOOD])))


@pytest.mark.parametrize("text", ["", readme.BEGIN, f"{readme.END}{readme.BEGIN}"])
def test_a_readme_without_the_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="the README lacks the line"):
        readme.put(text, document(Matrix([GOOD])))
