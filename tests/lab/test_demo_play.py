from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from rich.console import Console

from lab import demo
from lab.audit import Expectation, Received, Report, audit
from lab.demo import __main__ as demo_command
from lab.demo.expectations import EXPECTATIONS
from lab.demo.ledger import Ledger
from lab.demo.play import REFUSED_ROUTE, Play, Script
from lab.demo.remedy import Assignment
from lab.demo.screen import JsonLines, Screen, Terminal
from lab.twins import Notification
from relay import filters
from relay.event import Event

SCOPE = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventHub/namespaces/n/eventhubs/h"
)
ROLE = Assignment("object", "2b629674-e913-4c01-ae53-ef4638d8f975", SCOPE)
REFUSAL = {
    "route": REFUSED_ROUTE,
    "identity": "system-assigned identity",
    "client_id": "client",
    "object_id": ROLE.object_id,
    "destination": "n/h",
    "audience": "https://eventhubs.azure.net",
    "role": "Azure Event Hubs Data Sender",
    "role_id": ROLE.role_id,
    "scope": ROLE.scope,
    "cause": "n/h refused the relay: it lacks the role.",
    "remedy": (
        f"az role assignment create --assignee-object-id {ROLE.object_id} "
        f"--role {ROLE.role_id} --scope {ROLE.scope}"
    ),
}


class FakeStage:
    """A relay that does what is asked of it, in memory; subclasses each do one thing wrong."""

    refusal = REFUSAL

    def __init__(self) -> None:
        self.ledger = Ledger([one.route for one in EXPECTATIONS], itertools.count().__next__)
        self.granted = True
        self.ingress: list[Received] = []
        self.waiting: list[Notification] = []
        self.arrived: dict[str, list[Received]] = {one.route: [] for one in EXPECTATIONS}

    async def send(self, notifications: Sequence[Notification], rate: float) -> None:
        assert rate > 0
        for notification in notifications:
            received = _received(notification)
            self.ingress.append(replace(received, message_id=None, stream="0"))
            for one in EXPECTATIONS:
                (whole,) = audit([received], {}, [one]).routes
                if whole.expected:
                    self.settle(one.route, notification)

    def settle(self, route: str, notification: Notification) -> None:
        if route == REFUSED_ROUTE and not self.granted:
            self.ledger.hear("relay.refused", self.refusal)
            self.ledger.hear("relay.dead_lettered", {"route": route, "count": 1})
            self.waiting.append(notification)
        else:
            self.deliver(route, notification)

    def deliver(
        self, route: str, notification: Notification, said: str = "relay.delivered"
    ) -> None:
        self.ledger.hear(said, {"route": route, "count": 1})
        self.arrived[route].append(_received(notification))

    def revoke(self, route: str) -> str:
        assert route == REFUSED_ROUTE
        self.granted = False
        return "Azure Event Hubs Data Sender"

    def grant(self, assignment: Assignment) -> None:
        if assignment != ROLE:
            raise LookupError("no such identity")
        self.granted = True

    def restore(self) -> bool:
        was_missing = not self.granted
        self.granted = True
        return was_missing

    async def redrive(self) -> None:
        for notification in self.waiting:
            self.deliver(REFUSED_ROUTE, notification, "relay.redriven")

    async def audit(self, expectations: Sequence[Expectation]) -> Report:
        return audit(self.ingress, self.arrived, expectations)


class Loses(FakeStage):
    def deliver(
        self, route: str, notification: Notification, said: str = "relay.delivered"
    ) -> None:
        super().deliver(route, notification, said)
        if notification.attributes["id"] == "reading-2":
            self.arrived[route].pop()


class Swaps(FakeStage):
    async def redrive(self) -> None:
        self.waiting.reverse()
        await super().redrive()


class Alters(FakeStage):
    def deliver(
        self, route: str, notification: Notification, said: str = "relay.delivered"
    ) -> None:
        altered = replace(notification, data=notification.data + b" ")
        super().deliver(route, altered, said)


class NeverRedrives(FakeStage):
    async def redrive(self) -> None:
        """Forget what waits."""


class SaysTooLittle(FakeStage):
    refusal = {**REFUSAL, "role_id": ""}  # noqa: RUF012 - nobody changes it


class AdvisesWrongly(FakeStage):
    refusal = {**REFUSAL, "remedy": REFUSAL["remedy"].replace("object", "nobody", 1)}  # noqa: RUF012 - nobody changes it


def _received(notification: Notification) -> Received:
    message = notification.as_amqp()
    event_id = notification.attributes["id"]
    digest = sha256(event_id.encode()).hexdigest()
    return Received(
        stream=notification.twin_id,
        properties=message.properties,
        body=message.body,
        content_type=message.content_type,
        message_id=event_id if len(event_id) <= 128 else f"sha256-{digest}",
    )


def play(stage: FakeStage, screen: Screen | None = None) -> Play:
    script = Script(events=1000, seed=7, rate=1e6)
    return Play(script, stage, screen or JsonLines(), settle_seconds=0.05)


async def test_a_relay_that_keeps_its_promises_passes() -> None:
    outcome = await play(FakeStage()).run()
    assert outcome.failures() == []
    assert outcome.report.sent == 1000
    assert outcome.dead_lettered == outcome.redriven > 0
    assert all(route.expected == route.delivered > 0 for route in outcome.report.routes)


@pytest.mark.parametrize(
    ("stage", "failure"),
    [
        (Loses, "events lost"),
        (Swaps, "events out of order"),
        (Alters, "events altered"),
        (NeverRedrives, "dead letters were not redriven"),
        (SaysTooLittle, "lacks a part of its explanation"),
        (AdvisesWrongly, "the remedies did not give back what was revoked"),
    ],
)
async def test_a_broken_promise_fails_the_demo(stage: type[FakeStage], failure: str) -> None:
    outcome = await play(stage()).run()
    assert not outcome.is_good
    assert any(failure in said for said in outcome.failures()), outcome.failures()


@pytest.mark.parametrize(("stage", "code"), [(FakeStage, 0), (Loses, 1)])
def test_the_exit_code_tells_whether_something_was_lost(
    stage: type[FakeStage],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @asynccontextmanager
    async def open_stage(_screen: Screen) -> AsyncIterator[FakeStage]:
        yield stage()

    monkeypatch.setattr(demo_command, "open_stage", open_stage)
    ended = demo_command.main(["--json", "--events", "1000", "--rate", "1000000"])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert code == ended
    assert (last["kind"], last["ok"], last["lost"] > 0) == ("outcome", code == 0, code == 1)


async def test_a_refusal_that_nobody_reports_fails_the_demo() -> None:
    class Silent(FakeStage):
        def settle(self, route: str, notification: Notification) -> None:
            super().settle(route, notification)
            self.ledger.refusals.clear()

    outcome = await play(Silent()).run()
    assert "the role was revoked, but the relay reported no refusal" in outcome.failures()


async def test_json_ends_with_one_object_that_holds_the_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = JsonLines()
    screen.outcome(await play(FakeStage(), screen).run())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    last = lines[-1]
    assert {"act", "routes", "refusal", "progress"} <= {line["kind"] for line in lines}
    assert (last["sent"], last["lost"], last["out_of_order"]) == (1000, 0, 0)
    assert last["dead_lettered"] == last["redriven"]
    assert last["refusals"] == [REFUSAL]
    assert {one.route for one in EXPECTATIONS} == set(last["delivered"])


async def test_json_calls_what_waits_waiting_and_the_total_dead_lettered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = JsonLines()
    screen.outcome(await play(FakeStage(), screen).run())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line["routes"][REFUSED_ROUTE] for line in lines if line["kind"] == "routes"]

    assert max(route["waiting"] for route in told) > 0 == told[-1]["waiting"]
    assert lines[-1]["dead_lettered"] == told[-1]["redriven"]
    assert "dead_lettered" not in told[-1]


async def test_what_is_no_terminal_gets_plain_lines() -> None:
    text = io.StringIO()
    screen = Terminal(Console(file=text, width=120, no_color=True))
    screen.outcome(await play(FakeStage(), screen).run())
    assert "\x1b" not in text.getvalue()
    assert f"    remedy       {REFUSAL['remedy']}\n" in text.getvalue()
    assert "Nothing lost, nothing out of order, nothing altered." in text.getvalue()


async def test_a_terminal_gets_a_table_that_moves() -> None:
    text = io.StringIO()
    screen = Terminal(Console(file=text, width=120, force_terminal=True))
    await play(FakeStage(), screen).run()
    assert "dead letters" in text.getvalue()
    assert "\x1b[" in text.getvalue()


async def test_a_failure_is_said_in_words() -> None:
    text = io.StringIO()
    screen = Terminal(Console(file=text, width=120))
    screen.outcome(await play(Loses()).run())
    assert re.search(r"FAILED: \d+ events lost", text.getvalue())


def test_waves_add_up() -> None:
    assert [sum(Script(events=count).waves) for count in (1, 7, 4000)] == [1, 7, 4000]


async def test_the_routes_filters_and_the_audits_expectations_agree() -> None:
    """The audit judges by its own predicates; this is where the two meet."""
    routes = json.loads((Path(demo.__file__).parent / "routes.json").read_text())
    wanted = {route["name"]: filters.compile(route["filter"]) for route in routes}
    stage = FakeStage()
    await play(stage).run()
    events = [
        Event(
            {k.removeprefix("cloudEvents:"): str(v) for k, v in received.properties.items()},
            received.body,
        )
        for received in stage.ingress
    ]
    counts = {
        name: sum(bool(accepts(filters.View(event))) for event in events)
        for name, accepts in wanted.items()
    }
    assert counts == {route: len(stage.arrived[route]) for route in stage.arrived}
