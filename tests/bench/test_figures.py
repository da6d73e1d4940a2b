"""What is made of measurements is right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Run, middle, percentile, ratio

POSITIVE = st.floats(min_value=1e-3, max_value=1e6)


def test_a_run_is_told_by_processor_time_and_not_by_the_clock_on_the_wall() -> None:
    run = Run(events=1_000, seconds=10.0, busy=0.5)

    assert (2_000.0, 500.0) == (run.rate, run.microseconds)


def test_a_median_is_told_with_how_far_apart_the_rounds_were() -> None:
    found = middle([100.0, 90.0, 300.0, 110.0, 95.0])

    assert (100.0, 90.0, 300.0) == (found.median, found.least, found.most)
    assert 2.1 == found.spread


def test_a_minute_that_is_slow_for_both_cancels_out_of_their_ratio() -> None:
    quiet, busy = 1.0, 0.1
    of = [800.0 * speed for speed in (quiet, busy, quiet)]
    to = [100.0 * speed for speed in (quiet, busy, quiet)]

    found = ratio(of, to)

    assert [8.0] * 3 == [pytest.approx(x) for x in (found.median, found.least, found.most)]


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() -> None:
    found = ratio([10.0, 20.0, 90.0], [10.0, 40.0, 30.0])

    assert 1.0 == found.median


def test_rounds_in_which_only_one_ran_make_no_ratio() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize("of_nothing", [middle, lambda values: percentile(values, 50)])
def test_nothing_measured_is_no_figure(of_nothing: object) -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        of_nothing([])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1.0), (50, 50.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert expected == percentile([float(n) for n in range(100, 0, -1)], percent)


@given(st.lists(POSITIVE, min_size=1), st.floats(min_value=0.1, max_value=100))
def test_so_many_percent_do_not_exceed_a_percentile(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)

    below = sum(value <= found for value in values)
    less = sum(value < found for value in values)
    assert found in values
    assert 100 * below >= percent * len(values) - 1e-6
    assert 100 * less < percent * len(values) + 1e-6


@given(st.lists(POSITIVE, min_size=1))
def test_whoever_is_compared_with_himself_has_the_ratio_one(values: list[float]) -> None:
    found = ratio(values, values)

    assert (1.0, 1.0, 1.0) == (found.median, found.least, found.most)
