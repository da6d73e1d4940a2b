"""The benchmark of the lab's broker fails where the broker would be what others measure."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.messaging import LEAST, shortfall

ROOT = Path(__file__).parents[2]
SECONDS = 140


@pytest.mark.parametrize(
    ("batch", "rate", "expected"),
    [
        (100, 50_000.0, ""),
        (100, 49_999.0, "too slow: 49,999 events/s, and 50,000 are needed"),
        (1, 20_000.0, ""),
    ],
    ids=["just enough", "just too slow", "one by one"],
)
def test_fifty_thousand_events_a_second_are_needed_in_batches(
    batch: int, rate: float, expected: str
) -> None:
    assert expected == shortfall(batch, rate, LEAST)


def test_a_broker_that_is_too_slow_fails_the_benchmark_with_its_figure() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bench.messaging", "--events", "2000", "--least", "1000000000"],
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        text=True,
        check=False,
    )

    (figure,) = re.findall(r"([\d,]+) events/s", ended.stdout)
    told = f"too slow: {figure} events/s, and 1,000,000,000 are needed\n"
    assert (1, told) == (ended.returncode, ended.stderr)
