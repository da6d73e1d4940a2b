"""A run that does not keep the budget is told so, and one that does is not."""

from __future__ import annotations

from typing import Any

import pytest

from bench import budget
from bench.contestants import ALL, pairs
from bench.growth import BACKLOG, EVENTS, cases

RATIO = {"why": "faster", "of": "ours", "to": "theirs", "at_least": 8}
COLD = {"why": "cold", "at_most": 1.2}
GROWTH = {"why": "flat", "what": "routes", "figure": "us", "of": 1000, "to": 1, "at_most": 1.5}


def a_run(**changes: Any) -> dict[str, Any]:
    """Return a run that measured nothing but what is said."""
    return {"ratios": [], "cold_start": None, "growth": None} | changes


def rows(first: float, last: float) -> list[dict[str, Any]]:
    return [
        {"what": "routes", "value": 1, "us": first},
        {"what": "twins", "value": 1000, "us": 99.0},
        {"what": "routes", "value": 1000, "us": last},
    ]


@pytest.mark.parametrize(("times", "holds"), [(8.0, True), (7.99, False), (80.0, True)])
def test_a_ratio_must_be_at_least_what_the_budget_says(times: float, *, holds: bool) -> None:
    found = a_run(ratios=[{"of": "ours", "to": "theirs", "times": times}])

    [verdict] = budget.verdicts({"ratio": [RATIO]}, found)

    assert holds is verdict.holds
    assert f"faster: {times:.2f}, and must be at least 8" == str(verdict)


def test_a_ratio_that_was_not_measured_is_not_kept() -> None:
    found = a_run(ratios=[{"of": "theirs", "to": "ours", "times": 100.0}])

    [verdict] = budget.verdicts({"ratio": [RATIO]}, found)

    assert not verdict.holds
    assert "faster: not measured, and must be at least 8" == str(verdict)


@pytest.mark.parametrize(("times", "holds"), [(1.2, True), (1.21, False), (0.5, True)])
def test_a_cold_start_must_be_at_most_what_the_budget_says(
    times: float, *, holds: bool
) -> None:
    [verdict] = budget.verdicts({"cold_start": COLD}, a_run(cold_start={"ratio": times}))

    assert holds is verdict.holds


def test_a_cold_start_that_failed_is_not_kept() -> None:
    [verdict] = budget.verdicts({"cold_start": COLD}, a_run(cold_start={}))

    assert not verdict.holds


@pytest.mark.parametrize(("last", "holds"), [(30.0, True), (31.0, False)])
def test_growth_compares_two_rows_of_one_thing(last: float, *, holds: bool) -> None:
    [verdict] = budget.verdicts({"growth": [GROWTH]}, a_run(growth=rows(20.0, last)))

    assert holds is verdict.holds
    assert last / 20 == verdict.found


def test_a_row_that_failed_is_not_kept() -> None:
    failed = [*rows(20.0, 20.0)[:2], {"what": "routes", "value": 1000, "failure": "it died"}]

    [verdict] = budget.verdicts({"growth": [GROWTH]}, a_run(growth=failed))

    assert (None, False) == (verdict.found, verdict.holds)


def test_what_was_left_out_on_purpose_is_not_judged() -> None:
    lines = {"cold_start": COLD, "growth": [GROWTH]}

    assert [] == budget.verdicts(lines, a_run())


def test_the_budget_speaks_of_what_a_usual_run_measures() -> None:
    written = budget.read()
    compared = {(of.key, to.key) for of, to in pairs(ALL)}
    measured = {(case.what, case.value) for case in cases(whole=False)}
    measured |= {("events", n) for n in EVENTS}
    measured |= {("a backlog redriven", n) for n in BACKLOG}

    assert {(each["of"], each["to"]) for each in written["ratio"]} <= compared
    for line in written["growth"]:
        assert {(line["what"], line["of"]), (line["what"], line["to"])} <= measured
