"""A topic: every message to every subscription."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from lab.messaging.entities.entrance import Entrance
from lab.messaging.entities.refusals import EntityDisabledError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from lab.messaging.entities.message import Incoming
    from lab.messaging.entities.queue import Queue


class Topic:
    """A topic; it keeps nothing itself but what is scheduled for later.

    Attributes:
        name: its path.
        subscriptions: the queues that get a copy of each message, by their name.
        disabled: while True, every operation is refused.
    """

    def __init__(
        self,
        name: str,
        window: float,
        clock: Callable[[], float],
        subscriptions: Mapping[str, Queue],
    ) -> None:
        self.name = name
        self.subscriptions = subscriptions
        self.disabled = False
        self._clock = clock
        self._entrance = Entrance(
            window,
            [subscription.quota for subscription in subscriptions.values()],
            count(1).__next__,
            self._fan_out,
        )

    def send(self, batch: Sequence[Incoming]) -> None:
        """Take a batch for every subscription, or for none.

        Raises:
            EntityDisabledError, QuotaExceededError: nothing was taken.
        """
        self._entrance.send(batch, self._begin())

    def schedule(self, batch: Sequence[Incoming]) -> list[int]:
        """Keep a batch for later; return the sequence numbers to cancel it by.

        Raises:
            EntityDisabledError, QuotaExceededError: nothing was taken.
        """
        return self._entrance.schedule(batch, self._begin())

    def cancel(self, numbers: Collection[int]) -> None:
        """Drop scheduled messages, all or none.

        Raises:
            MessageNotFoundError: one of them is not scheduled.
        """
        self._begin()
        self._entrance.cancel(numbers)

    def next_due(self) -> float | None:
        """Return when the next scheduled message is due (epoch seconds), None for never."""
        return self._entrance.next_due()

    def advance(self) -> float:
        """Send what has become due; return the time."""
        now = self._clock()
        self._entrance.advance(now)
        return now

    def counts(self) -> dict[str, int]:
        """Return how many messages wait for their time."""
        self.advance()
        return {"scheduled": len(self._entrance)}

    def _begin(self) -> float:
        if self.disabled:
            raise EntityDisabledError(self.name)
        return self.advance()

    def _fan_out(self, incoming: Incoming, at: float) -> None:
        for subscription in self.subscriptions.values():
            subscription.enqueue(incoming, at)
