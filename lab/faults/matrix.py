"""All cases, some side by side, each on a stage of its own: none can disturb another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lab.faults.entrance import Ingress
from lab.faults.plan import DESTINATIONS
from lab.faults.result import Matrix, Result
from lab.faults.runner import Script, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from lab.faults.case import Case
    from lab.faults.plan import Kind
    from lab.faults.runner import Stage
    from lab.faults.screen import Screen

SIDE_BY_SIDE: Final = 3
"""A case waits most of its time."""

type OpenStage = Callable[[Kind, Ingress], AbstractAsyncContextManager[Stage]]


@dataclass(frozen=True, slots=True)
class Round:
    """A case for one way in and one kind of destination."""

    case: Case
    kind: Kind
    ingress: Ingress = Ingress.EVENT_HUB

    def is_called(self, words: str) -> bool:
        """Whether the name of its case or of its way in holds the words."""
        return any(words.lower() in name.lower() for name in (self.case.name, self.ingress))


def choose(
    cases: Iterable[Case], *, quick: bool = False, words: Sequence[str] = ()
) -> list[Round]:
    """Return the rounds to play, in the order of the list.

    Args:
        cases: all there are.
        quick: only the representative fifth.
        words: only cases whose name, or whose way in, holds any of these.
    """
    return [
        each
        for case in cases
        for each in _rounds(case, quick=quick)
        if not words or any(map(each.is_called, words))
    ]


def _rounds(case: Case, *, quick: bool) -> Iterator[Round]:
    for kind in case.quick if quick else case.applies_to:
        yield Round(case, kind)
    for ingress in case.quick_ways if quick else case.ways:
        yield Round(case, DESTINATIONS[ingress], ingress)


async def play_all(
    rounds: Sequence[Round], open_stage: OpenStage, screen: Screen, script: Script | None = None
) -> Matrix:
    """Play all rounds; the results are in their order, whichever ends first."""
    turn = asyncio.Semaphore(SIDE_BY_SIDE)
    done = 0

    async def one(each: Round) -> Result:
        nonlocal done
        async with turn:
            result = await _play(each, open_stage, script or Script())
        done += 1
        screen.result(result, done, len(rounds))
        return result

    screen.begin(len(rounds))
    async with asyncio.TaskGroup() as playing:
        tasks = [playing.create_task(one(each)) for each in rounds]
    return Matrix([task.result() for task in tasks])


async def _play(each: Round, open_stage: OpenStage, script: Script) -> Result:
    try:
        async with open_stage(each.kind, each.ingress) as stage:
            result = await play(each.case, each.kind, stage, script)
    except Exception as error:  # noqa: BLE001 - a case that breaks must not hide the others
        problem = f"{type(error).__name__}: {error}"
        result = Result(each.case.name, each.kind, family=each.case.family, problems=(problem,))
    return replace(result, ingress=each.ingress)
