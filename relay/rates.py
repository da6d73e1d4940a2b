"""How many events a minute each route delivers, over the last few minutes."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from relay.observer import Delivered, Fact, Redriven

if TYPE_CHECKING:
    from collections.abc import Callable

SPAN: Final = timedelta(minutes=5)


class Rates:
    """Counts what is delivered; an `Observer`.

    Args:
        now: the time of day, in UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._began = now()
        self._minutes: deque[tuple[datetime, Counter[str]]] = deque()

    def __call__(self, fact: Fact) -> None:
        """Hear a fact."""
        match fact:
            case Delivered(route, arrivals):
                self._this_minute()[route.name] += len(arrivals)
            case Redriven(route, count):
                self._this_minute()[route.name] += count
            case _:
                pass

    def per_minute(self, route: str) -> float:
        """Return how many events a minute were delivered to a route lately."""
        now = self._now()
        self._forget(now)
        lasted = min(now - self._began, SPAN) / timedelta(minutes=1)
        total = sum(counted[route] for _, counted in self._minutes)
        return total / max(lasted, 1.0)

    def _this_minute(self) -> Counter[str]:
        now = self._now()
        minute = now.replace(second=0, microsecond=0)
        self._forget(now)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, Counter()))
        return self._minutes[-1][1]

    def _forget(self, now: datetime) -> None:
        while self._minutes and now - self._minutes[0][0] > SPAN:
            self._minutes.popleft()
