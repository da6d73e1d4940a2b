"""Which receiver may settle which message, until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from lab.messaging.entities.agenda import Agenda
from lab.messaging.entities.refusals import MessageLockLostError, NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.messaging.entities.message import Message
    from lab.messaging.entities.sessions import SessionLock


@dataclass(frozen=True, slots=True)
class Lock:
    """A message in somebody's hands; under a session it ends with the session's hold."""

    token: UUID
    message: Message
    session: SessionLock | None


class Locks:
    """The message locks of one queue."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._locks: dict[UUID, Lock] = {}
        self._locked: set[int] = set()
        self._ends: Agenda[UUID] = Agenda()

    def __len__(self) -> int:
        return len(self._locks)

    def holds(self, message: Message) -> bool:
        """Return whether the message is in somebody's hands."""
        return message.sequence_number in self._locked

    def lock(
        self, message: Message, session: SessionLock | None, now: float
    ) -> tuple[UUID, float]:
        """Lock a message; return its token and when the lock ends (epoch seconds)."""
        token = uuid4()
        self._locks[token] = Lock(token, message, session)
        self._locked.add(message.sequence_number)
        if session is not None:
            session.tokens.add(token)
            return token, session.until
        self._ends.put(token, now + self._seconds)
        return token, now + self._seconds

    def unlock(self, token: UUID) -> Message:
        """End a lock.

        Raises:
            MessageLockLostError: there is no such lock any more.
        """
        lock = self._locks.pop(token, None)
        if lock is None:
            raise MessageLockLostError
        self._ends.discard(token)
        self._locked.discard(lock.message.sequence_number)
        if lock.session is not None:
            lock.session.tokens.discard(token)
        return lock.message

    def renew(self, token: UUID, now: float) -> float:
        """Prolong a lock; return its new end (epoch seconds).

        Raises:
            MessageLockLostError: there is no such lock any more.
            NotAllowedError: it hangs on a session.
        """
        lock = self._locks.get(token)
        if lock is None:
            raise MessageLockLostError
        if lock.session is not None:
            raise NotAllowedError("A session's messages are locked by the session.")
        self._ends.put(token, now + self._seconds)
        return now + self._seconds

    def expired(self, now: float) -> Iterator[UUID]:
        """Yield the tokens whose time is up; their locks still stand."""
        return self._ends.due(now)

    def next_due(self) -> float | None:
        """Return when the next lock ends."""
        return self._ends.first()
