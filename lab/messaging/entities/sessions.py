"""Who holds which session, until when, and what each session remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.messaging.entities.agenda import Agenda
from lab.messaging.entities.refusals import SessionHeldError, SessionLockLostError

if TYPE_CHECKING:
    from collections.abc import Iterator, KeysView
    from uuid import UUID

    from lab.messaging.entities.quota import Quota


@dataclass(slots=True, eq=False)
class SessionLock:
    """One receiver's hold on a session.

    Attributes:
        session_id: which session.
        until: when the hold ends unless it is renewed (epoch seconds).
        tokens: the locks of the messages delivered under it.
    """

    session_id: str
    until: float
    tokens: set[UUID] = field(default_factory=set)


class Sessions:
    """The sessions of one queue."""

    def __init__(self, lock_seconds: float, quota: Quota) -> None:
        self._seconds = lock_seconds
        self._quota = quota
        self._held: dict[str, SessionLock] = {}
        self._ends: Agenda[str] = Agenda()
        self._states: dict[str, tuple[bytes, float]] = {}

    @property
    def held(self) -> KeysView[str]:
        """The sessions that somebody holds."""
        return self._held.keys()

    def lock(self, session_id: str, now: float) -> SessionLock:
        """Give the session to a receiver.

        Raises:
            SessionHeldError: somebody has it.
        """
        if session_id in self._held:
            raise SessionHeldError(session_id)
        lock = SessionLock(session_id, now + self._seconds)
        self._held[session_id] = lock
        self._ends.put(session_id, lock.until)
        return lock

    def holds(self, lock: SessionLock) -> bool:
        """Return whether that hold still stands."""
        return self._held.get(lock.session_id) is lock

    def require(self, lock: SessionLock) -> None:
        """Check that a hold stands.

        Raises:
            SessionLockLostError: it does not.
        """
        if not self.holds(lock):
            raise SessionLockLostError

    def renew(self, lock: SessionLock, now: float) -> float:
        """Prolong a hold; return its new end (epoch seconds)."""
        self.require(lock)
        lock.until = now + self._seconds
        self._ends.put(lock.session_id, lock.until)
        return lock.until

    def unlock(self, lock: SessionLock) -> None:
        """End a hold that stands."""
        del self._held[lock.session_id]
        self._ends.discard(lock.session_id)

    def expired(self, now: float) -> Iterator[SessionLock]:
        """Yield the holds whose time is up; they still stand."""
        for session_id in self._ends.due(now):
            yield self._held[session_id]

    def next_due(self) -> float | None:
        """Return when the next hold ends."""
        return self._ends.first()

    def state(self, session_id: str) -> bytes | None:
        """Return what was stored with a session."""
        return self._states.get(session_id, (None, 0))[0]

    def set_state(self, session_id: str, state: bytes | None, now: float) -> None:
        """Store something with a session; None clears it.

        Raises:
            QuotaExceededError: the entity is full.
        """
        before = len(self._states.get(session_id, (b"", 0))[0])
        if state is not None:
            self._quota.claim(len(state) - before)
            self._states[session_id] = (state, now)
            return
        self._quota.release(before)
        self._states.pop(session_id, None)

    def with_state_since(self, since: float) -> list[str]:
        """Return the sessions whose state was set at or after `since` (epoch seconds)."""
        return [name for name, (_, updated) in self._states.items() if updated >= since]
