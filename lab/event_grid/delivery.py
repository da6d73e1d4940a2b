"""Delivers a subscription's events: side by side, in batches, again after failures."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from lab.event_grid.events import dead_letter, delivered, request
from lab.event_grid.schedule import Again, Delivered, GivenUp, verdict

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from lab.event_grid.dead_letters import Container
    from lab.event_grid.events import Event, Request
    from lab.event_grid.faults import TopicFaults
    from lab.event_grid.model import Subscription
    from lab.event_grid.schedule import Outcome

_AT_ONCE: Final = 8
"""Requests to one webhook side by side: Azure says only that there are many."""
_JITTER: Final = 0.1
_BEFORE_DEAD_LETTER: Final = 5 * 60.0
_BETWEEN_DEAD_LETTERS: Final = 60.0
_LONGEST_FOR_DEAD_LETTER: Final = 4 * 3600.0


class Webhook(Protocol):
    """Takes requests."""

    async def post(self, subscription: Subscription, request: Request) -> Outcome:
        """Send a request and return how that ended; never raises."""


@dataclass(slots=True)
class Pending:
    """An event on its way."""

    event: Event
    published: datetime
    attempts: int = 0
    attempted: datetime | None = None
    outcome: str = ""

    def dead(self, reason: str) -> Mapping[str, object]:
        """Return what a dead letter says beside the event."""
        return {
            "deadLetterReason": reason,
            "deliveryAttempts": self.attempts,
            "lastDeliveryOutcome": self.outcome,
            "publishTime": _time(self.published),
            "lastDeliveryAttemptTime": _time(self.attempted or self.published),
        }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


@dataclass(slots=True)
class Deliveries:
    """Everything that goes to one subscription.

    Attributes:
        time_scale: what the schedule's delays and the events' time to live are multiplied by.
        counts: events `delivered`, `dead_lettered`, `dropped`; requests `sent` and `failed`.
        changed: set whenever a count changes.
    """

    subscription: Subscription
    webhook: Webhook
    dead_letters: Container
    faults: TopicFaults
    time_scale: float
    counts: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: list[Pending] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _pending: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - no secret

    @property
    def pending(self) -> int:
        """How many events are neither delivered nor given up."""
        return self._pending

    def take(self, events: Sequence[Event]) -> None:
        """Deliver events, from now on."""
        now = datetime.now(UTC)
        found = [Pending(delivered(each, self.subscription.schema), now) for each in events]
        self._pending += len(found)
        self._queue(found)

    async def run(self) -> None:
        """Deliver until cancelled; what is pending then is forgotten."""
        free = asyncio.Semaphore(_AT_ONCE)
        try:
            while True:
                await self._arrived.wait()
                await self.faults.flow()
                await free.acquire()
                sending = self._start(self._deliver(self._batch()))
                sending.add_done_callback(lambda _: free.release())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _queue(self, pending: Sequence[Pending]) -> None:
        self._waiting.extend(pending)
        if self._waiting:
            self._arrived.set()

    def _batch(self) -> list[Pending]:
        """Take what fits into one request; a single event always does."""
        most = self.subscription.preferred_batch_kilobytes * 1024
        waiting = list(self.faults.order(self._waiting))
        batch, size = waiting[:1], len(waiting[0].event.text)
        for each in waiting[1 : self.subscription.max_events_per_batch]:
            size += len(each.event.text)
            if size > most:
                break
            batch.append(each)
        taken = {id(each) for each in batch}
        self._waiting = [each for each in self._waiting if id(each) not in taken]
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _deliver(self, batch: Sequence[Pending]) -> None:
        """Send one request; all of its events share its fate."""
        asked = request(
            [each.event for each in batch],
            self.subscription.schema,
            batched=self.subscription.max_events_per_batch > 1,
            attempts=max(each.attempts for each in batch),
            subscription=self.subscription.name,
        )
        for each in batch:
            each.attempts += 1
            each.attempted = datetime.now(UTC)
        outcome = await self._send(asked)
        for each in batch:
            each.outcome = outcome.name
            self._decide(each, outcome)
        self._note(failed=outcome.name != "Success")

    async def _send(self, asked: Request) -> Outcome:
        sent = [
            self.webhook.post(self.subscription, asked) for _ in range(self.faults.copies())
        ]
        self.counts["sent"] += len(sent)
        return (await asyncio.gather(*sent))[-1]

    def _decide(self, pending: Pending, outcome: Outcome) -> None:
        age = (datetime.now(UTC) - pending.published).total_seconds() / self.time_scale
        match verdict(
            outcome,
            attempts=pending.attempts,
            age_seconds=age,
            subscription=self.subscription,
        ):
            case Delivered():
                self._end("delivered")
            case Again(seconds):
                self._start(self._later(pending, seconds))
            case GivenUp(reason):
                self._give_up(pending, reason)

    async def _later(self, pending: Pending, seconds: float) -> None:
        jitter = 1 + self._random.random() * _JITTER
        await asyncio.sleep(seconds * jitter * self.time_scale)
        self._queue([pending])

    def _give_up(self, pending: Pending, reason: str) -> None:
        if self.subscription.dead_letters:
            self._start(self._bury(pending, reason))
        else:
            self._end("dropped")

    async def _bury(self, pending: Pending, reason: str) -> None:
        letter = dead_letter(pending.event, pending.dead(reason))
        waited = _BEFORE_DEAD_LETTER
        await asyncio.sleep(waited * self.time_scale)
        name, container = self.subscription.name, self.subscription.dead_letters
        while not await self.dead_letters.write(container, name, [letter]):
            if waited >= _LONGEST_FOR_DEAD_LETTER:
                self._end("dropped")
                return
            waited += _BETWEEN_DEAD_LETTERS
            await asyncio.sleep(_BETWEEN_DEAD_LETTERS * self.time_scale)
        self._end("dead_lettered")

    def _end(self, how: str) -> None:
        self.counts[how] += 1
        self._pending -= 1
        self.changed.set()

    def _note(self, *, failed: bool) -> None:
        self.counts["failed"] += failed
        self.changed.set()
