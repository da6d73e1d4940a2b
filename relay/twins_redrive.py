"""Azure Digital Twins' own dead letters through the routes, as if their events came in anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.by_hand import TAKEN
from relay.delivery import UnsettledError
from relay.event import Event
from relay.routing import match

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from relay.by_hand import Order
    from relay.dead_letters.letters import Listed
    from relay.dead_letters.selection import Selection
    from relay.dead_letters.twins import TwinsDeadLetters, TwinsLetter
    from relay.delivery import Delivery
    from relay.routing import Route


@dataclass(frozen=True, slots=True)
class TwinsStep:
    """What became of some blobs.

    Attributes:
        done: how many are settled on every route that wants them, and removed.
        unreadable: names of those that hold no event, with what is wrong with them.
        unwanted: names of those that no route wants.
        why: why others are left, `""` if none is.
    """

    done: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    unwanted: tuple[str, ...] = ()
    why: str = ""


class TwinsRedrive:
    """Settles them as new events are settled; a blob is removed only when all of it is.

    What no route wants, and what can't be read, is left and named: there is no other copy.

    Args:
        routes: in their declared order.
        delivery: settles events.
        letters: where they are.
    """

    def __init__(
        self, routes: Sequence[Route], delivery: Delivery, letters: TwinsDeadLetters
    ) -> None:
        self._routes = routes
        self._delivery = delivery
        self._letters = letters

    async def letters(self, selection: Selection) -> AsyncIterator[list[TwinsLetter]]:
        """Yield the letters that are meant by portions.

        Those that can't be read are among them, unless ids or routes tell what is meant.

        Raises:
            DeliveryError: their storage did not answer.
        """

        def is_wanted(blob: Listed) -> bool:
            return selection.since is None or blob.written >= selection.since

        async for portion in self._letters.portions(is_wanted):
            chosen = [letter for letter in portion if self._is_meant(selection, letter)]
            if chosen:
                yield chosen

    def _is_meant(self, selection: Selection, letter: TwinsLetter) -> bool:
        if letter.trouble:
            return not selection.ids and not selection.routes
        return any(
            selection.wants_arrival(arrival)
            and (not selection.routes or selection.routes & set(self._wanting(arrival.content)))
            for arrival in letter.arrivals
        )

    def _wanting(self, content: object) -> list[str]:
        if not isinstance(content, Event):
            return []
        return [route.name for route in match(self._routes, content)]

    async def redrive(self, selection: Selection, order: Order) -> AsyncIterator[TwinsStep]:
        """Settle the letters that are meant, on every route that wants them.

        Raises:
            DeliveryError: their storage did not answer.
        """
        async for portion in self.letters(selection):
            readable = [letter for letter in portion if not letter.trouble]
            wanted = [letter for letter in readable if self._is_wanted(letter)]
            left = TwinsStep(
                unreadable=tuple((x.name, x.trouble) for x in portion if x.trouble),
                unwanted=tuple(x.name for x in readable if x not in wanted),
            )
            if left != TwinsStep():
                yield left
            most = order.pace.most or max(1, len(wanted))
            for start in range(0, len(wanted), most):
                lot = wanted[start : start + most]
                if not await order.may_go(len(lot)):
                    return
                step = await self._settle(lot)
                yield step
                if step.why:
                    return

    def _is_wanted(self, letter: TwinsLetter) -> bool:
        return any(self._wanting(arrival.content) for arrival in letter.arrivals)

    async def _settle(self, letters: Sequence[TwinsLetter]) -> TwinsStep:
        async with self._letters.claimed(letters) as count:
            ours = letters[:count]
            arrivals = [arrival for letter in ours for arrival in letter.arrivals]
            try:
                await self._delivery.settle(sorted(arrivals, key=lambda each: each.place))
            except UnsettledError as error:
                return TwinsStep(why=f"nothing is removed, for not all is settled: {error}")
            removed = await self._letters.remove(ours)
        is_ours = count == len(letters) and all(removed)
        return TwinsStep(sum(removed), why="" if is_ours else TAKEN)
