"""What Event Grid documents of retries: articles/event-grid/delivery-and-retry.md."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.event_grid import Subscription
from lab.event_grid.schedule import (
    ACCEPTED,
    NOT_RETRIED,
    SCHEDULE,
    SOCKET_ERROR,
    TIMED_OUT,
    Again,
    Delivered,
    GivenUp,
    Outcome,
    verdict,
)

MINUTE = 60.0
PLAIN = Subscription("s", "https://hook")


def decide(status: int, attempts: int = 1, age: float = 0, **changes: int) -> object:
    subscription = Subscription("s", "https://hook", **changes)
    return verdict(
        Outcome.of(status), attempts=attempts, age_seconds=age, subscription=subscription
    )


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_only_these_statuses_are_a_success(status: int) -> None:
    assert Delivered() == decide(status)


@pytest.mark.parametrize("status", [205, 206, 301, 302, 307, 404, 405, 408, 409, 429, 500, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    assert isinstance(decide(status), Again)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "UndeliverableDueToHttpBadRequest"),
        (401, "UndeliverableDueToHttpUnauthorized"),
        (403, "UndeliverableDueToHttpForbidden"),
        (413, "UndeliverableDueToHttpPayloadTooLarge"),
    ],
)
def test_a_webhook_that_is_misconfigured_is_not_tried_again(status: int, reason: str) -> None:
    assert GivenUp(reason) == decide(status)


def test_the_delays_grow_by_the_documented_schedule() -> None:
    delays = [decide(500, attempts) for attempts in range(1, 13)]

    assert [
        Again(seconds)
        for seconds in (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 43200, 43200)
    ] == delays


@pytest.mark.parametrize(
    ("status", "least"), [(404, 5 * MINUTE), (408, 2 * MINUTE), (503, 30.0), (500, 10.0)]
)
def test_some_statuses_have_a_longer_least_delay(status: int, least: float) -> None:
    assert Again(least) == decide(status)


def test_the_most_attempts_end_it() -> None:
    assert isinstance(decide(500, attempts=2, max_attempts=3), Again)
    assert GivenUp("MaxDeliveryAttemptsExceeded") == decide(500, attempts=3, max_attempts=3)


def test_the_time_to_live_ends_it_before_an_attempt_that_would_come_too_late() -> None:
    assert Again(10.0) == decide(500, age=50, ttl_minutes=1)
    assert GivenUp("TimeToLiveExceeded") == decide(500, age=51, ttl_minutes=1)


@pytest.mark.parametrize("outcome", [TIMED_OUT, SOCKET_ERROR])
def test_no_answer_is_tried_again(outcome: Outcome) -> None:
    assert Again(10.0) == verdict(outcome, attempts=1, age_seconds=0, subscription=PLAIN)


@given(
    status=st.integers(100, 599),
    attempts=st.integers(1, 30),
    age=st.floats(0, 100_000),
)
def test_every_event_ends_or_is_tried_again_later(
    status: int, attempts: int, age: float
) -> None:
    match decide(status, attempts, age):
        case Delivered():
            assert status in ACCEPTED
        case Again(seconds):
            assert status not in ACCEPTED | NOT_RETRIED
            assert seconds >= SCHEDULE[0]
            assert attempts < 30
        case GivenUp():
            too_old = age + SCHEDULE[-1] > 86_400
            assert status in NOT_RETRIED or attempts == 30 or too_old


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_events_per_batch": 5001}, "max_events_per_batch is between 1 and 5000"),
        ({"preferred_batch_kilobytes": 0}, "preferred_batch_kilobytes is between 1 and 1024"),
        ({"max_attempts": 31}, "max_attempts is between 1 and 30"),
        ({"ttl_minutes": 1441}, "ttl_minutes is between 1 and 1440"),
        ({"url": "http://hook"}, "a webhook's URL begins with https://"),
        ({"name": "a_b"}, "letters, digits and hyphens"),
        ({"headers": tuple((f"h{n}", "") for n in range(11))}, "at most 10 headers, not 11"),
        ({"headers": (("h", "x" * 4097),)}, "at most 4096 bytes"),
    ],
)
def test_a_subscription_beyond_the_limits_is_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Subscription(**({"name": "s", "url": "https://hook"} | changes))
