"""What a queue has in stock, and what becomes of each message: back, below, or gone."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from lab.messaging.entities.message import DeadLettering, Message, State
from lab.messaging.entities.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.messaging.entities.message import Incoming
    from lab.messaging.entities.quota import Quota
    from lab.messaging.entities.rules import Rules

_TOO_MANY_DELIVERIES: Final = "MaxDeliveryCountExceeded"
_EXPIRED: Final = "TTLExpiredException"
_NO_SESSION_ID: Final = "Session id is null."
_LONGEST_REASON: Final = 4096


class Stock:
    """The messages of one queue.

    Attributes:
        name: the queue's path, as dead letters name their source.
        shelf: where the messages are.
        quota: what they are charged against, together with those below.
        below: where dead letters go; None for dead letters, which go nowhere else.
        number: gives the next sequence number.
    """

    def __init__(self, name: str, rules: Rules, quota: Quota, below: Stock | None) -> None:
        self.name = name
        self.shelf = Shelf(session=rules.session)
        self.quota = quota
        self.below = below
        self.number: Callable[[], int] = count(1).__next__
        self._rules = rules
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever a message may be there; return how to stop that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def announce(self) -> None:
        """Tell the watchers that a message may be there."""
        for watcher in tuple(self._watchers):
            watcher()

    def enqueue(self, incoming: Incoming, at: float) -> None:
        """Store a message whose bytes the quota has already granted."""
        life = self._rules.life_of(incoming.ttl)
        expires_at = None if life is None else at + life
        message = Message(incoming, self.number(), at, expires_at)
        self.put_back(message)
        if self._rules.session and incoming.session_id is None:
            self.bury(message, _NO_SESSION_ID, "A session is required here.")

    def put_back(self, message: Message) -> None:
        """Make a message available in its place."""
        self.shelf.put(message)
        self.announce()

    def fail(self, message: Message) -> None:
        """Put a message back whose delivery failed, or bury it when that was once too often."""
        message.delivery_count += 1
        most = self._rules.max_delivery_count
        if most is None or message.delivery_count < most:
            self.put_back(message)
            return
        words = f"Message could not be consumed after {most} delivery attempts."
        self.bury(message, _TOO_MANY_DELIVERIES, words)

    def expire(self, message: Message) -> None:
        """Bury a message whose time is up, or forget it."""
        if self._rules.dead_letter_expired:
            self.bury(message, _EXPIRED, "The message expired and was dead lettered.")
        else:
            self.forget(message)

    def bury(self, message: Message, reason: str | None, description: str | None) -> None:
        """Move a message below with its number and its history; its bytes stay charged."""
        if self.below is None:
            self.forget(message)
            return
        self.shelf.remove(message)
        message.dead_lettering = DeadLettering(
            reason and reason[:_LONGEST_REASON],
            description and description[:_LONGEST_REASON],
            self.name,
        )
        message.state = State.ACTIVE
        message.expires_at = None
        self.below.put_back(message)

    def forget(self, message: Message) -> None:
        """Let a message be gone."""
        self.shelf.remove(message)
        self.quota.release(message.incoming.size)
