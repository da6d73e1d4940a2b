"""What a route knows of its destination: whether to send, and when to try again.

The circuit of a route *opens* when its destination fails. While it is open, the route's events
go to Blob at once, behind those already there, and cost nothing but that. A redrive of what
waits is the probe: it is tried after pauses that double, and when the destination takes it the
circuit closes. A lane's events flow straight again once nothing of the lane waits.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from relay.failures import DeliveryError

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


@dataclass(slots=True)
class Lane:
    """What a route knows of one lane of arrival.

    Attributes:
        turn: held while events of the lane are settled on the route, so that they keep order.
        is_clear: whether nothing of the lane waits in Blob; not known is no.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_clear: bool = False


@dataclass(slots=True)
class Circuit:
    """The circuit of one route.

    Attributes:
        error: why it is open, `None` while it is closed.
        probing: held by whoever redrives the route.
        has_more: whether events went behind since the redrive under way began its round.
    """

    error: DeliveryError | None = None
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)
    has_more: bool = False
    _lanes: dict[str, Lane] = field(default_factory=dict)
    _pause: float = FIRST_PAUSE
    _next_probe: float = 0.0

    def lane(self, name: str) -> Lane:
        """Return a lane, new at the first sight of it."""
        return self._lanes.setdefault(name, Lane())

    def forget(self, name: str) -> None:
        """Know nothing of a lane any more, whatever a redrive under way finds out about it."""
        self._lanes.pop(name, None)

    def open(self, error: DeliveryError) -> None:
        """Open, or stay open: the destination failed, and events wait in Blob."""
        if self.error is None:
            self._put_off(error)
        self.error = error
        for lane in self._lanes.values():
            lane.is_clear = False

    def stay_open(self, error: DeliveryError) -> None:
        """Let the next probe wait longer, for the last one failed."""
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self.open(error)
        self._put_off(error)

    def _put_off(self, error: DeliveryError) -> None:
        """Let the next probe wait for the pause, or for as long as the destination asks."""
        pause = max(self._pause, error.wait)
        self._next_probe = asyncio.get_running_loop().time() + pause

    def close(self) -> None:
        """Close: the destination answers. Lanes of which something waits are not clear yet."""
        self.error, self._pause = None, FIRST_PAUSE

    def may_probe(self) -> bool:
        """Whether the pause is over and nobody is redriving already."""
        now = asyncio.get_running_loop().time()
        return now >= self._next_probe and not self.probing.locked()
