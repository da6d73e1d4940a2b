from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from relay.observer import Delivered, Redriven, Unrouted
from relay.rates import Rates
from tests.fakes import NOON, a_route, an_arrival

HUB = a_route("hub")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)


def test_a_rate_is_of_the_last_minutes_and_fades() -> None:
    clock = Clock()
    rates = Rates(clock)
    clock.wait(minutes=10)

    rates(Delivered(HUB, [an_arrival()] * 20, 1))
    rates(Redriven(HUB, 5))
    rates(Unrouted(100))

    assert rates.per_minute("hub") == 5
    assert rates.per_minute("another") == 0
    clock.wait(minutes=7)
    assert rates.per_minute("hub") == 0


@pytest.mark.parametrize(("seconds", "expected"), [(0, 60), (30, 60), (120, 30)])
def test_a_process_that_has_just_begun_does_not_exaggerate(
    seconds: int, expected: float
) -> None:
    clock = Clock()
    rates = Rates(clock)
    rates(Delivered(HUB, [an_arrival()] * 60, 1))

    clock.wait(seconds=seconds)

    assert rates.per_minute("hub") == expected


def test_what_is_counted_is_forgotten_again() -> None:
    clock = Clock()
    rates = Rates(clock)

    for _ in range(1000):
        clock.wait(minutes=1)
        rates(Delivered(HUB, [an_arrival()], 1))

    assert rates.per_minute("hub") == pytest.approx(1, abs=0.3)
