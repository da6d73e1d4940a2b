"""A short form of the matrix, on the real path."""

from __future__ import annotations

import pytest

from lab.faults import matrix
from lab.faults.cases import CASES
from lab.faults.entrance import Ingress
from lab.faults.plan import Kind
from lab.faults.result import Matrix, Result
from lab.faults.runner import Script
from lab.faults.stage import open_stage

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("faults")]

SHORT = {
    ("worker killed before an acknowledgement", Ingress.EVENT_HUB, Kind.QUEUE),
    ("network denied", Ingress.EVENT_HUB, Kind.EVENT_HUB),
    ("connections reset", Ingress.EVENT_HUB, Kind.EVENT_HUB),
    ("destination and Blob down", Ingress.WEBHOOK, Kind.QUEUE),
}


class Still:
    """A screen on which nobody looks."""

    def begin(self, cases: int) -> None: ...

    def result(self, result: Result, done: int, cases: int) -> None: ...

    def outcome(self, matrix: Matrix) -> None: ...

    def fail(self, text: str) -> None: ...


async def test_nothing_is_lost_reordered_or_altered_under_faults_that_are_real() -> None:
    rounds = [
        each
        for each in matrix.choose(CASES)
        if (each.case.name, each.ingress, each.kind) in SHORT
    ]

    played = await matrix.play_all(rounds, open_stage, Still(), Script(40, 160, 40))

    assert 4 == len(played.results)
    for result in played.results:
        assert result.is_good, result.as_json()
        assert 240 == result.sent == result.delivered
    denied = next(each for each in played.results if each.case == "network denied")
    assert denied.redriven > 0
