"""Dead letters by route, fate and reason: how many, and how old."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from relay.dead_letters.letters import DeadLetter
    from relay.dead_letters.names import Fate, Shelf
    from relay.failures import Reason


@dataclass(frozen=True, slots=True)
class Group:
    """Letters of one route and fate that have the same reason.

    Attributes:
        oldest: when the event of the oldest was enqueued.
        newest: when that of the newest was.
    """

    route: str
    fate: Fate
    reason: Reason
    count: int
    oldest: datetime
    newest: datetime


@dataclass(slots=True)
class Tally:
    """Counts letters one by one, and keeps none."""

    _groups: dict[tuple[Shelf, Reason], Group] = field(default_factory=dict)

    def add(self, shelf: Shelf, letter: DeadLetter) -> None:
        """Count a letter."""
        time = letter.arrival.enqueued
        key = (shelf, letter.reason)
        before = self._groups.get(key)
        self._groups[key] = Group(
            shelf.route,
            shelf.fate,
            letter.reason,
            before.count + 1 if before else 1,
            min(before.oldest, time) if before else time,
            max(before.newest, time) if before else time,
        )

    @property
    def groups(self) -> list[Group]:
        """The groups, in order of route, fate and reason."""
        return [self._groups[key] for key in sorted(self._groups)]

    @property
    def count(self) -> int:
        """How many letters there are."""
        return sum(group.count for group in self._groups.values())
