"""Settles every event on every route that wants it: delivered, or durable in Blob.

A route falls *behind* on a lane when its destination fails: from then on its events of that
lane go to Blob behind those already there, so that nothing overtakes. From time to time, and
whenever the redrive timer fires, what waits is redriven in order; once nothing waits, events
flow straight again. What waits is read from Blob, not remembered: a process that meets a lane
for the first time, or again after another process had it, looks there before it sends anything.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.circuit import Circuit
from relay.dead_letters import MALFORMED_ROUTE, DeadLetter, Fate, blob_name
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.ingress import Malformed, Order
from relay.lanes import Lane, Lanes
from relay.matching import Matcher
from relay.observer import DeadLettered, MalformedKept, Unrouted
from relay.sending import Failure
from relay.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from datetime import datetime

    from relay.dead_letters import DeadLetters
    from relay.ingress import Arrival
    from relay.observer import Observer
    from relay.redrive import Redrive
    from relay.routing import Route
    from relay.sending import Sender

LONGEST: Final = 120.0
"""Seconds for one batch, far fewer than a host grants: it may ask for less, never for more."""
_FOR_BLOB: Final = 45.0
"""Of these, the seconds that are left for Blob when destinations have had theirs."""
_LONGEST_REDRIVE: Final = 45.0
"""Seconds after which a redrive goes no further for now: a host ends what takes minutes."""
_LONGEST_REST: Final = 5.0
"""Seconds of a redrive for which new events of the route have to wait."""
_LONGEST_TURN: Final = 2.0
"""Seconds that events wait for a redrive of their lane to finish: then they go behind it."""
_AT_ONCE: Final = 8
"""Lanes of a route that are redriven side by side."""
_BEHIND: Final = DeliveryError(Reason.UNAVAILABLE, "earlier events of its lane wait in Blob")


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
        budget: seconds for one batch with everything that it takes; what is not settled then
            fails, so that the host delivers again before it ends the invocation or loses a
            lock.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        sender: Sender,
        dead_letters: DeadLetters,
        redrive: Redrive,
        observe: Observer,
        now: Callable[[], datetime],
        budget: float = LONGEST,
    ) -> None:
        self._routes = routes
        self._wanting = Matcher(routes)
        self._sender = sender
        self._dead_letters = dead_letters
        self._redrive = redrive
        self._observe = observe
        self._now = now
        self._budget = budget
        circuits = {route.destination: Circuit() for route in routes}
        self._circuits = {route.name: circuits[route.destination] for route in routes}
        names = [*(route.name for route in routes), MALFORMED_ROUTE]
        self._lanes = {name: Lanes() for name in names}
        self._settled: dict[str, int] = {}  # by lane, the number of the last
        self._probes: set[asyncio.Task[None]] = set()

    async def settle(self, arrivals: Sequence[Arrival]) -> None:
        """Settle a batch; when this returns, nothing of it can be lost.

        Raises:
            UnsettledError: some event could neither be delivered nor dead-lettered in time.
        """
        lanes = _by_lane(arrivals)
        for lane in lanes:
            self._doubt(lane[0])
        batch = assign(self._wanting, arrivals)
        if batch.unrouted:
            self._observe(Unrouted(batch.unrouted))
        try:
            async with asyncio.timeout(self._budget):
                await self._settle_batch(batch)
        except TimeoutError as error:
            self._expect_again(lane[0] for lane in lanes)
            raise UnsettledError(f"not settled within {self._budget:g} seconds") from error
        except BaseException:
            self._expect_again(lane[0] for lane in lanes)
            raise
        for lane in lanes:
            self._remember(lane[-1])

    async def _settle_batch(self, batch: Batch) -> None:
        until = asyncio.get_running_loop().time() + max(self._budget - _FOR_BLOB, 0.0)
        await _all(
            [self._keep_malformed(letters) for letters in _by_lane(batch.malformed)]
            + [
                self._settle_lane(route, wanted, until)
                for route in self._routes
                if route.name in batch.wanted
                for wanted in _by_lane(batch.wanted[route.name])
            ]
        )

    def _doubt(self, first: Arrival) -> None:
        """Look into Blob again when a lane's numbers leap: another process had it meanwhile."""
        if self._settled.get(first.lane) != first.sequence - 1:
            self._forget(first.lane)

    def _remember(self, last: Arrival) -> None:
        """Remember where a lane stands, if its next number will tell whether that still holds.

        Of sessions there may be as many as there are twins: those are forgotten.
        """
        if last.order is Order.GAPLESS:
            self._settled[last.lane] = last.sequence
        else:
            self._forget(last.lane)

    def _forget(self, lane: str) -> None:
        for lanes in self._lanes.values():
            lanes.forget(lane)

    def _expect_again(self, firsts: Iterable[Arrival]) -> None:
        """Know that a batch comes again, cut differently perhaps, of which much is settled."""
        for first in firsts:
            if first.order is not Order.GAPLESS:
                self._forget(first.lane)
                continue
            for lanes in self._lanes.values():
                lanes.lane(first.lane).may_repeat = True

    async def redrive(self) -> None:
        """Redrive what waits now, as much of it as can be redriven within a minute or two.

        Raises:
            UnsettledError: Blob storage did not answer.
        """
        await _all([self._redrive_route(route) for route in self._routes])

    async def close(self) -> None:
        """End the redrives in the background; what they have not sent goes on waiting."""
        probes = list(self._probes)
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    async def _redrive_route(self, route: Route) -> None:
        """Redrive a route, again while events went behind meanwhile and there is time."""
        circuit, lanes = self._circuits[route.name], self._lanes[route.name]
        clock = asyncio.get_running_loop().time
        async with lanes.redriving:
            until = clock() + _LONGEST_REDRIVE
            lanes.has_more = True
            while lanes.has_more and clock() < until:
                lanes.has_more = False
                stopped = await self._redrive_lanes(route)
                if stopped is not None:
                    circuit.stay_open(stopped)
                    return

    async def _redrive_lanes(self, route: Route) -> DeliveryError | None:
        """Probe a destination that failed, redrive one lane, and then all the others.

        Returns what stopped it, if anything did.
        """
        circuit = self._circuits[route.name]
        if circuit.error is not None:
            stopped = await self._sender.probe(route)
            if stopped is not None:
                return stopped
        lanes = await self._redrive.lanes(route)
        for first in lanes[:1]:
            stopped = await self._redrive_lane(route, first)
            if stopped is not None:
                return stopped
        circuit.close()
        stops = await side_by_side(  # each holds a parcel in memory
            lambda lane: self._redrive_lane(route, lane), lanes[1:], _AT_ONCE
        )
        return next((stop for stop in stops if stop is not None), None)

    async def _redrive_lane(self, route: Route, name: str) -> DeliveryError | None:
        """Redrive a lane, and what came meanwhile with it at rest; return what stopped it.

        Events that arrive meanwhile queue up behind in Blob. Only while none is being settled
        is it certain that the last look there was the last; events that can't wait for its end
        go behind all the same, and are seen by their count. What is left when the time is over
        waits for the next redrive.
        """
        progress = await self._redrive.lane(route, name, _LONGEST_REDRIVE)
        if progress.is_whole:
            lane = self._lanes[route.name].lane(name)
            async with lane.turn:
                went_behind = lane.went_behind
                progress = await self._redrive.lane(route, name, _LONGEST_REST)
                lane.is_clear = progress.is_whole and lane.went_behind == went_behind
        return progress.stopped

    def _probe(self, route: Route) -> None:
        """Redrive in the background, so that no other route of the batch waits for it."""
        probe = asyncio.create_task(self._redrive_route(route), name=f"redrive {route.name}")
        self._probes.add(probe)
        probe.add_done_callback(self._end_probe)

    def _end_probe(self, probe: asyncio.Task[None]) -> None:
        """Forget a probe; if Blob did not answer it, the next dead letter will say so too."""
        self._probes.discard(probe)
        if not probe.cancelled():
            probe.exception()

    async def _keep_malformed(self, arrivals: Sequence[Arrival]) -> None:
        for lot in _lots(arrivals):
            letters = [self._malformed(arrival) for arrival in lot]
            for name, new in (await self._new(MALFORMED_ROUTE, lot, letters)).items():
                await self._dead_letters.put(name, new, MALFORMED_ROUTE)
                self._observe(MalformedKept(new))

    def _malformed(self, arrival: Arrival) -> DeadLetter:
        detail = arrival.content.detail if isinstance(arrival.content, Malformed) else ""
        return DeadLetter(arrival, Reason.MALFORMED, detail, 0, self._now())

    async def _settle_lane(
        self, route: Route, arrivals: Sequence[Arrival], until: float
    ) -> None:
        """Settle the events of one lane on one route, in order."""
        circuit, lanes = self._circuits[route.name], self._lanes[route.name]
        first = arrivals[0]
        # What has no order waits for nobody's turn, and nobody for it.
        lane = Lane() if first.order is Order.NONE else lanes.lane(first.lane)
        has_turn = await lane.has_turn(_LONGEST_TURN)
        try:
            flows = (
                has_turn and circuit.error is None and await self._is_clear(route, first, lane)
            )
            if flows:
                failures = await self._sender.send(route, arrivals, until)
            else:
                error = circuit.error or _BEHIND
                failures = [Failure(arrival, error, 0) for arrival in arrivals]
            at_fault = [f.error for f in failures if f.attempts and not f.is_final]
            if at_fault:
                circuit.open(at_fault[0])
            if any(not failure.is_final for failure in failures):
                lane.go_behind()
            if failures:
                await self._dead_letter(route, arrivals, failures)
            lanes.has_more |= not flows  # only now: what is not in Blob yet, nobody can find
        finally:
            if has_turn:
                lane.turn.release()
        is_behind = not flows or circuit.error is not None
        if is_behind and circuit.may_probe() and not lanes.redriving.locked():
            self._probe(route)

    async def _is_clear(self, route: Route, first: Arrival, lane: Lane) -> bool:
        """Whether no event of the lane waits for the route; Blob is asked when not known."""
        if not route.ordered or first.order is Order.NONE:
            return True
        if not lane.is_clear:
            lane.is_clear = not await self._redrive.anything_waits(route, first.lane)
        return lane.is_clear

    async def _dead_letter(
        self, route: Route, batch: Sequence[Arrival], failures: Sequence[Failure]
    ) -> None:
        now = self._now()
        given_up = {id(f.arrival): f.dead_letter(now) for f in failures}
        error = self._circuits[route.name].error
        for lot in _lots(batch):
            letters = [given_up[id(each)] for each in lot if id(each) in given_up]
            for name, new in (await self._new(route.name, lot, letters)).items():
                await self._dead_letters.put(name, new, route.name)
                self._observe(DeadLettered(route, new, error))

    async def _new(
        self, route: str, batch: Sequence[Arrival], letters: Sequence[DeadLetter]
    ) -> dict[str, list[DeadLetter]]:
        """Return by blob the letters that are new: not kept since an earlier delivery.

        A host that delivers again may cut its batches differently. Only until something comes
        of which Blob holds nothing behind it must it be asked, and never for what is kept by
        itself. What is overwritten now is no place where a letter is kept.
        """
        blobs = {
            blob_name(route, batch, fate): [each for each in letters if each.fate is fate]
            for fate in Fate
        }
        blobs = {name: its for name, its in blobs.items() if its}
        lane = self._lanes[route].lane(batch[0].lane)
        if blobs and lane.may_repeat and batch[0].order is Order.GAPLESS:
            kept = await self._dead_letters.kept(route, batch, but=blobs)
            lane.may_repeat = kept.goes_on
            blobs = {
                name: [each for each in its if each.arrival.place not in kept.places]
                for name, its in blobs.items()
            }
        return {name: its for name, its in blobs.items() if its}


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


def assign(wanting: Callable[[Event], list[Route]], arrivals: Iterable[Arrival]) -> Batch:
    """Give each arrival to every route that wants it, as `wanting` says."""
    wanted: dict[str, list[Arrival]] = defaultdict(list)
    malformed: list[Arrival] = []
    unrouted = 0
    for arrival in arrivals:
        if not isinstance(arrival.content, Event):
            malformed.append(arrival)
            continue
        routes = wanting(arrival.content)
        unrouted += not routes
        for route in routes:
            wanted[route.name].append(arrival)
    return Batch(wanted, malformed, unrouted)


def _by_lane(arrivals: Iterable[Arrival]) -> list[list[Arrival]]:
    lanes: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        lanes[arrival.lane].append(arrival)
    return list(lanes.values())


def _lots(arrivals: Sequence[Arrival]) -> list[list[Arrival]]:
    """Return what may share a blob: all of a batch that comes again whole or not at all.

    Messages of Service Bus are settled with the broker one by one. If the second of three was
    when the others come again, their blob must not overwrite the one that holds it.
    """
    if arrivals[0].order is Order.GAPLESS:
        return [list(arrivals)]
    lots: dict[int, list[Arrival]] = {}
    for arrival in arrivals:
        lots.setdefault(arrival.sequence, []).append(arrival)
    return list(lots.values())


async def _all(jobs: Iterable[Coroutine[None, None, None]]) -> None:
    """Run jobs side by side to their end, however the others fare; then say what failed."""
    results = await asyncio.gather(*jobs, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        words = "; ".join(dict.fromkeys(str(error) or repr(error) for error in errors))
        raise UnsettledError(f"{len(errors)} of {len(results)} lots: {words}") from errors[0]
