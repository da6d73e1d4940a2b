"""Dead letters back to their route, in the order in which their events arrived."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.dead_letters import DeadLetter, held_name
from relay.failures import DeliveryError, Reason
from relay.observer import Redriven, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from relay.dead_letters import DeadLetters, Parcel
    from relay.observer import Observer
    from relay.routing import Route
    from relay.sending import Failure, Sender


_LONGEST_PARCEL: Final = 40.0
"""Seconds for sending one parcel: fewer than its claim lasts."""


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

    A parcel is removed only when its events are accepted or, being at fault themselves, held.
    Whatever interrupts this, nothing is lost.

    Args:
        sender: of little patience, since what fails here just goes on waiting.
        dead_letters: where it waits.
        observe: hears of what was accepted.
        now: the time of day, in UTC.
    """

    def __init__(
        self,
        sender: Sender,
        dead_letters: DeadLetters,
        observe: Observer,
        now: Callable[[], datetime],
    ) -> None:
        self._sender = sender
        self._dead_letters = dead_letters
        self._observe = observe
        self._now = now

    async def lanes(self, route: Route) -> list[str]:
        """Return the lanes of which something waits for a route.

        Raises:
            DeliveryError: Blob storage did not answer.
        """
        return await self._dead_letters.lanes(route.name)

    async def lane(self, route: Route, lane: str, seconds: float) -> Progress:
        """Redrive what waits of a lane, as far as the route's destination takes it in time.

        Raises:
            DeliveryError: Blob storage did not answer.
        """
        clock = asyncio.get_running_loop().time
        until, moved = clock() + seconds, 0
        async for parcel in self._dead_letters.waiting(route.name, lane):
            if clock() >= until:
                return Progress(moved, is_whole=False)
            if not parcel.letters:
                self._observe(Unreadable(route, parcel.name))
                continue
            async with self._dead_letters.claimed(parcel) as is_ours:
                if not is_ours:
                    return Progress(moved, is_whole=False)
                error = await self._parcel(route, parcel)
            if error is not None:
                return Progress(moved, is_whole=False, stopped=error)
            moved += len(parcel.letters)
        return Progress(moved, is_whole=True)

    async def anything_waits(self, route: Route, lane: str) -> bool:
        """Whether a letter of the lane waits for the route.

        Raises:
            DeliveryError: Blob storage did not answer.
        """
        async for parcel in self._dead_letters.waiting(route.name, lane):
            if parcel.letters:
                return True
        return False

    async def _parcel(self, route: Route, parcel: Parcel) -> DeliveryError | None:
        arrivals = [letter.arrival for letter in parcel.letters]
        try:
            async with asyncio.timeout(_LONGEST_PARCEL):
                failures = await self._sender.send(route, arrivals)
        except TimeoutError:
            return DeliveryError(
                Reason.TIMEOUT, f"not taken within {_LONGEST_PARCEL:g} seconds"
            )
        await self._hold(route, parcel, [f for f in failures if f.is_final])
        waiting = [f for f in failures if not f.is_final]
        if waiting:
            await self._dead_letters.replace(parcel, self._letters(waiting), route.name)
        else:
            await self._dead_letters.remove(parcel)
        if len(failures) < len(arrivals):
            self._observe(Redriven(route, len(arrivals) - len(failures), left=len(waiting)))
        return waiting[0].error if waiting else None

    async def _hold(self, route: Route, parcel: Parcel, held: Sequence[Failure]) -> None:
        if held:
            name = held_name(parcel.name, held[0].arrival)
            await self._dead_letters.put(name, self._letters(held), route.name)

    def _letters(self, failures: Sequence[Failure]) -> list[DeadLetter]:
        now = self._now()
        return [failure.dead_letter(now) for failure in failures]
