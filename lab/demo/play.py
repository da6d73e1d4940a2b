"""The demo's acts: all is well, a role is revoked, it is granted again, dead letters return."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from lab.demo.expectations import EXPECTATIONS, expected
from lab.demo.outcome import Outcome
from lab.demo.remedy import RemedyError, read_remedy
from lab.twins import Plant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from lab.audit import Expectation, Report
    from lab.demo.ledger import Ledger, Refusal
    from lab.demo.remedy import Assignment
    from lab.demo.screen import Screen
    from lab.twins import Notification

REFUSED_ROUTE: Final = "twin-changes"
_REPORT_SECONDS: Final = 2.0


class Stage(Protocol):
    """What the acts are played on: a relay between a plant and its destinations.

    Attributes:
        ledger: what the relay says about itself.
    """

    ledger: Ledger

    async def send(self, notifications: Sequence[Notification], rate: float) -> None:
        """Let the plant send, at so many events a second."""

    def revoke(self, route: str) -> str:
        """Take the relay's role on a route's destination away; return the role's name."""

    def grant(self, assignment: Assignment) -> None:
        """Assign a role.

        Raises:
            LookupError: no such identity or role.
            ValueError: the scope is none.
        """

    def restore(self) -> bool:
        """Give back what was revoked; tell whether it was missing still."""

    async def redrive(self) -> None:
        """Have the relay send its dead letters again."""

    async def audit(self, expectations: Sequence[Expectation]) -> Report:
        """Read everything back and compare."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is played.

    Attributes:
        events: how many events the plant sends in all.
        seed: what the plant follows from.
        rate: events a second.
    """

    events: int = 4000
    seed: int = 7
    rate: float = 500.0

    @property
    def waves(self) -> tuple[int, int, int]:
        """How many events are sent while all is well, while a role is missing, and after."""
        second = self.events // 5
        return self.events - 2 * second, second, second


@dataclass(slots=True)
class Play:
    """One performance; `run` gives its outcome.

    Attributes:
        settle_seconds: how long the relay may take after a wave before that is a problem.
    """

    script: Script
    stage: Stage
    screen: Screen
    settle_seconds: float = 40.0
    _due: Counter[str] = field(default_factory=Counter)
    _problems: list[str] = field(default_factory=list)

    async def run(self) -> Outcome:
        """Play all acts and have them audited."""
        started = time.monotonic()
        plant = iter(Plant(self.script.seed, datetime.now(UTC)))
        first, second, third = self.script.waves
        async with self._watched():
            await self._all_is_well(plant, first)
            await self._a_role_is_revoked(plant, second)
            await self._the_remedy_is_carried_out()
            await self._what_waited_is_redriven(plant, third)
        self.screen.act("5. The audit reads everything back")
        report = await self.stage.audit(EXPECTATIONS)
        return Outcome(
            report=report,
            dead_lettered=self._ledger.dead_lettered,
            redriven=self._ledger.redriven,
            refusals=tuple(self._ledger.refusals),
            problems=tuple(self._problems),
            seconds=time.monotonic() - started,
        )

    @property
    def _ledger(self) -> Ledger:
        return self.stage.ledger

    async def _all_is_well(self, plant: Iterator[Notification], count: int) -> None:
        self.screen.act(f"1. A plant sends {count} events; every one finds its routes")
        await self._send(plant, count)
        await self._settled("delivered", lambda route: self._ledger.tallies[route].delivered)

    async def _a_role_is_revoked(self, plant: Iterator[Notification], count: int) -> None:
        role = self.stage.revoke(REFUSED_ROUTE)
        self.screen.act(
            f"2. The relay's role {role} on {REFUSED_ROUTE} is revoked; {count} more events"
        )
        await self._send(plant, count)
        await self._settled("settled", lambda route: self._ledger.tallies[route].settled)
        if not await self._ledger.until(
            lambda: bool(self._ledger.refusals), self.settle_seconds
        ):
            self._problems.append("the role was revoked, but the relay reported no refusal")
        for refusal in self._ledger.refusals:
            self.screen.refusal(refusal)

    async def _the_remedy_is_carried_out(self) -> None:
        self.screen.act("3. The remedy's command is carried out as it is printed")
        self._problems += [
            f"the refusal of {refusal.destination} lacks a part of its explanation"
            for refusal in self._ledger.refusals
            if not refusal.is_explained
        ]
        for refusal in self._ledger.refusals:
            self._mend(refusal)
        if self.stage.restore():
            self._problems.append("the remedies did not give back what was revoked")

    def _mend(self, refusal: Refusal) -> None:
        try:
            assignment = read_remedy(refusal.remedy)
            self.stage.grant(assignment)
        except (RemedyError, LookupError, ValueError) as error:
            self._problems.append(f"the remedy for {refusal.destination} fails: {error}")
        else:
            self.screen.say(f"{assignment.role_id} granted to {assignment.object_id}")

    async def _what_waited_is_redriven(self, plant: Iterator[Notification], count: int) -> None:
        self.screen.act(f"4. The dead letters are redriven, and {count} more events are sent")
        await self.stage.redrive()
        await self._send(plant, count)
        await self._settled("settled", lambda route: self._ledger.tallies[route].settled)
        await self._redriven()

    async def _redriven(self) -> None:
        """Redrive what came behind the dead letters while those were on their way."""
        end = time.monotonic() + self.settle_seconds
        while self._ledger.waiting and time.monotonic() < end:
            await self.stage.redrive()
            await self._ledger.until(lambda: not self._ledger.waiting, _REPORT_SECONDS)
        if self._ledger.waiting:
            self._problems.append(f"{self._ledger.waiting} dead letters were not redriven")
        self.screen.routes(self._ledger)

    async def _send(self, plant: Iterator[Notification], count: int) -> None:
        wave = list(islice(plant, count))
        self._due.update(expected(wave))
        await self.stage.send(wave, self.script.rate)

    async def _settled(self, what: str, number: Callable[[str], int]) -> None:
        """Wait until every route's number is what it should be; the audit has the last word."""

        def behind() -> dict[str, int]:
            return {r: due - number(r) for r, due in self._due.items() if number(r) < due}

        if not await self._ledger.until(lambda: not behind(), self.settle_seconds):
            late = ", ".join(f"{count} on {route}" for route, count in behind().items())
            self._problems.append(f"not {what} within {self.settle_seconds:.0f} s: {late}")
        self.screen.routes(self._ledger)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Show the routes all the while."""
        with self.screen.watch(self._ledger):
            reporting = asyncio.create_task(self._report())
            try:
                yield
            finally:
                reporting.cancel()

    async def _report(self) -> None:
        while True:
            before = self._ledger.heard
            await asyncio.sleep(_REPORT_SECONDS)
            if self._ledger.heard != before:
                self.screen.routes(self._ledger)
