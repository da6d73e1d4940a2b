"""What is known of a destination: whether to send there, and when to try again.

The circuit of a destination *opens* when it fails. While it is open, the events of every route
to it go to Blob at once, behind those already there, and cost nothing but that. After pauses
that double it is probed: a link is opened and nothing is sent. When that works, a little of
what waits is sent first, and when the destination takes it the circuit closes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from relay.failures import DeliveryError

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


@dataclass(slots=True)
class Circuit:
    """The circuit of one destination, whatever routes lead there.

    Attributes:
        error: why it is open, `None` while it is closed.
    """

    error: DeliveryError | None = None
    _pause: float = FIRST_PAUSE
    _next_probe: float = 0.0

    def open(self, error: DeliveryError) -> None:
        """Open, or stay open: the destination failed, and events wait in Blob."""
        if self.error is None:
            self._put_off(error)
        self.error = error

    def stay_open(self, error: DeliveryError) -> None:
        """Let the next probe wait longer, for the last one failed."""
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self.error = error
        self._put_off(error)

    def close(self) -> None:
        """Close: the destination answers."""
        self.error, self._pause = None, FIRST_PAUSE

    def may_probe(self) -> bool:
        """Whether the pause is over."""
        return asyncio.get_running_loop().time() >= self._next_probe

    def _put_off(self, error: DeliveryError) -> None:
        """Let the next probe wait for the pause, or for as long as the destination asks."""
        pause = max(self._pause, error.wait)
        self._next_probe = asyncio.get_running_loop().time() + pause
