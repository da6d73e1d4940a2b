"""A queue: messages come in, are locked by one receiver at a time, and end in one place."""

from __future__ import annotations

from heapq import nsmallest
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

from lab.messaging.entities.entrance import Entrance
from lab.messaging.entities.locks import Locks
from lab.messaging.entities.message import Delivery, Message, State
from lab.messaging.entities.quota import Quota
from lab.messaging.entities.refusals import (
    EntityDisabledError,
    MessageLockLostError,
    MessageNotFoundError,
    NoSessionError,
    NotAllowedError,
    SessionLockLostError,
)
from lab.messaging.entities.rules import Rules
from lab.messaging.entities.sessions import Sessions
from lab.messaging.entities.stock import Stock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from uuid import UUID

    from lab.messaging.entities.message import Incoming
    from lab.messaging.entities.sessions import SessionLock

DEAD_LETTERS: Final = "$DeadLetterQueue"


class Queue:
    """A queue, a subscription or a dead-letter sub-queue.

    Time passes only inside a call: each first does what has become due by the clock. Whoever
    waits for messages watches the queue and asks `next_due` when to look again by itself.

    Attributes:
        name: its path, as dead letters name their source.
        dead_letters: its sub-queue; None in a sub-queue, whose messages go nowhere else.
        disabled: while True, everything but settling is refused.
        quota: how much it may hold together with its dead letters.
    """

    def __init__(
        self,
        rules: Rules,
        clock: Callable[[], float],
        stock: Stock,
        dead_letters: Queue | None = None,
    ) -> None:
        self.name = stock.name
        self.rules = rules
        self.quota = stock.quota
        self.dead_letters = dead_letters
        self.disabled = False
        self._clock = clock
        self._stock = stock
        self._shelf = stock.shelf
        self._locks = Locks(rules.lock_seconds)
        self._sessions = Sessions(rules.lock_seconds, stock.quota)
        self._entrance = Entrance(
            rules.duplicate_detection_seconds, (stock.quota,), stock.number, stock.enqueue
        )

    @classmethod
    def with_dead_letters(
        cls, name: str, rules: Rules, clock: Callable[[], float], max_bytes: int
    ) -> Self:
        """Make a queue with its sub-queue, which shares its quota."""
        quota = Quota(max_bytes)
        lasting = Rules(lock_seconds=rules.lock_seconds, max_delivery_count=None)
        below = Stock(f"{name}/{DEAD_LETTERS}", lasting, quota, None)
        stock = Stock(name, rules, quota, below)
        return cls(rules, clock, stock, Queue(lasting, clock, below))

    # Coming in

    def send(self, batch: Sequence[Incoming]) -> None:
        """Take a batch, all or nothing; what was seen lately is dropped in silence.

        Raises:
            EntityDisabledError, NotAllowedError, QuotaExceededError: nothing was taken.
        """
        now = self._begin()
        self._check_sessions(batch)
        self._entrance.send(batch, now)

    def schedule(self, batch: Sequence[Incoming]) -> list[int]:
        """Keep a batch for later; return the sequence numbers to cancel it by.

        Raises:
            EntityDisabledError, NotAllowedError, QuotaExceededError: nothing was taken.
        """
        now = self._begin()
        self._check_sessions(batch)
        return self._entrance.schedule(batch, now)

    def cancel(self, numbers: Collection[int]) -> None:
        """Drop scheduled messages, all or none.

        Raises:
            MessageNotFoundError: one of them is not scheduled.
        """
        self._begin()
        self._entrance.cancel(numbers)

    def enqueue(self, incoming: Incoming, at: float) -> None:
        """Store what a topic has taken, as enqueued then; the quota has granted its bytes."""
        self._stock.enqueue(incoming, at)

    # Going out

    def receive(self, limit: int, session: SessionLock | None = None) -> list[Delivery]:
        """Lock up to `limit` messages, in order, for one receiver.

        Raises:
            EntityDisabledError: the queue is disabled.
            SessionLockLostError: the session is no longer held.
        """
        now = self._begin()
        return [self._lend(message, session, now) for message in self._next(limit, session)]

    def take(self, limit: int, session: SessionLock | None = None) -> list[Delivery]:
        """Receive and delete up to `limit` messages, in order; raises as `receive`."""
        self._begin()
        messages = self._next(limit, session)
        for message in messages:
            self._stock.forget(message)
        return [Delivery(message) for message in messages]

    def receive_deferred(
        self, numbers: Sequence[int], session: SessionLock | None = None
    ) -> list[Delivery]:
        """Lock deferred messages by their sequence numbers, all or none.

        Raises:
            MessageNotFoundError: one of them is not there, not deferred, or locked.
            SessionLockLostError: the session is no longer held.
        """
        now = self._begin()
        messages = self._deferred(numbers, session)
        return [self._lend(self._shelf.hold(message), session, now) for message in messages]

    def take_deferred(
        self, numbers: Sequence[int], session: SessionLock | None = None
    ) -> list[Delivery]:
        """Receive and delete deferred messages; raises as `receive_deferred`."""
        self._begin()
        messages = self._deferred(numbers, session)
        for message in messages:
            self._stock.forget(message)
        return [Delivery(message) for message in messages]

    def peek(self, start: int, limit: int, session_id: str | None = None) -> list[Message]:
        """Return messages from a sequence number on, whatever their state, locked ones too."""
        self._begin()
        found = (
            message
            for message in chain(self._shelf, self._entrance)
            if message.sequence_number >= start
            and (session_id is None or message.incoming.session_id == session_id)
        )
        return nsmallest(limit, found, key=lambda message: message.sequence_number)

    # Settling

    def complete(self, token: UUID) -> None:
        """Remove a locked message for good; raises when the lock is lost, as all below."""
        self._stock.forget(self._unlock(token))

    def abandon(self, token: UUID) -> None:
        """Give a locked message back as a delivery that failed."""
        self._stock.fail(self._unlock(token))

    def release(self, token: UUID) -> None:
        """Give a locked message back as if it had not been delivered."""
        self._stock.put_back(self._unlock(token))

    def defer(self, token: UUID) -> None:
        """Set a locked message aside, to be received by its sequence number only."""
        message = self._unlock(token)
        message.state = State.DEFERRED
        self._stock.put_back(message)

    def dead_letter(
        self, token: UUID, reason: str | None = None, description: str | None = None
    ) -> None:
        """Move a locked message to the dead letters.

        Raises:
            NotAllowedError: this is the dead-letter sub-queue itself.
        """
        if self.dead_letters is None:
            raise NotAllowedError("A dead letter cannot be dead-lettered again.")
        self._stock.bury(self._unlock(token), reason, description)

    def renew(self, token: UUID) -> float:
        """Prolong a message's lock; return its new end (epoch seconds).

        Raises:
            MessageLockLostError: the lock has ended.
            NotAllowedError: the message is locked by its session.
        """
        return self._locks.renew(token, self._begin())

    # Sessions

    def accept_session(self, session_id: str | None = None) -> SessionLock:
        """Hold a session: the named one, or for None the next that has messages.

        Raises:
            NotAllowedError: the queue has no sessions.
            SessionHeldError: another receiver holds the named session.
            NoSessionError: no session with messages is free.
        """
        now = self._begin()
        if not self.rules.session:
            raise NotAllowedError(
                f"A sessionful message receiver cannot be created on '{self.name}', which does "
                "not require sessions."
            )
        if session_id is None:
            session_id = self._shelf.first_lane(self._sessions.held)
        if session_id is None:
            raise NoSessionError
        return self._sessions.lock(session_id, now)

    def holds(self, session: SessionLock) -> bool:
        """Return whether a receiver still has its session."""
        self.advance()
        return self._sessions.holds(session)

    def renew_session(self, session: SessionLock) -> float:
        """Prolong the hold on a session; return its new end (epoch seconds).

        Raises:
            SessionLockLostError: the session is no longer held.
        """
        return self._sessions.renew(session, self._begin())

    def leave_session(self, session: SessionLock) -> None:
        """Let a session go; what was locked under it returns as if never delivered."""
        self.advance()
        if self._sessions.holds(session):
            self._end(session, self._stock.put_back)

    def session_state(self, session: SessionLock) -> bytes | None:
        """Return what is stored with a session, None when nothing is.

        Raises:
            SessionLockLostError: the session is no longer held.
        """
        self._begin()
        self._sessions.require(session)
        return self._sessions.state(session.session_id)

    def set_session_state(self, session: SessionLock, state: bytes | None) -> None:
        """Store something with a session; None clears it.

        Raises:
            SessionLockLostError: the session is no longer held.
            QuotaExceededError: the queue is full.
        """
        now = self._begin()
        self._sessions.require(session)
        self._sessions.set_state(session.session_id, state, now)

    def sessions(self) -> list[str]:
        """Return the sessions that have messages or a state, sorted."""
        self._begin()
        found = set(self._sessions.with_state_since(0))
        ids = (message.incoming.session_id for message in self._shelf)
        return sorted(found.union(each for each in ids if each is not None))

    def sessions_with_state(self, since: float) -> list[str]:
        """Return the sessions whose state was set since then (epoch seconds), sorted."""
        self._begin()
        return sorted(self._sessions.with_state_since(since))

    # Time

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever a message may be there to receive; return how to stop that.

        It is called in the midst of an operation and must not call the queue back.
        """
        return self._stock.watch(watcher)

    def next_due(self) -> float | None:
        """Return when something happens by itself next (epoch seconds), None for never."""
        dues = (
            self._entrance.next_due(),
            self._locks.next_due(),
            self._sessions.next_due(),
            self._shelf.next_due(),
        )
        return min((due for due in dues if due is not None), default=None)

    def advance(self) -> float:
        """Do what has become due; return the time."""
        now = self._clock()
        self._entrance.advance(now)
        for token in self._locks.expired(now):
            self._stock.fail(self._locks.unlock(token))
        for session in self._sessions.expired(now):
            self._end(session, self._stock.fail)
        for message in self._shelf.expired(now):
            self._stock.expire(message)
        return now

    def counts(self) -> dict[str, int]:
        """Return how many messages are where; locked ones are active or deferred too."""
        self.advance()
        deferred = sum(message.state is State.DEFERRED for message in self._shelf)
        below = 0 if self.dead_letters is None else self.dead_letters.size
        return {
            "active": self.size - deferred,
            "deferred": deferred,
            "scheduled": len(self._entrance),
            "locked": len(self._locks),
            "dead_letters": below,
        }

    @property
    def size(self) -> int:
        """How many messages it has, without scheduled ones and dead letters."""
        return len(self._shelf)

    # Inside

    def _begin(self) -> float:
        if self.disabled:
            raise EntityDisabledError(self.name)
        return self.advance()

    def _check_sessions(self, batch: Iterable[Incoming]) -> None:
        if self.rules.session and any(incoming.session_id is None for incoming in batch):
            raise NotAllowedError(
                "The SessionId was not set on a message, and it cannot be sent to the entity. "
                "Entities that have session support enabled can only receive messages that "
                "have the SessionId set to a valid value."
            )

    def _next(self, limit: int, session: SessionLock | None) -> list[Message]:
        lane = self._lane(session)
        handed = (self._shelf.hand_out(lane) for _ in range(limit))
        return list(iter(lambda: next(handed, None), None))

    def _lane(self, session: SessionLock | None) -> str | None:
        if session is None:
            if self.rules.session:
                raise NotAllowedError(f"'{self.name}' is received by session only.")
            return None
        self._sessions.require(session)
        return session.session_id

    def _deferred(self, numbers: Sequence[int], session: SessionLock | None) -> list[Message]:
        lane = self._lane(session)
        return [self._find_deferred(number, lane) for number in dict.fromkeys(numbers)]

    def _find_deferred(self, number: int, lane: str | None) -> Message:
        message = self._shelf.get(number)
        if message is None or message.state is not State.DEFERRED or self._locks.holds(message):
            raise MessageNotFoundError(number)
        if lane is not None and message.incoming.session_id != lane:
            raise MessageNotFoundError(number)
        return message

    def _lend(self, message: Message, session: SessionLock | None, now: float) -> Delivery:
        return Delivery(message, *self._locks.lock(message, session, now))

    def _unlock(self, token: UUID) -> Message:
        self.advance()
        try:
            return self._locks.unlock(token)
        except MessageLockLostError:
            if self.rules.session:
                raise SessionLockLostError from None
            raise

    def _end(self, session: SessionLock, give_back: Callable[[Message], None]) -> None:
        for token in tuple(session.tokens):
            give_back(self._locks.unlock(token))
        self._sessions.unlock(session)
        self._shelf.to_the_end(session.session_id)
        self._stock.announce()
