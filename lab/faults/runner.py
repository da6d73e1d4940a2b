"""Plays a case: events flow, a fault begins and ends, the relay recovers, all is counted."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from lab.faults.case import Flow, NeverHappenedError
from lab.faults.plan import FAULTED, HEALTHY
from lab.faults.result import Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lab.audit import Report
    from lab.faults.case import Case, Scene, Step
    from lab.faults.journal import Journal
    from lab.faults.plan import Kind

_BETWEEN_REDRIVES: Final = 1.0
_LONGEST_WAIT: Final = 40.0
_LOOKS: Final = 20


class Stage(Protocol):
    """What a case is played on.

    Attributes:
        scene: what the fault may lay hands on.
        journal: what the relay says.
    """

    scene: Scene
    journal: Journal

    async def flow(self, count: int, rate: float) -> None:
        """Let so many events flow in, at so many a second."""

    async def redrive(self) -> None:
        """Fire the relay's timer."""

    async def is_settled(self) -> bool:
        """Whether the host is done with everything and nothing waits in Blob."""

    async def audit(self) -> tuple[Report, int]:
        """Compare what was sent and what is there; count the malformed that are missing."""

    def worst_delay(self, since: float) -> float | None:
        """Return the seconds that the healthy route's slowest event took, after an audit.

        Args:
            since: seconds since 1970; what came into the ingress before does not count.
        """


@dataclass(frozen=True, slots=True)
class Script:
    """How much flows.

    Attributes:
        before: events before the fault begins.
        during: events while it lasts.
        after: events while it ends.
        rate: events a second.
        patience: seconds after the end in which the relay must have recovered.
    """

    before: int = 100
    during: int = 300
    after: int = 100
    rate: float = 150.0
    patience: float = 120.0


async def play(case: Case, kind: Kind, stage: Stage, script: Script) -> Result:
    """Play a case and return what came of it."""
    started = time.monotonic()
    problems: list[str] = []
    await stage.flow(script.before, script.rate)
    if not await stage.journal.until(lambda: _flows(stage), _LONGEST_WAIT):
        problems.append("nothing was delivered before the fault")
    began = time.time()
    try:
        flow = case.flow or Flow(script.during, script.rate)
        async with _flowing(stage, flow.count, flow.rate):
            await _do(case.inject, stage.scene)
        await asyncio.sleep(case.lasts)
        if not await _shows(case, stage):
            problems.append("the fault did not show")
    except NeverHappenedError as error:
        problems.append(str(error))
    async with _flowing(stage, script.after, script.rate):
        await _do(case.end, stage.scene)
    if not await _recover(stage, script.patience):
        problems.append(f"not recovered within {script.patience:g} seconds")
    counted = await _count(case, kind, stage)
    problems.extend(counted.problems)
    return replace(
        counted,
        delay=stage.worst_delay(began),
        seconds=time.monotonic() - started,
        problems=(*problems, *(stage.journal.errors if problems else ())),
    )


def _flows(stage: Stage) -> bool:
    return all(stage.journal.events("relay.delivered", name) for name in (FAULTED, HEALTHY))


async def _shows(case: Case, stage: Stage) -> bool:
    """Wait until the fault shows; what waits is tried from time to time, as by the timer."""
    for _ in range(_LOOKS):
        if await stage.journal.until(lambda: case.sign(stage.scene), _BETWEEN_REDRIVES):
            return True
        await stage.redrive()
    return False


@asynccontextmanager
async def _flowing(stage: Stage, count: int, rate: float) -> AsyncIterator[None]:
    """Let events flow meanwhile, all of them before it is over."""
    flow = asyncio.create_task(stage.flow(count, rate))
    try:
        yield
    finally:
        await flow


async def _do(step: Step, scene: Scene) -> None:
    doing = step(scene)
    if doing is not None:
        await doing


async def _recover(stage: Stage, seconds: float) -> bool:
    """Redrive until nothing waits any more; tell whether that was in time."""
    try:
        async with asyncio.timeout(seconds):
            while not await stage.is_settled():
                await stage.redrive()
                await asyncio.sleep(_BETWEEN_REDRIVES)
    except TimeoutError:
        return False
    return True


async def _count(case: Case, kind: Kind, stage: Stage) -> Result:
    report, malformed_lost = await stage.audit()
    routes = {route.route: route for route in report.routes}
    faulted = routes[FAULTED]
    left = faulted.dead_lettered + report.malformed - malformed_lost
    return Result(
        case=case.name,
        family=case.family,
        destination=kind,
        sent=report.sent,
        delivered=faulted.delivered,
        dead_lettered=left,
        redriven=stage.journal.events("relay.redriven", FAULTED),
        duplicated=report.duplicated,
        lost=report.lost + malformed_lost,
        out_of_order=report.out_of_order,
        altered=report.altered + report.unexpected,
        problems=tuple(_wrongly_kept(case, left, routes[HEALTHY].dead_lettered)),
    )


def _wrongly_kept(case: Case, left: int, left_of_healthy: int) -> Iterator[str]:
    """Say whether events are held that are not at fault, or not held that are."""
    if left != case.keeps:
        yield f"{left} events are left in Blob, not {case.keeps}"
    if left_of_healthy > case.keeps:
        yield f"{left_of_healthy} events of the healthy route are left in Blob"
