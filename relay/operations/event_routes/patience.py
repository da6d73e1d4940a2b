"""Trying again for a while: what was made moments ago takes minutes until it works."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MOST: Final = 30.0
_DOUBLINGS: Final = 10


class TroubleError(Exception):
    """Something did not work.

    Attributes:
        passes: whether waiting may mend it.
        after: the seconds that the service asks to wait; `None` where it asks for none.
    """

    def __init__(self, text: str, *, passes: bool = False, after: float | None = None) -> None:
        super().__init__(text)
        self.passes = passes
        self.after = after


class Patience:
    """A budget of time for everything that is tried.

    Pauses double from one to thirty seconds, each cut by up to a half at random, so that
    pipelines that began together part. A last try comes when the budget ends. Where a service
    says how long to wait, that is kept, and no try is made if it would end too late.

    Args:
        seconds: the budget, from the first try on.
        say: told before every pause.
        first: the first pause, in seconds.
        chance: gives a number from 0 to 1.
    """

    def __init__(
        self,
        seconds: float,
        say: Callable[[str], None],
        first: float = 1.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._seconds = seconds
        self._say = say
        self._first = first
        self._chance = chance
        self._end: float | None = None

    async def until[Found](self, attempt: Callable[[], Awaitable[Found]]) -> Found:
        """Try until it works.

        Raises:
            TroubleError: waiting does not mend it, or the budget is used up.
        """
        clock = asyncio.get_running_loop().time
        if self._end is None:
            self._end = clock() + self._seconds
        for number in count():
            try:
                return await attempt()
            except TroubleError as trouble:
                left = self._end - clock()
                pause = self._pause(number, trouble, left)
                if pause is None:
                    raise
                self._say(f"{trouble}. Again in {pause:.0f} s; {left:.0f} s are left.")
                await asyncio.sleep(pause)
        raise AssertionError

    def _pause(self, number: int, trouble: TroubleError, left: float) -> float | None:
        """Return how long to wait; `None` if there is no sense in it."""
        asked = trouble.after or 0.0
        if not trouble.passes or left <= 0 or asked > left:
            return None
        doubled: float = min(self._first * 2 ** min(number, _DOUBLINGS), _MOST)
        return min(max(doubled * (1 - self._chance() / 2), asked), left)
