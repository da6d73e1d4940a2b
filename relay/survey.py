"""Looks into Blob for what is there of each route, and tells what it finds.

The timer fires on one instance of the app at a time, and any instance may have put there what
waits: what this finds holds for all of them. Another instance looks when somebody asks it.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from relay.failures import DeliveryError
from relay.observer import Surveyed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.dead_letters import DeadLetters
    from relay.observer import Observer
    from relay.routing import Route

LONGEST: Final = 30.0
"""Seconds for looking at all routes; what is not seen by then is seen the next time."""
OLD: Final = 60.0
"""Seconds after which it is worth looking again."""


class Survey:
    """Looks into Blob; nothing depends on it, so it never raises.

    Args:
        routes: whose dead letters are counted.
        dead_letters: where they are.
        observe: hears what is found.
    """

    def __init__(
        self, routes: Sequence[Route], dead_letters: DeadLetters, observe: Observer
    ) -> None:
        self._routes = routes
        self._dead_letters = dead_letters
        self._observe = observe
        self._looked = -math.inf
        self._looking: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Tell what is in Blob for each route."""
        self._looked = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await asyncio.gather(*(self._route(route) for route in self._routes))

    def look_soon(self) -> None:
        """Look in the background, unless somebody did just now: who asks does not wait."""
        loop = asyncio.get_running_loop()
        is_looking = self._looking is not None and not self._looking.done()
        if loop.time() - self._looked >= OLD and not is_looking:
            self._looking = loop.create_task(self.look(), name="survey")

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _route(self, route: Route) -> None:
        with suppress(DeliveryError):
            self._observe(Surveyed(route, await self._dead_letters.backlog(route.name)))
