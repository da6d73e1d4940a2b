"""Settles every event on every route that wants it: delivered, or durable in Blob.

A route falls *behind* on a lane when its destination fails: from then on its events of that
lane go to Blob behind those already there, so that nothing overtakes. From time to time, and
whenever the redrive timer fires, what waits is redriven in order; once nothing waits, events
flow straight again. What waits is read from Blob, not remembered: a process that meets a lane
for the first time looks there before it sends anything.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relay.dead_letters import MALFORMED_ROUTE, DeadLetter, Fate, blob_name
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.ingress import Malformed
from relay.observer import DeadLettered, MalformedKept, Unrouted
from relay.routing import match
from relay.sending import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
    from datetime import datetime

    from relay.dead_letters import DeadLetters
    from relay.ingress import Arrival
    from relay.observer import Observer
    from relay.redrive import Redrive
    from relay.routing import Route
    from relay.sending import Sender

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0


class UnsettledError(Exception):
    """Events are neither delivered nor in Blob: the host must deliver the batch again."""


class Delivery:
    """Settles what arrives.

    Args:
        routes: in their declared order.
        sender: brings events to the routes' sinks.
        dead_letters: takes what is not delivered.
        redrive: sends again what waits.
        observe: hears of everything.
        now: the time of day, in UTC.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        sender: Sender,
        dead_letters: DeadLetters,
        redrive: Redrive,
        observe: Observer,
        now: Callable[[], datetime],
    ) -> None:
        self._routes = routes
        self._sender = sender
        self._dead_letters = dead_letters
        self._redrive = redrive
        self._observe = observe
        self._now = now
        self._lanes: defaultdict[tuple[str, str], _Lane] = defaultdict(_Lane)

    async def settle(self, arrivals: Sequence[Arrival]) -> None:
        """Settle a batch; when this returns, nothing of it can be lost.

        Raises:
            UnsettledError: some event could neither be delivered nor dead-lettered.
        """
        batch = assign(self._routes, arrivals)
        if batch.unrouted:
            self._observe(Unrouted(batch.unrouted))
        await _all(
            [self._keep_malformed(letters) for letters in _by_lane(batch.malformed)]
            + [
                self._settle_lane(route, wanted)
                for route in self._routes
                for wanted in _by_lane(batch.wanted.get(route.name, []))
            ]
        )

    async def redrive(self) -> None:
        """Redrive everything that waits, now.

        Raises:
            UnsettledError: Blob storage did not answer.
        """
        await _all([self._redrive_route(route) for route in self._routes])

    async def _redrive_route(self, route: Route) -> None:
        """Redrive a route while the new events of its lanes queue up behind.

        The last look is taken with the lanes at rest, so that what came meanwhile is redriven
        too before events flow straight again.
        """
        lanes = {
            lane: state for (name, lane), state in self._lanes.items() if name == route.name
        }
        clear = {lane for lane, state in lanes.items() if state.is_clear}
        behind = {lane: state for lane, state in lanes.items() if lane not in clear}
        async with _at_rest(behind.values()):
            for state in behind.values():
                state.is_redriven = True
        try:
            stopped = await self._redrive.route(route, clear)
            async with _at_rest(behind.values()):
                stopped |= await self._redrive.route(route, clear | stopped.keys())
                for lane, state in behind.items():
                    state.note(stopped.get(lane), _monotonic())
        finally:
            for state in behind.values():
                state.is_redriven = False

    async def _keep_malformed(self, arrivals: Sequence[Arrival]) -> None:
        letters = [self._malformed(arrival) for arrival in arrivals]
        name = blob_name(MALFORMED_ROUTE, arrivals[0], Fate.HELD)
        await self._dead_letters.put(name, letters, MALFORMED_ROUTE)
        self._observe(MalformedKept(letters))

    def _malformed(self, arrival: Arrival) -> DeadLetter:
        detail = arrival.content.detail if isinstance(arrival.content, Malformed) else ""
        return DeadLetter(arrival, Reason.MALFORMED, detail, 0, self._now())

    async def _settle_lane(self, route: Route, arrivals: Sequence[Arrival]) -> None:
        """Settle the events of one lane on one route, in order."""
        state = self._lanes[route.name, arrivals[0].lane]
        async with state.lock:
            if route.ordered and not await self._caught_up(route, arrivals[0].lane, state):
                failures = [Failure(arrival, state.blocked, 0) for arrival in arrivals]
            else:
                failures = await self._sender.send(route, arrivals)
            await self._dead_letter(route, arrivals[0], failures)
            waiting = [failure for failure in failures if not failure.is_final]
            if waiting:
                state.fall_behind(waiting[0].error)

    async def _caught_up(self, route: Route, lane: str, state: _Lane) -> bool:
        """Whether nothing waits for the route on the lane; redrive what does, if it is time."""
        if not state.is_clear and state.may_try(_monotonic()):
            state.note(await self._redrive.lane(route, lane), _monotonic())
        return state.is_clear

    async def _dead_letter(
        self, route: Route, first: Arrival, failures: Sequence[Failure]
    ) -> None:
        for fate in Fate:
            letters = [failure.dead_letter(self._now()) for failure in failures]
            letters = [letter for letter in letters if letter.fate is fate]
            if letters:
                name = blob_name(route.name, first, fate)
                await self._dead_letters.put(name, letters, route.name)
                self._observe(DeadLettered(route, letters))


@dataclass(slots=True)
class _Lane:
    """What a route knows of a lane: whether events wait in Blob, and when to try them next.

    Attributes:
        lock: held while events of the lane are settled on the route.
        is_clear: whether nothing waits in Blob; not known to is no.
        is_redriven: whether somebody is redriving it at this moment.
        blocked: why the last try stopped.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_clear: bool = False
    is_redriven: bool = False
    blocked: DeliveryError = field(
        default_factory=lambda: DeliveryError(Reason.UNKNOWN, "earlier events wait")
    )
    _pause: float = _FIRST_PAUSE
    _next_try: float = 0.0

    def may_try(self, now: float) -> bool:
        """Whether the destination may be tried again; the pauses between tries double."""
        return not self.is_redriven and now >= self._next_try

    def note(self, stopped: DeliveryError | None, now: float) -> None:
        """Note how a redrive ended: at an error, or with nothing waiting."""
        if stopped is None:
            self.is_clear, self._pause, self._next_try = True, _FIRST_PAUSE, 0.0
            return
        self.fall_behind(stopped)
        self._next_try = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def fall_behind(self, error: DeliveryError) -> None:
        """Note that events wait in Blob, and why."""
        self.is_clear, self.blocked = False, error


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrivals, by who wants them.

    Attributes:
        wanted: by route name, in order of arrival.
        malformed: those that are no events.
        unrouted: how many events no route wants.
    """

    wanted: dict[str, list[Arrival]]
    malformed: list[Arrival]
    unrouted: int


def assign(routes: Sequence[Route], arrivals: Iterable[Arrival]) -> Batch:
    """Give each arrival to every route that wants it."""
    wanted: dict[str, list[Arrival]] = {}
    malformed: list[Arrival] = []
    unrouted = 0
    for arrival in arrivals:
        if not isinstance(arrival.content, Event):
            malformed.append(arrival)
            continue
        wanting = match(routes, arrival.content)
        unrouted += not wanting
        for route in wanting:
            wanted.setdefault(route.name, []).append(arrival)
    return Batch(wanted, malformed, unrouted)


def _by_lane(arrivals: Iterable[Arrival]) -> list[list[Arrival]]:
    lanes: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        lanes.setdefault(arrival.lane, []).append(arrival)
    return list(lanes.values())


async def _all(jobs: Iterable[Coroutine[None, None, None]]) -> None:
    """Run jobs side by side to their end, however the others fare; then say what failed."""
    results = await asyncio.gather(*jobs, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        words = "; ".join(dict.fromkeys(str(error) or repr(error) for error in errors))
        raise UnsettledError(f"{len(errors)} of {len(results)} lots: {words}") from errors[0]


@asynccontextmanager
async def _at_rest(lanes: Iterable[_Lane]) -> AsyncIterator[None]:
    """Hold the locks of several lanes."""
    async with AsyncExitStack() as stack:
        for lane in lanes:
            await stack.enter_async_context(lane.lock)
        yield


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
