"""Looks at what nobody tells: what is in Blob for each route, and who is let in where.

What an ingress refuses, it refuses to the Functions host, which tells the relay nothing; so it
is tried, off the way of events. The timer fires on one instance of the app at a time, and any
instance may have put into Blob what waits there: what this finds holds for all of them. Another
instance looks when somebody asks it.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from relay.failures import DeliveryError
from relay.observer import BlobLooked, Knocked, Surveyed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from relay.dead_letters import DeadLetters
    from relay.observer import Observer
    from relay.routing import Route

type Knock = Callable[[], Awaitable[None]]
"""Tries whether an ingress lets the relay in, or raises `DeliveryError`."""

LONGEST: Final = 30.0
"""Seconds for looking at all of it; what is not seen by then is seen the next time."""
OLD: Final = 60.0
"""Seconds after which it is worth looking again."""
_NONE: Final[Mapping[str, Knock]] = MappingProxyType({})


class Survey:
    """Looks around; nothing depends on it, so it never raises.

    Args:
        routes: whose dead letters are counted.
        dead_letters: where they are.
        observe: hears what is found.
        ingresses: how each is tried, by name.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        dead_letters: DeadLetters,
        observe: Observer,
        ingresses: Mapping[str, Knock] = _NONE,
    ) -> None:
        self._routes = routes
        self._dead_letters = dead_letters
        self._observe = observe
        self._ingresses = ingresses
        self._looked = -math.inf
        self._looking: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Tell what is in Blob for each route, and whether each ingress lets the relay in."""
        self._looked = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await asyncio.gather(
                    self._blob(), *(self._ingress(*each) for each in self._ingresses.items())
                )

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

    async def _blob(self) -> None:
        errors = await asyncio.gather(*(self._route(route) for route in self._routes))
        self._observe(BlobLooked(next(filter(None, errors), None)))

    async def _route(self, route: Route) -> DeliveryError | None:
        try:
            self._observe(Surveyed(route, await self._dead_letters.backlog(route.name)))
        except DeliveryError as error:
            return error
        return None

    async def _ingress(self, name: str, knock: Knock) -> None:
        try:
            await knock()
        except DeliveryError as error:
            self._observe(Knocked(name, error))
        else:
            self._observe(Knocked(name))
