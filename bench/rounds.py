"""Contestants take turns: each does a little in every round, so that a slow minute hits all."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from bench import cores
from bench.contestants import WHOLE
from bench.events import BATCH, LANES
from bench.figures import Run, middle, percentile, ratio
from bench.processes import MeasuringFailed
from lab.functions.failures import AppFailed, InvocationTimedOut, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from bench.azure import Azure
    from bench.contestants import Contestant
    from bench.processes import Measured

FAILURES = (MeasuringFailed, AppFailed, WorkerDied, InvocationTimedOut, OSError)
MOST_BATCHES = 100
"""On a lane in a round, however fast a contestant is."""


@dataclass(slots=True)
class Turns:
    """One contestant's process and what it has done.

    Attributes:
        batch: how many events it is given at once.
        batches: on each lane, in a round.
        runs: one a round.
        lone: the seconds that single events took, one after the other.
        sent: how many events it was given so far.
        memory: the most that it had, in MiB.
        failure: why it is out, `""` while it is not.
    """

    contestant: Contestant
    process: Measured | None
    batch: int = BATCH
    batches: int = 1
    runs: list[Run] = field(default_factory=list)
    lone: list[float] = field(default_factory=list)
    sent: int = 0
    memory: float = 0.0
    failure: str = ""

    @classmethod
    async def begin(
        cls,
        contestant: Contestant,
        azure: Azure,
        scratch: Path,
        batch: int,
        stack: AsyncExitStack,
    ) -> Self:
        """Start a process, to be stopped with the stack; one that does not start is out."""
        try:
            process = await contestant.start(azure, scratch)
        except FAILURES as error:
            return cls(contestant, None, failure=f"{type(error).__name__}: {error}")
        stack.push_async_callback(process.stop)
        return cls(contestant, process, batch)

    async def attempt(self, what: Coroutine[Any, Any, object]) -> None:
        """Go on, unless out already; who fails is out, and the others go on."""
        if self.failure:
            what.close()
            return
        try:
            await what
        except FAILURES as error:
            self.failure = f"{type(error).__name__}: {error}"

    async def warm_up(self, seconds: float) -> None:
        """Open every link and find out how much is a round of so much processor time."""
        await self._do(1, self.batch, lanes=1)  # one at a time opens the links
        for _ in range(2):  # the first is slower than what follows, on Node by far
            run = await self._do(self.batches, self.batch)
            wanted = seconds * run.rate / (LANES * self.batch)
            self.batches = max(1, min(MOST_BATCHES, round(wanted)))
            if self.batches == 1:
                return

    async def round(self) -> Run:
        """Do a round."""
        run = await self._do(self.batches, self.batch)
        self.runs.append(run)
        return run

    async def one_at_a_time(self, events: int) -> None:
        """Bring single events, each when the one before is acknowledged."""
        run = await self._do(events, 1, lanes=1)
        self.lone += run.latencies

    async def _do(self, batches: int, size: int, lanes: int = LANES) -> Run:
        assert self.process is not None
        run = await self.process.round(batches, size, lanes)
        self.sent += run.events
        self.memory = cores.memory(self.process.pid)
        return run


async def take_turns(
    azure: Azure,
    contestants: Sequence[Contestant],
    scratch: Path,
    *,
    rounds: int,
    seconds: float,
    lone: int,
    batch: int,
    say: Callable[[str], None],
) -> list[Turns]:
    """Measure contestants.

    Args:
        azure: where they send to.
        contestants: who takes turns.
        scratch: a directory for what processes read.
        rounds: how often each has its turn.
        seconds: of processor time in a turn, about.
        batch: how many events a contestant is given at once; ready batches are what they are.
        lone: how many single events each whole function is given.
        say: hears how far it is.
    """
    async with AsyncExitStack() as stack:
        turns = []
        for number, each in enumerate(contestants, 1):
            say(f"starting {number} of {len(contestants)}: {each.key}")
            turns.append(turn := await Turns.begin(each, azure, scratch, batch, stack))
            await turn.attempt(turn.warm_up(seconds))
        for n in range(rounds):
            order = turns[n % len(turns) :] + turns[: n % len(turns)]
            for number, turn in enumerate(order, 1):
                await turn.attempt(turn.round())
                rate = turn.failure.partition("\n")[0] or f"{turn.runs[-1].rate:,.0f}/s"
                where = f"round {n + 1} of {rounds}, {number} of {len(turns)}"
                say(f"{where}: {turn.contestant.key}: {rate}")
        for turn in turns if lone else ():
            if turn.contestant.how == WHOLE:
                say(f"single events: {turn.contestant.key}")
                await turn.attempt(turn.one_at_a_time(lone))
    for turn in turns:
        _count(azure, turn)
    return turns


def _count(azure: Azure, turn: Turns) -> None:
    """Believe only what arrived."""
    each = turn.contestant
    held = azure.held(each.namespace, each.entity)
    if each.delivers and not turn.failure and held != turn.sent:
        turn.failure = f"{turn.sent:,} events were sent, and {held:,} have arrived"


def figures(turns: Sequence[Turns]) -> dict[str, dict[str, Any]]:
    """Return the figures of each contestant, by its key."""
    done = {turn.contestant.key: turn for turn in turns if turn.runs and not turn.failure}
    return {key: _figures(turn) for key, turn in done.items()}


def _figures(turn: Turns) -> dict[str, Any]:
    rate = middle([run.rate for run in turn.runs])
    latencies = [each for run in turn.runs for each in run.latencies]
    return {
        "destination": turn.contestant.destination,
        "how": turn.contestant.how,
        "way": turn.contestant.way,
        "events_per_cpu_second": rate.median,
        "spread": rate.spread,
        "events_per_second": middle([run.events / run.seconds for run in turn.runs]).median,
        "microseconds_per_event": middle([run.microseconds for run in turn.runs]).median,
        "rounds": len(turn.runs),
        "events": sum(run.events for run in turn.runs),
        "peak_memory_mib": turn.memory,
        "batch_ms": _milliseconds(latencies),
        "lone_event_ms": _milliseconds(turn.lone),
    }


def _milliseconds(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    return {f"p{percent}": 1000 * percentile(seconds, percent) for percent in (50, 99)}


def ratios(turns: Sequence[Turns], pairs: Sequence[tuple[Contestant, Contestant]]) -> Any:
    """Return how many times the rate of the second the first has, for each pair that ran.

    Only rounds in which both ran are compared.
    """
    runs = {turn.contestant: turn.runs for turn in turns if turn.runs and not turn.failure}
    return {
        (of.key, to.key): ratio([run.rate for run in runs[of]], [run.rate for run in runs[to]])
        for of, to in pairs
        if of in runs and to in runs
    }
