"""Which message-ids were seen lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.messaging.entities.message import Incoming, MessageId

MOST_REMEMBERED: Final = 500_000
"""More message-ids than this are not kept; the oldest are forgotten early."""


class Duplicates:
    """Duplicate detection by message-id within a window of seconds; 0 detects nothing."""

    __slots__ = ("_seconds", "_seen")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[MessageId, float] = {}

    def fresh(self, batch: Iterable[Incoming], now: float) -> list[Incoming]:
        """Return those messages whose ids are new, also among themselves; remember nothing."""
        self._forget(now)
        kept: list[Incoming] = []
        mine: set[MessageId] = set()
        for incoming in batch:
            if incoming.message_id in self._seen or incoming.message_id in mine:
                continue
            if self._seconds and incoming.message_id is not None:
                mine.add(incoming.message_id)
            kept.append(incoming)
        return kept

    def remember(self, batch: Iterable[Incoming], now: float) -> None:
        """Keep the ids of messages that were taken."""
        if not self._seconds:
            return
        for incoming in batch:
            if incoming.message_id is not None:
                self._seen[incoming.message_id] = now + self._seconds
        while len(self._seen) > MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _forget(self, now: float) -> None:
        while self._seen and self._seen[oldest := next(iter(self._seen))] <= now:
            del self._seen[oldest]
