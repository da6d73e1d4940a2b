"""What the relay said in its log, counted; one can wait for it to say something."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.functions_host import LogRecord

RELAY: Final = "relay"

_TROUBLE: Final = ("relay.attempt_failed", "relay.refused", "relay.dead_lettered")
_KEPT: Final = 20


class Journal:
    """Counts what the relay says.

    Attributes:
        errors: the last errors of whoever else speaks: the host, the worker.
    """

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=_KEPT)
        self._records: Counter[tuple[str, str]] = Counter()
        self._events: Counter[tuple[str, str]] = Counter()
        self._heard = asyncio.Event()

    def hear(self, record: LogRecord) -> None:
        """Enter a record."""
        if record.category == RELAY:
            route = str(record.properties.get("route", ""))
            count = record.properties.get("count", 0)
            self._records[record.message, route] += 1
            self._events[record.message, route] += count if isinstance(count, int) else 0
        elif record.level >= logging.ERROR:
            self.errors.append(record.message.partition("\n")[0])
        self._heard.set()

    def records(self, name: str, route: str = "") -> int:
        """Return how many records of this name were heard of a route."""
        return self._records[name, route]

    def events(self, name: str, route: str = "") -> int:
        """Return how many events records of this name spoke of."""
        return self._events[name, route]

    def trouble(self, route: str) -> int:
        """Return how often the relay spoke of trouble on a route."""
        return sum(self.records(name, route) for name in _TROUBLE)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds, looking whenever something is said, or now and then."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._something_is_heard()
        except TimeoutError:
            return condition()
        return True

    async def _something_is_heard(self) -> None:
        """Wait for a word, though not for long: conditions may be about others too."""
        self._heard.clear()
        try:
            async with asyncio.timeout(0.05):
                await self._heard.wait()
        except TimeoutError:
            return
