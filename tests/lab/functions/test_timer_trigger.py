from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lab.functions.metadata import Function
from lab.functions.timer_trigger import TimerTrigger
from lab.functions_host import AppFailed
from tests.lab.functions.hosting import running

SETTINGS = {"SCHEDULE": "0 0 0 29 2 *"}


async def test_a_timer_runs_by_its_schedule_and_at_the_start_if_told() -> None:
    async with running("timers", SETTINGS) as (_, logs):
        await logs.until(lambda: logs.told("app.timers", function="every_second"))

    (started,) = logs.told("app.timers", function="at_start")
    assert started["past_due"] is False
    assert started["schedule"] == {"AdjustForDST": True}
    assert started["status"]["Next"].endswith("-02-29T00:00:00Z")
    assert not logs.told("app.timers", function="fails")


async def test_a_timer_can_be_fired_by_hand_and_be_late() -> None:
    async with running("timers", SETTINGS) as (host, logs):
        answer = await host.invoke_timer("at_start", past_due=True)

    assert answer.succeeded
    assert [
        told["past_due"] for told in logs.told("app.timers", past_due=True, function="at_start")
    ] == [True]


async def test_a_timer_that_fails_follows_its_retry_policy() -> None:
    async with running("timers", SETTINGS) as (host, logs):
        answer = await host.invoke_timer("fails")

    assert answer.error == "ValueError: attempt 1"
    assert len(logs.told("app.timers", function="fails")) == 2


async def test_a_timer_that_nobody_declared_is_unknown() -> None:
    async with running("timers", SETTINGS) as (host, _):
        with pytest.raises(KeyError, match="nobody"):
            await host.invoke_timer("nobody")


async def test_a_schedule_that_cannot_be_read_stops_the_start() -> None:
    with pytest.raises(
        AppFailed, match=r"function 'fails': schedule '0 99 \* \* \* \*' cannot"
    ):
        async with running("timers", {"SCHEDULE": "0 99 * * * *"}):
            pass


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("*/15 * * * * *", "2026-11-21T19:00:15"),
        ("0 */5 * * * *", "2026-11-21T19:05:00"),
        ("*/5 * * * *", "2026-11-21T19:05:00"),
        ("30 0 6 * * Mon-Fri", "2026-11-23T06:00:30"),
        ("0 30 9 1 Jan *", "2027-01-01T09:30:00"),
    ],
)
def test_a_schedule_begins_with_its_seconds(schedule: str, due: str) -> None:
    binding = {"type": "timerTrigger", "name": "timer", "schedule": schedule}
    trigger = TimerTrigger.of(Function("f", "id", (binding,)), {}, None)
    after = datetime(2026, 11, 21, 19, 0, 0, 500, UTC)

    assert f"{due}+00:00" == trigger.next(after).isoformat()
