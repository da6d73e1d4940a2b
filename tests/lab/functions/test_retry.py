from __future__ import annotations

from datetime import timedelta

import pytest

from lab.functions import retry
from lab.functions.messages import Answer, RetryState
from lab.functions.metadata import FOREVER, RetryPolicy

SECOND = timedelta(seconds=1)
FAILED = Answer(error="ValueError: no")


class Attempts:
    """Fails a number of times and remembers what it was told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.states: list[RetryState | None] = []
        self.delays: list[timedelta] = []

    async def __call__(self, state: RetryState | None) -> Answer:
        self.states.append(state)
        return FAILED if len(self.states) <= self.failures else Answer()

    def note(self, _: RetryState, delay: timedelta) -> None:
        self.delays.append(delay)


async def run(policy: RetryPolicy | None, failures: int) -> tuple[Answer, Attempts]:
    attempts = Attempts(failures)
    return await retry.run(policy, attempts, attempts.note, time_scale=0), attempts


async def test_without_a_policy_there_is_one_attempt_that_knows_of_none() -> None:
    answer, attempts = await run(None, failures=1)

    assert (answer, attempts.states) == (FAILED, [None])


async def test_a_policy_is_known_to_the_first_attempt_too() -> None:
    answer, attempts = await run(RetryPolicy(2, SECOND, SECOND), failures=0)

    assert (answer, attempts.states) == (Answer(), [RetryState(0, 2)])


async def test_a_policy_ends_after_its_retries() -> None:
    answer, attempts = await run(RetryPolicy(2, SECOND, SECOND), failures=9)

    assert answer == FAILED
    assert attempts.states == [
        RetryState(0, 2),
        RetryState(1, 2, "ValueError: no"),
        RetryState(2, 2, "ValueError: no"),
    ]


async def test_a_policy_without_end_goes_on() -> None:
    answer, attempts = await run(RetryPolicy(FOREVER, SECOND, SECOND), failures=60)

    assert answer.succeeded
    assert attempts.states[-1] == RetryState(60, FOREVER, "ValueError: no")


async def test_a_fixed_delay_stays() -> None:
    _, attempts = await run(RetryPolicy(3, 5 * SECOND, 5 * SECOND), failures=3)

    assert attempts.delays == [5 * SECOND] * 3


async def test_an_exponential_delay_grows_to_its_limit() -> None:
    _, attempts = await run(RetryPolicy(FOREVER, SECOND, 20 * SECOND), failures=7)

    assert [delay.total_seconds() for delay in attempts.delays] == [1, 2, 3, 5, 9, 17, 20]


@pytest.mark.parametrize("number", [50, 10_000])
def test_a_late_retry_waits_no_longer_than_the_limit(number: int) -> None:
    assert RetryPolicy(FOREVER, SECOND, 60 * SECOND).delay(number) == 60 * SECOND
