"""Dead letters by an operator's hand: seen, redriven, purged, as he selects them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relay.dead_letters.lots import Mark, lots
from relay.dead_letters.names import MALFORMED_ROUTE
from relay.dead_letters.selection import SelectionError, check_order, route_for
from relay.dead_letters.tally import Tally
from relay.observer import Redriven
from relay.pace import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from relay.dead_letters import DeadLetter, DeadLetters, Parcel, Shelf
    from relay.dead_letters.lots import Lot
    from relay.dead_letters.selection import Selection
    from relay.failures import DeliveryError
    from relay.observer import Observer
    from relay.resending import Resender
    from relay.routing import Route

TAKEN: Final = "somebody else is at these letters; run it again to take up what is left then"


@dataclass(frozen=True, slots=True)
class Found:
    """A letter where it is kept; `mark` says where to go on behind it."""

    shelf: Shelf
    letter: DeadLetter
    mark: Mark


@dataclass(frozen=True, slots=True)
class Step:
    """What became of some letters.

    Attributes:
        done: how many are delivered, or purged.
        held: how many the destination found at fault.
        why: why what is left of the lane was left, `""` if nothing was.
        error: the destination's, if that is why.
        unreadable: blobs that hold no letters; they are left where they are.
    """

    shelf: Shelf
    lane: str = ""
    done: int = 0
    held: int = 0
    why: str = ""
    error: DeliveryError | None = None
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """How letters are to be redriven.

    Attributes:
        to: the route to send them by; `None` for their own.
        out_of_order: whether later events may overtake earlier ones that are left.
        pace: how fast.
        stop: set to end after what is under way.
    """

    to: Route | None = None
    out_of_order: bool = False
    pace: Pace = field(default_factory=Pace)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def may_go(self, count: int) -> bool:
        """Wait until so many letters may go; false if it was told to stop."""
        seconds = self.pace.delay(asyncio.get_running_loop().time(), count)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return not self.stop.is_set()


class ByHand:
    """What an operator may do with dead letters; nothing is in memory but a portion of them.

    Every method raises `DeliveryError` if Blob storage does not answer.

    Args:
        routes: by name.
        resender: sends portions.
        dead_letters: where they are.
        observe: hears of what was accepted.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        resender: Resender,
        dead_letters: DeadLetters,
        observe: Observer,
    ) -> None:
        self._routes = {route.name: route for route in routes}
        self._resender = resender
        self._dead_letters = dead_letters
        self._observe = observe

    async def letters(
        self, selection: Selection, after: Mark | None = None
    ) -> AsyncIterator[Found]:
        """Yield the letters that are meant, from behind a mark on."""
        mark = after or Mark()
        async for shelf, lane in self._lanes(selection, mark):
            async for portion in self._portions(selection, shelf, lane, mark):
                for parcel in portion:
                    for letter in parcel.letters:
                        here = Mark.of(parcel, letter)
                        if here > mark and selection.wants(letter):
                            yield Found(shelf, letter, here)

    async def tally(self, selection: Selection) -> Tally:
        """Count the letters that are meant."""
        tally = Tally()
        async for found in self.letters(selection):
            tally.add(found.shelf, found.letter)
        return tally

    async def rehearse(self, selection: Selection, order: Order) -> Tally:
        """Count the letters that `redrive` would send."""
        tally = Tally()
        async for found in self.letters(selection):
            with suppress(SelectionError):
                route_for(found.shelf, self._routes, order.to)
                tally.add(found.shelf, found.letter)
        return tally

    async def check(self, selection: Selection, order: Order) -> None:
        """Make sure that what is meant can be redriven.

        Raises:
            SelectionError: it can't, and why.
        """
        kept = await self._dead_letters.shelves()
        unknown = selection.routes - self._routes.keys() - {shelf.route for shelf in kept}
        if unknown:
            raise SelectionError(
                f"there is neither a route nor a letter of a route called {', '.join(unknown)}"
            )
        for shelf in filter(selection.has, kept):
            route = order.to or self._routes.get(shelf.route)
            if shelf.route in selection.routes:
                route = route_for(shelf, self._routes, order.to)
            if route is not None and not order.out_of_order:
                check_order(selection, shelf, route)

    async def redrive(self, selection: Selection, order: Order) -> AsyncIterator[Step]:
        """Send the letters that are meant again, lane by lane in their order.

        Where the destination does not take them, or somebody else is at them, the rest of the
        lane is left, and what is behind a destination in trouble is not tried.
        """
        troubled: set[str] = set()
        for shelf in await self._shelves(selection):
            if shelf.route == MALFORMED_ROUTE:
                continue
            try:
                route = route_for(shelf, self._routes, order.to)
            except SelectionError as error:
                yield Step(shelf, why=str(error))
                continue
            for lane in await self._dead_letters.lanes(shelf):
                if route.name in troubled or order.stop.is_set():
                    break
                async for step in self._lane(selection, shelf, lane, route, order):
                    if step.error is not None:
                        troubled.add(route.name)
                    yield step

    async def _lane(
        self, selection: Selection, shelf: Shelf, lane: str, route: Route, order: Order
    ) -> AsyncIterator[Step]:
        mark, is_cut = Mark(), True
        while is_cut:
            is_cut = False
            async for portion in self._portions(selection, shelf, lane, mark):
                if unreadable := tuple(each.name for each in portion if not each.letters):
                    yield Step(shelf, lane, unreadable=unreadable)
                for lot in lots(portion, selection.wants, mark, order.pace.most):
                    if not await order.may_go(len(lot.marks)):
                        return
                    step = await self._send(shelf, lane, route, lot)
                    yield step
                    if step.why:
                        return
                    mark, is_cut = max(lot.marks), lot.is_cut
                if is_cut:
                    break  # what is left of a parcel that was cut must be read again

    async def _send(self, shelf: Shelf, lane: str, route: Route, lot: Lot) -> Step:
        resent = await self._resender.send(route, lot.parcels, lot.has)
        if resent.delivered:
            self._observe(Redriven(route, resent.delivered, resent.left))
        why = "" if resent.is_ours else TAKEN
        if resent.stopped is not None:
            why = f"{route.name} does not take them: {resent.stopped}"
        return Step(shelf, lane, resent.delivered, resent.held, why, resent.stopped)

    async def purge(self, selection: Selection, stop: asyncio.Event) -> AsyncIterator[Step]:
        """Remove the letters that are meant, for good."""
        async for shelf, lane in self._lanes(selection, Mark()):
            async for portion in self._portions(selection, shelf, lane, Mark()):
                if stop.is_set():
                    return
                if unreadable := tuple(each.name for each in portion if not each.letters):
                    yield Step(shelf, lane, unreadable=unreadable)
                for lot in lots(portion, selection.wants, Mark(), None):
                    yield await self._remove(shelf, lane, lot)

    async def _remove(self, shelf: Shelf, lane: str, lot: Lot) -> Step:
        done = 0
        async with self._dead_letters.claimed(lot.parcels) as ours:
            is_ours = len(ours) == len(lot.parcels)
            for parcel in ours:
                left = [each for each in parcel.letters if not lot.has(parcel, each)]
                if left:
                    was = await self._dead_letters.replace(parcel, left, shelf.route)
                else:
                    was = await self._dead_letters.remove(parcel)
                done += (len(parcel.letters) - len(left)) * was
                is_ours &= was
        return Step(shelf, lane, done, why="" if is_ours else TAKEN)

    async def _shelves(self, selection: Selection) -> list[Shelf]:
        return [each for each in await self._dead_letters.shelves() if selection.has(each)]

    async def _lanes(
        self, selection: Selection, after: Mark
    ) -> AsyncIterator[tuple[Shelf, str]]:
        for shelf in await self._shelves(selection):
            if after.is_before_end_of(shelf.prefix):
                for lane in await self._dead_letters.lanes(shelf):
                    if after.is_before_end_of(shelf.lane_prefix(lane)):
                        yield shelf, lane

    def _portions(
        self, selection: Selection, shelf: Shelf, lane: str, mark: Mark
    ) -> AsyncIterator[list[Parcel]]:
        return self._dead_letters.portions(
            shelf,
            lane,
            lambda blob: blob.name >= mark.name and selection.may_have(blob.name),
        )
