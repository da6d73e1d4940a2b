"""How fast an operator lets dead letters go: so many events a second, in even portions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """Says how much may go at once, and when.

    Attributes:
        rate: events a second; `None` for as fast as they are taken.
    """

    rate: float | None = None
    _next: float = 0.0

    @property
    def most(self) -> int | None:
        """How many events may go at once: a second's, so that none have to wait claimed."""
        return None if self.rate is None else max(1, int(self.rate))

    def delay(self, now: float, count: int) -> float:
        """Return the seconds to wait before so many events go."""
        if self.rate is None:
            return 0.0
        start = max(self._next, now)
        self._next = start + count / self.rate
        return start - now
