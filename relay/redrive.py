"""Dead letters back to their route, in the order in which their events arrived."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.dead_letters import Shelf
from relay.observer import Redriven, Unreadable

if TYPE_CHECKING:
    from relay.dead_letters import DeadLetters, Parcel
    from relay.failures import DeliveryError
    from relay.observer import Observer
    from relay.resending import Resender
    from relay.routing import Route


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a redrive came.

    Attributes:
        moved: how many letters no longer wait.
        is_whole: whether it came to the end of what waited.
        stopped: what it stopped at, `None` if it came to the end of that or of its time.
    """

    moved: int
    is_whole: bool
    stopped: DeliveryError | None = None


class Redrive:
    """Sends what waits in Blob to its route again; what is accepted is removed there.

    Args:
        resender: sends portions of it.
        dead_letters: where it waits.
        observe: hears of what was accepted.
    """

    def __init__(
        self, resender: Resender, dead_letters: DeadLetters, observe: Observer
    ) -> None:
        self._resender = resender
        self._dead_letters = dead_letters
        self._observe = observe

    async def lanes(self, route: Route) -> list[str]:
        """Return the lanes of which something waits for a route.

        Raises:
            DeliveryError: Blob storage did not answer.
        """
        return await self._dead_letters.lanes(Shelf(route.name))

    async def lane(self, route: Route, lane: str, seconds: float) -> Progress:
        """Redrive what waits of a lane, as far as the route's destination takes it in time.

        Raises:
            DeliveryError: Blob storage did not answer.
        """
        clock = asyncio.get_running_loop().time
        until, moved = clock() + seconds, 0
        async for portion in self._dead_letters.portions(Shelf(route.name), lane):
            if clock() >= until:
                return Progress(moved, is_whole=False)
            resent = await self._resender.send(route, self._readable(route, portion))
            if resent.delivered:
                self._observe(Redriven(route, resent.delivered, resent.left))
            moved += resent.delivered + resent.held
            if resent.stopped is not None or not resent.is_ours:
                return Progress(moved, is_whole=False, stopped=resent.stopped)
        return Progress(moved, is_whole=True)

    def _readable(self, route: Route, portion: list[Parcel]) -> list[Parcel]:
        for parcel in portion:
            if not parcel.letters:
                self._observe(Unreadable(route, parcel.name))
        return [parcel for parcel in portion if parcel.letters]

    async def anything_waits(self, route: Route, lane: str) -> bool:
        """Whether a letter of the lane waits for the route.

        Raises:
            DeliveryError: Blob storage did not answer.
        """
        async for portion in self._dead_letters.portions(Shelf(route.name), lane):
            if any(parcel.letters for parcel in portion):
                return True
        return False
