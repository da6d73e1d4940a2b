"""What a route knows of the lanes on which its events arrive: whether anything waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Lane:
    """What a route knows of one lane of arrival.

    Attributes:
        turn: held while events of the lane are settled on the route, so that they keep order.
        is_clear: whether nothing of the lane waits in Blob; not known is no.
        went_behind: how often events of it went to Blob, for whoever looks whether any did.
        may_repeat: whether what comes next may be in Blob already, kept when the same events
            were delivered before; not known is yes.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_clear: bool = False
    went_behind: int = 0
    may_repeat: bool = True

    async def has_turn(self, seconds: float) -> bool:
        """Wait for the turn, though not for long; whoever got it must release it."""
        try:
            async with asyncio.timeout(seconds):
                return await self.turn.acquire()
        except TimeoutError:
            return False

    def go_behind(self) -> None:
        """Note that events of the lane are about to go to Blob."""
        self.is_clear = False
        self.went_behind += 1


@dataclass(slots=True)
class Lanes:
    """The lanes of one route.

    Attributes:
        redriving: held by whoever redrives the route.
        has_more: whether events went behind since the redrive under way began its round.
    """

    redriving: asyncio.Lock = field(default_factory=asyncio.Lock)
    has_more: bool = False
    _lanes: dict[str, Lane] = field(default_factory=dict)

    def lane(self, name: str) -> Lane:
        """Return a lane, new at the first sight of it."""
        return self._lanes.setdefault(name, Lane())

    def forget(self, name: str) -> None:
        """Know nothing of a lane any more, whatever a redrive under way finds out about it."""
        self._lanes.pop(name, None)
