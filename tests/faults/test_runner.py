from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from lab.audit import Alteration, Report, RouteReport
from lab.faults import matrix
from lab.faults.case import (
    EVERYWHERE,
    Case,
    Flow,
    NeverHappenedError,
    Scene,
    always,
    nothing,
)
from lab.faults.cases import CASES
from lab.faults.entrance import Ingress
from lab.faults.journal import Journal
from lab.faults.plan import DESTINATIONS, FAULTED, HEALTHY, TARGETS, Kind
from lab.faults.result import Matrix, Result
from lab.faults.runner import Script, play
from lab.functions_host import LogRecord

SCRIPT = Script(before=1, during=2, after=1, rate=1000, patience=0.2)
CLEAN = RouteReport("route", 4, 4, 0, (), (), (), (), ())
EVENT = ("source", "id")


def record(name: str, route: str, count: int = 1) -> LogRecord:
    return LogRecord(logging.INFO, "relay", name, {"route": route, "count": count})


def a_report(malformed: int = 0, **faulted: Any) -> Report:
    routes = replace(CLEAN, route=FAULTED, **faulted), replace(CLEAN, route=HEALTHY)
    return Report(sent=4, malformed=malformed, routes=routes)


@dataclass
class FakeStage:
    """A relay that delivers what flows, and settles after some redrives."""

    report: Report = field(default_factory=a_report)
    malformed_lost: int = 0
    redrives_needed: int = 1
    delivers: bool = True
    done: list[str] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        target = TARGETS[Kind.EVENT_HUB]
        self.scene = Scene(
            cast("Any", None), cast("Any", None), self.journal, target, int, int, self._send
        )

    async def _send(self, messages: Sequence[object]) -> None:
        self.done.append(f"{len(messages)} between")

    async def flow(self, count: int, rate: float) -> None:
        assert rate == SCRIPT.rate
        self.done.append(f"{count} flow")
        for route in (FAULTED, HEALTHY) if self.delivers else ():
            self.journal.hear(record("relay.delivered", route, count))

    async def redrive(self) -> None:
        self.done.append("redrive")
        self.redrives_needed -= 1
        self.journal.hear(record("relay.redriven", FAULTED, 3))

    async def is_settled(self) -> bool:
        return self.redrives_needed <= 0

    async def audit(self) -> tuple[Report, int]:
        self.done.append("audit")
        return self.report, self.malformed_lost

    def worst_delay(self, since: float) -> float | None:
        assert since > 0
        return 0.25


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.faults.runner._BETWEEN_REDRIVES", 0.0)
    monkeypatch.setattr("lab.faults.runner._LONGEST_WAIT", 0.1)
    monkeypatch.setattr("lab.faults.case._LONGEST_WAIT", 0.1)


def a_case(stage: FakeStage, **changes: Any) -> Case:
    case = Case(
        "a fault",
        inject=lambda _: stage.done.append("inject"),
        end=lambda _: stage.done.append("end"),
        lasts=0,
        sign=always,
    )
    return replace(case, **changes)


async def played(stage: FakeStage, **changes: Any) -> Result:
    return await play(a_case(stage, **changes), Kind.EVENT_HUB, stage, SCRIPT)


async def test_the_fault_begins_and_ends_while_events_flow_and_then_all_is_counted() -> None:
    stage = FakeStage(redrives_needed=2)

    async def inject(_: Scene) -> None:
        await asyncio.sleep(0)
        stage.done.append("inject")

    result = await played(stage, inject=inject)

    assert ["1 flow", "2 flow", "inject", "end", "1 flow", "redrive", "redrive", "audit"] == (
        stage.done
    )
    assert (
        Result(
            "a fault",
            Kind.EVENT_HUB,
            sent=4,
            delivered=4,
            redriven=6,
            delay=0.25,
            seconds=result.seconds,
        )
        == result
    )
    assert result.is_good


@pytest.mark.parametrize(
    ("found", "counted"),
    [
        ({"lost": (EVENT,)}, {"lost": 1}),
        ({"out_of_order": (EVENT, EVENT)}, {"out_of_order": 2}),
        ({"altered": (Alteration(EVENT, ("id",)),)}, {"altered": 1}),
        ({"unexpected": (EVENT,)}, {"altered": 1}),
    ],
)
async def test_what_the_audit_finds_is_counted_and_no_case_is_good_with_it(
    found: dict[str, Any], counted: dict[str, int]
) -> None:
    result = await played(FakeStage(report=a_report(**found)))

    assert counted == {name: getattr(result, name) for name in counted}
    assert not result.is_good


async def test_duplicates_are_counted_and_allowed() -> None:
    result = await played(FakeStage(report=a_report(duplicated=(EVENT,))))

    assert 1 == result.duplicated
    assert result.is_good


async def test_a_case_may_have_a_flow_of_its_own_while_its_fault_lasts() -> None:
    stage = FakeStage()

    result = await played(stage, flow=Flow(7, SCRIPT.rate), family="the way")

    assert ["1 flow", "7 flow"] == [done for done in stage.done if "flow" in done][:2]
    assert "the way" == result.family


async def test_a_malformed_message_that_nobody_kept_is_lost() -> None:
    result = await played(FakeStage(report=a_report(malformed=3), malformed_lost=1), keeps=2)

    assert (1, 2, ()) == (result.lost, result.dead_lettered, result.problems)


async def test_events_that_are_held_though_not_at_fault_are_told() -> None:
    result = await played(FakeStage(report=a_report(dead_lettered=4)))

    assert ("4 events are left in Blob, not 0",) == result.problems


async def test_events_at_fault_that_are_not_held_are_told() -> None:
    result = await played(FakeStage(), keeps=3)

    assert ("0 events are left in Blob, not 3",) == result.problems


async def test_events_of_the_healthy_route_that_are_held_are_told() -> None:
    faulted, healthy = a_report().routes
    report = Report(4, 0, (faulted, replace(healthy, dead_lettered=1)))
    result = await played(FakeStage(report=report))

    assert ("1 events of the healthy route are left in Blob",) == result.problems


async def test_a_fault_that_does_not_show_proves_nothing() -> None:
    result = await played(FakeStage(), sign=lambda _: False)

    assert ("the fault did not show",) == result.problems
    assert not result.is_good


async def test_what_waits_is_tried_while_a_fault_is_to_show() -> None:
    stage = FakeStage()

    result = await played(stage, sign=lambda _: stage.done.count("redrive") == 3)

    assert result.is_good
    assert ["redrive"] * 3 == stage.done[3:6]


async def test_a_fault_that_cannot_be_brought_about_is_ended_and_told() -> None:
    stage = FakeStage()

    async def inject(scene: Scene) -> None:
        await scene.until("something happens", lambda: False)

    result = await played(stage, inject=inject)

    assert ("waited in vain: something happens",) == result.problems
    assert "end" in stage.done


async def test_a_relay_that_does_not_recover_in_time_is_told_with_the_hosts_errors() -> None:
    stage = FakeStage(redrives_needed=10**9)
    stage.journal.hear(LogRecord(logging.ERROR, "Host", "it is broken\nstack"))

    result = await played(stage)

    assert ("not recovered within 0.2 seconds", "it is broken") == result.problems


async def test_a_relay_that_delivers_nothing_before_the_fault_is_told() -> None:
    result = await played(FakeStage(delivers=False))

    assert ("nothing was delivered before the fault",) == result.problems


async def test_a_wait_for_what_happened_already_ends_at_once() -> None:
    stage = FakeStage()
    await stage.scene.until("all is well", lambda: True)

    with pytest.raises(NeverHappenedError, match="all is ill"):
        await stage.scene.until("all is ill", lambda: False)


def test_the_journal_counts_records_events_and_trouble_by_route() -> None:
    journal = Journal()
    for name in ("relay.delivered", "relay.refused", "relay.dead_lettered"):
        journal.hear(record(name, FAULTED, 5))
    journal.hear(LogRecord(logging.ERROR, "Host", "no"))

    assert (1, 5) == (
        journal.records("relay.refused", FAULTED),
        journal.events("relay.delivered", FAULTED),
    )
    assert (2, 0) == (journal.trouble(FAULTED), journal.trouble(HEALTHY))
    assert ["no"] == list(journal.errors)


class Silent:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, cases: int) -> None:
        self.told.append(cases)

    def result(self, result: Result, done: int, cases: int) -> None:
        self.told.append((result.case, done, cases))

    def outcome(self, matrix: Matrix) -> None:
        self.told.append(matrix)

    def fail(self, text: str) -> None:
        self.told.append(text)


def stages(made: list[FakeStage]) -> Callable[[Kind, Ingress], Any]:
    @asynccontextmanager
    async def open_stage(_kind: Kind, _ingress: Ingress) -> AsyncIterator[FakeStage]:
        made.append(FakeStage())
        yield made[-1]

    return open_stage


async def test_every_case_has_a_stage_of_its_own_and_one_that_breaks_hides_no_other() -> None:
    def breaks(_: Scene) -> None:
        raise OSError("no room")

    cases = [
        Case("bad", breaks, nothing, sign=always),
        Case("good", nothing, nothing, sign=always, applies_to=(Kind.QUEUE,)),
    ]
    made: list[FakeStage] = []
    screen = Silent()

    played = await matrix.play_all(matrix.choose(cases), stages(made), screen, SCRIPT)

    assert 3 == len(made)
    assert ["bad", "bad", "good"] == [result.case for result in played.results]
    assert [False, False, True] == [result.is_good for result in played.results]
    assert "no room" in " ".join(played.results[0].problems)
    assert 3 == screen.told[0]
    assert {1, 2, 3} == {told[1] for told in screen.told if isinstance(told, tuple)}


async def test_a_case_is_played_by_its_other_ways_in_too_and_its_results_say_so() -> None:
    def breaks(_: Scene) -> None:
        raise OSError("no room")

    ways = (Ingress.SESSIONS, Ingress.EVENT_GRID)
    cases = [
        Case("good", sign=always, applies_to=(Kind.QUEUE,), ways=ways),
        Case("bad", breaks, applies_to=(), ways=ways[:1]),
    ]
    opened: list[tuple[Kind, Ingress]] = []

    @asynccontextmanager
    async def open_stage(kind: Kind, ingress: Ingress) -> AsyncIterator[FakeStage]:
        opened.append((kind, ingress))
        yield FakeStage()

    played = await matrix.play_all(matrix.choose(cases), open_stage, Silent(), SCRIPT)

    expected = [Ingress.EVENT_HUB, *ways, Ingress.SESSIONS]
    assert expected == [result.ingress for result in played.results]
    assert expected == [ingress for _, ingress in opened]
    assert [(result.destination, result.ingress) for result in played.results] == opened
    assert all(kind is DESTINATIONS.get(ingress, kind) for kind, ingress in opened)
    assert "Event Grid trigger" == played.results[2].as_json()["ingress"]


def test_a_way_in_is_a_word_to_choose_by() -> None:
    chosen = matrix.choose(CASES, words=["event GRID"])

    assert {Ingress.EVENT_GRID} == {each.ingress for each in chosen}
    assert 5 <= len(chosen)


def test_every_way_in_is_played_and_the_quick_ones_are_among_them() -> None:
    rounds = {(each.case.name, each.ingress) for each in matrix.choose(CASES)}

    assert set(Ingress) == {ingress for _, ingress in rounds}
    assert all(set(case.quick_ways) <= set(case.ways) for case in CASES)
    assert all(
        ("poison of every kind", ingress) not in rounds
        for ingress in Ingress
        if ingress.is_event_grids
    )


def by_hub(rounds: Sequence[matrix.Round]) -> list[matrix.Round]:
    return [each for each in rounds if each.ingress is Ingress.EVENT_HUB]


def test_cases_are_chosen_by_words_and_the_quick_ones_are_about_a_fifth() -> None:
    everything = by_hub(matrix.choose(CASES))
    quick = matrix.choose(CASES, quick=True)

    assert 0.15 < len(by_hub(quick)) / len(everything) < 0.25
    assert 1 <= len(quick) - len(by_hub(quick)) <= 3
    assert {each.kind for each in quick} == set(EVERYWHERE)
    assert {"worker killed during a redrive"} == {
        each.case.name for each in matrix.choose(CASES, words=["During a REDRIVE"])
    }
    assert [] == matrix.choose(CASES, words=["no such thing"])


def test_no_two_cases_have_the_same_name_and_quick_ones_apply() -> None:
    assert len(CASES) == len({case.name for case in CASES})
    assert all(set(case.quick) <= set(case.applies_to) for case in CASES)
    assert all(case.family for case in CASES)
