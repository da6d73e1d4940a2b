"""The timer trigger: NCRONTAB with seconds, in UTC; one run at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from croniter import CroniterError, croniter

from lab.functions import retry
from lab.functions.failures import AppFailed, WorkerDied
from lab.functions.messages import Answer, Data
from lab.functions.newtonsoft import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.functions.messages import RetryState
    from lab.functions.metadata import Function
    from lab.functions.trigger import Host

_FIELDS: Final = 6
_NEVER: Final = datetime(1, 1, 1)  # noqa: DTZ001 - .NET's DateTime.MinValue has no zone


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """Runs one function by its schedule.

    Attributes:
        schedule: six fields, seconds first.
        on_startup: whether it also runs when the host starts.
    """

    function: Function
    schedule: str
    on_startup: bool
    host: Host

    @classmethod
    def of(cls, function: Function, settings: Mapping[str, str], host: Host) -> TimerTrigger:
        """Return the trigger of a function.

        Raises:
            AppFailed: the schedule or a setting that it names is of no use.
        """
        schedule = function.attribute("schedule", settings)
        try:
            croniter(_padded(schedule), second_at_beginning=True)
        except (CroniterError, ValueError) as error:
            text = f"function {function.name!r}: schedule {schedule!r} cannot be read: {error}"
            raise AppFailed(text) from error
        on_startup = bool(function.trigger.get("runOnStartup"))
        return cls(function, _padded(schedule), on_startup, host)

    async def run(self) -> None:
        """Run the function whenever it is due, until cancelled."""
        last: datetime | None = None
        if self.on_startup:
            await self.fire(last)
        while True:
            due = self.next(datetime.now(UTC))
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
            await self.fire(last, due)
            last = due

    def next(self, after: datetime) -> datetime:
        """Return when the function is due next."""
        found: datetime = croniter(self.schedule, after, second_at_beginning=True).get_next(
            datetime
        )
        return found

    async def fire(
        self, last: datetime | None = None, due: datetime | None = None, *, late: bool = False
    ) -> Answer:
        """Run the function now, with its retry policy.

        Args:
            last: when it ran before.
            due: when it was due, if that is why it runs.
            late: what the function is told as `past_due`.
        """
        value = Data("json", dumps(self._info(last, due or datetime.now(UTC), late=late)))

        async def attempt(state: RetryState | None) -> Answer:
            return await self.host.invoke(self.function, value, {}, state)

        try:
            return await retry.run(
                self.function.retry,
                attempt,
                self._say_retry,
                time_scale=self.host.time_scale,
            )
        except WorkerDied as error:
            self.host.log(logging.ERROR, f"{self.function.name}: {error}")
            return Answer(error=f"WorkerDied: {error}")

    def _info(
        self, last: datetime | None, due: datetime, *, late: bool
    ) -> Mapping[str, object]:
        return {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": last or _NEVER,
                "Next": self.next(due),
                "LastUpdated": last or _NEVER,
            },
            "IsPastDue": late,
        }

    def _say_retry(self, state: RetryState, delay: timedelta) -> None:
        self.host.log(
            logging.WARNING,
            f"{self.function.name}: retry {state.count} of {state.maximum} in {delay}"
            f" after {state.error}",
        )


def _padded(schedule: str) -> str:
    """NCRONTAB takes five fields as well, with seconds at 0."""
    fields = schedule.split()
    return " ".join(["0", *fields]) if len(fields) == _FIELDS - 1 else " ".join(fields)
