"""What stands before a queue or a topic: quota, duplicates, messages for later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.messaging.entities.agenda import Agenda
from lab.messaging.entities.duplicates import Duplicates
from lab.messaging.entities.message import Message, State
from lab.messaging.entities.quota import claim_all, release_all
from lab.messaging.entities.refusals import MessageNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from lab.messaging.entities.message import Incoming
    from lab.messaging.entities.quota import Quota


class Entrance:
    """Takes messages whole batches at a time and stores them when they are due.

    Args:
        window: seconds of duplicate detection, 0 for none.
        quotas: what each message is charged against: the queue's, or every subscription's.
        number: gives the next sequence number.
        store: puts a message into the entity, as enqueued at the given time.
    """

    def __init__(
        self,
        window: float,
        quotas: Sequence[Quota],
        number: Callable[[], int],
        store: Callable[[Incoming, float], None],
    ) -> None:
        self._duplicates = Duplicates(window)
        self._quotas = quotas
        self._number = number
        self._store = store
        self._later: Agenda[int] = Agenda()
        self._scheduled: dict[int, Message] = {}

    def __len__(self) -> int:
        return len(self._scheduled)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._scheduled.values())

    def send(self, batch: Sequence[Incoming], now: float) -> None:
        """Store a batch, or keep for later those of its messages that ask for it.

        Raises:
            QuotaExceededError: nothing of the batch was taken.
        """
        for incoming in self._take(batch, now):
            if incoming.scheduled_at is not None and incoming.scheduled_at > now:
                self._keep(incoming, incoming.scheduled_at, self._number())
            else:
                self._store(incoming, now)

    def schedule(self, batch: Sequence[Incoming], now: float) -> list[int]:
        """Keep a batch for later; return a sequence number for each, also for duplicates.

        Raises:
            QuotaExceededError: nothing of the batch was taken.
        """
        taken = {id(incoming) for incoming in self._take(batch, now)}
        numbers = [self._number() for _ in batch]
        for incoming, number in zip(batch, numbers, strict=True):
            if id(incoming) in taken:
                self._keep(incoming, incoming.scheduled_at or now, number)
        return numbers

    def cancel(self, numbers: Collection[int]) -> None:
        """Drop scheduled messages.

        Raises:
            MessageNotFoundError: one of them is not scheduled; none was dropped.
        """
        for number in numbers:
            if number not in self._scheduled:
                raise MessageNotFoundError(number)
        for number in set(numbers):
            self._later.discard(number)
            release_all(self._quotas, self._scheduled.pop(number).incoming.size)

    def advance(self, now: float) -> None:
        """Store what is due, as enqueued at the time it was due."""
        for number in self._later.due(now):
            message = self._scheduled.pop(number)
            self._store(message.incoming, message.enqueued_at)

    def next_due(self) -> float | None:
        """Return when the next scheduled message is due."""
        return self._later.first()

    def _take(self, batch: Sequence[Incoming], now: float) -> list[Incoming]:
        fresh = self._duplicates.fresh(batch, now)
        claim_all(self._quotas, sum(incoming.size for incoming in fresh))
        self._duplicates.remember(fresh, now)
        return fresh

    def _keep(self, incoming: Incoming, due: float, number: int) -> None:
        self._scheduled[number] = Message(incoming, number, due, state=State.SCHEDULED)
        self._later.put(number, due)
