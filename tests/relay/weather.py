"""Days of a relay of two processes: lanes come in while destinations and Blob fail."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from relay.delivery import Delivery, UnsettledError
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.ingress import Arrival
from tests.fakes import CLAIM_SECONDS, MemorySink, a_route, an_arrival, an_event
from tests.relay.event_path import an_event_path
from tests.virtual_time import A_YEAR

LANES = ("hub/0", "hub/1")
ROUTES = (a_route("hub"), a_route("queue"))
HANGS = "hangs"
_BATCH = 4


@dataclass(frozen=True)
class Arrive:
    """Events of these twins come in on a lane; those marked are poison."""

    lane: str
    twins: Sequence[tuple[int, bool]]


@dataclass(frozen=True)
class Destination:
    """The destination of a route fails for a reason from now on, hangs, or is well again."""

    route: str
    trouble: Reason | str | None


@dataclass(frozen=True)
class Blob:
    """Blob fails for a reason from now on, or is well again."""

    trouble: Reason | None


@dataclass(frozen=True)
class Redrive:
    """Somebody redrives, whatever else goes on."""


@dataclass(frozen=True)
class Restart:
    """All processes end, and hosts have forgotten how far the last of their batches came."""

    forgotten: int


@dataclass(frozen=True)
class Move:
    """A lane goes over to the other of two processes, between two batches."""

    lane: str


@dataclass(frozen=True)
class Wait:
    """Time goes by."""

    seconds: float


type Step = Arrive | Destination | Blob | Redrive | Restart | Move | Wait


@dataclass
class Days:
    """Plays steps in virtual time, and ends with everything healed and redriven.

    Attributes:
        seed: of how long each call takes and which answers get lost.
        lossy: how many of a hundred answers get lost.
        log: what arrived, by lane.
        checkpoints: how many of a lane are settled, as its host believes.
    """

    seed: int
    lossy: int = 0
    log: dict[str, list[Arrival]] = field(default_factory=lambda: {x: [] for x in LANES})
    checkpoints: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LANES, 0))
    _troubles: dict[str, Reason | str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self.path = an_event_path(*ROUTES, **{r.name: self._sink(r.name) for r in ROUTES})
        blobs = self.path.dead_letters
        blobs.faults = lambda: self._trouble("blob")
        blobs.lost, blobs.latency = self._lose, lambda: self._take("blob")
        self._processes = self._two_processes()
        self._owners = dict.fromkeys(LANES, 0)
        self._work: set[asyncio.Task[None]] = set()
        self._is_drained = {lane: asyncio.Event() for lane in LANES}

    async def play(self, steps: Sequence[Step]) -> None:
        """Play all steps, then heal, let the hosts come to the end, and redrive."""
        self._start_hosts()
        for step in steps:
            await self._step(step)
        self._troubles.clear()
        self.lossy = 0
        for is_drained in self._is_drained.values():
            is_drained.clear()
        async with asyncio.timeout(100_000):
            await asyncio.gather(*(self._is_drained[lane].wait() for lane in LANES))
        await self._stop()
        for _ in range(10):
            await self._processes[0].redrive()
            await asyncio.sleep(CLAIM_SECONDS / 2)  # the other process may have a claim still
        await self._end_processes()

    async def _step(self, step: Step) -> None:
        match step:
            case Arrive(lane, twins):
                for twin, is_poison in twins:
                    self._arrive(lane, twin, is_poison=is_poison)
            case Destination(name, trouble):
                self._troubles[name] = trouble
            case Blob(trouble):
                self._troubles["blob"] = trouble
            case Redrive():
                self._begin(self._redrive())
            case Restart(forgotten):
                await self._stop()
                await self._end_processes()
                self._processes = self._two_processes()
                for lane, settled in self.checkpoints.items():
                    self.checkpoints[lane] = max(0, settled - forgotten)
                self._start_hosts()
            case Move(lane):
                self._owners[lane] = 1 - self._owners[lane]
            case Wait(seconds):
                await asyncio.sleep(seconds)

    def _arrive(self, lane: str, twin: int, *, is_poison: bool) -> None:
        number = len(self.log[lane])
        name = f"{lane}:{number}{'!' if is_poison else ''}"
        event = an_event(id=name, subject=f"pump-{twin}")
        self.log[lane].append(an_arrival(event, lane=lane, sequence=number))

    def _sink(self, name: str) -> MemorySink:
        return MemorySink(
            streams=2,
            largest_batch=3,
            faults=lambda: self._trouble(name),
            lost=self._lose,
            latency=lambda: self._take(name),
            poison=lambda event: event.id.endswith("!"),
        )

    def _trouble(self, name: str) -> DeliveryError | None:
        trouble = self._troubles.get(name)
        return DeliveryError(trouble, "as told") if isinstance(trouble, Reason) else None

    def _take(self, name: str) -> float:
        hangs = self._troubles.get(name) == HANGS
        return A_YEAR if hangs else self._chance.choice([0.0, 0.01, 0.3])

    def _lose(self) -> DeliveryError | None:
        is_lost = self._chance.randrange(100) < self.lossy
        return DeliveryError(Reason.UNAVAILABLE, "the answer got lost") if is_lost else None

    def _start_hosts(self) -> None:
        for lane in LANES:
            self._begin(self._host(lane))

    async def _host(self, lane: str) -> None:
        """Deliver a lane's batches one after the other, each until it is settled."""
        while True:
            settled = self.checkpoints[lane]
            batch = self.log[lane][settled : settled + self._chance.randint(1, _BATCH)]
            if batch:
                await self._deliver(batch)
                self.checkpoints[lane] = settled + len(batch)
            else:
                self._is_drained[lane].set()
                await asyncio.sleep(0.5)

    async def _deliver(self, batch: Sequence[Arrival]) -> None:
        while True:
            try:
                return await self._processes[self._owners[batch[0].lane]].settle(batch)
            except UnsettledError:
                await asyncio.sleep(1.0)

    async def _redrive(self) -> None:
        with suppress(UnsettledError):
            await self._chance.choice(self._processes).redrive()

    def _two_processes(self) -> list[Delivery]:
        return [self.path.another_process(), self.path.another_process()]

    async def _end_processes(self) -> None:
        for process in self._processes:
            await process.close()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._work.add(asyncio.create_task(work))

    async def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        outcomes = await asyncio.gather(*self._work, return_exceptions=True)
        self._work.clear()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


def first_occurrences(events: Sequence[Event]) -> dict[tuple[str, str], list[str]]:
    """Return what a destination saw first when, by lane and twin, whatever came again."""
    seen: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, subject in dict.fromkeys((event.id, event.subject) for event in events):
        seen[name.partition(":")[0], subject].append(name)
    return dict(seen)


def arrived(days: Days) -> list[Event]:
    """Return every event that came in, lane after lane."""
    return [
        arrival.content
        for log in days.log.values()
        for arrival in log
        if isinstance(arrival.content, Event)
    ]
