from __future__ import annotations

from lab.faults.times import worst_delay

SENT = {("s", "1"): 10.0, ("s", "2"): 11.0, ("s", "3"): 12.0}


def test_the_worst_delay_is_that_of_the_slowest_event() -> None:
    assert 4.0 == worst_delay(SENT, {("s", "1"): 10.5, ("s", "2"): 15.0})


def test_what_nobody_sent_has_no_delay() -> None:
    assert worst_delay(SENT, {("s", "4"): 99.0}) is None
