from __future__ import annotations

from lab.audit import Received
from lab.faults.times import times, worst_delay

SENT = {("s", "1"): 10.0, ("s", "2"): 11.0, ("s", "3"): 12.0}


def test_the_worst_delay_is_that_of_the_slowest_event() -> None:
    assert 4.0 == worst_delay(SENT, {("s", "1"): 10.5, ("s", "2"): 15.0})


def test_what_nobody_sent_has_no_delay() -> None:
    assert worst_delay(SENT, {("s", "4"): 99.0}) is None


def test_what_came_in_before_does_not_count() -> None:
    assert 0.5 == worst_delay(SENT, {("s", "1"): 20.0, ("s", "3"): 12.5}, since=11.5)


def test_the_first_copy_of_an_event_tells_its_time_and_what_is_no_event_none() -> None:
    properties = {
        f"cloudEvents:{name}": "x" for name in ("specversion", "id", "source", "type")
    }
    copies = [Received("0", properties, b"", enqueued=moment) for moment in (7.0, 5.0)]

    assert {("x", "x"): 5.0} == times([*copies, Received("0", {}, b"", enqueued=1.0)])
