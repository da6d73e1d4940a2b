"""What is opened before there are events: never in anybody's way, and told to nobody."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import sinks
from relay.app import Relay
from relay.failures import DeliveryError, Reason
from relay.observer import Fact
from relay.settings import read
from relay.triggers import blueprint
from relay.turns import InTurn
from tests.fakes import MemorySink, always, an_event
from tests.test_function_app import ROOT, example_settings


@dataclass
class Gated(MemorySink):
    """A sink that says what is asked of it, and lets nobody in while its gate is shut."""

    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    probed: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, count: float = math.inf) -> None:
        self.asked.append("open")
        await super().open(count)

    async def probe(self) -> None:
        self.asked.append("probe")
        self.probed.set()
        await self.gate.wait()
        await super().open()


def a_relay(
    monkeypatch: pytest.MonkeyPatch, wants: Sequence[str] = ("true",), **sink: object
) -> tuple[Relay, dict[str, Gated], list[Fact]]:
    """Return a relay with a route for each filter, its sinks, and what is heard of it."""
    routes = [
        {
            "name": f"r{n}",
            "filter": text,
            "destination": {"connection": "A", "eventHub": f"h{n}"},
        }
        for n, text in enumerate(wants)
    ]
    settings = example_settings() | {
        "RELAY_ROUTES": json.dumps(routes),
        "A__fullyQualifiedNamespace": "plant.servicebus.windows.net",
        "A__credential": "managedidentity",
    }
    del settings["RELAY_ROUTES_FILE"]
    made: dict[str, Gated] = {}

    def build(route: object, *_: object, **__: object) -> Gated:
        return made.setdefault(route.name, Gated(**sink))  # type: ignore[attr-defined,arg-type]

    monkeypatch.setattr(sinks, "build", build)
    facts: list[Fact] = []
    return Relay(read(settings, ROOT), facts.append), made, facts


def test_without_an_event_loop_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    relay, made, _ = a_relay(monkeypatch)

    func.FunctionApp().register_functions(blueprint(relay))

    assert [] == made["r0"].asked


async def test_a_host_that_loads_the_app_has_its_links_opened_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay, made, _ = a_relay(monkeypatch, ["true", "type = 'a'", "false"])

    func.FunctionApp().register_functions(blueprint(relay))
    relay.get_ready()
    assert [] == made["r0"].asked  # whoever loads the app is not kept waiting
    await asyncio.gather(made["r0"].probed.wait(), made["r1"].probed.wait())

    assert [["probe"], ["probe"], []] == [made[name].asked for name in ("r0", "r1", "r2")]
    await relay.close()


async def test_what_fails_is_told_to_nobody_and_the_event_meets_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = asyncio.Event()
    gate.set()
    relay, made, facts = a_relay(monkeypatch, gate=gate, faults=always(Reason.FORBIDDEN))
    caplog.set_level(logging.INFO, "relay")
    relay.get_ready()
    await made["r0"].probed.wait()
    await asyncio.sleep(0)

    assert [] == facts
    assert [] == [r for r in caplog.records if r.levelno >= logging.ERROR]
    with pytest.raises(DeliveryError):
        await relay._sinks["r0"].open(1)
    await relay.close()


async def test_a_relay_is_closed_while_its_links_are_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay, made, _ = a_relay(monkeypatch)
    before = asyncio.all_tasks()
    relay.get_ready()
    await made["r0"].probed.wait()

    await relay.close()

    assert before == asyncio.all_tasks()


@given(reasons=st.lists(st.sampled_from([None, *Reason]), min_size=1, max_size=5))
def test_whatever_destinations_say_getting_ready_ends_well(
    reasons: list[Reason | None],
) -> None:
    async def get_ready() -> None:
        with pytest.MonkeyPatch.context() as patches:
            relay, made, facts = a_relay(patches, ["true"] * len(reasons))
            for sink, reason in zip(made.values(), reasons, strict=True):
                sink.faults = always(reason) if reason else lambda: None
                sink.gate.set()
            relay.get_ready()
            await asyncio.gather(*(sink.probed.wait() for sink in made.values()))
            await relay.close()
            assert [] == facts

    asyncio.run(get_ready())


# One at a time


async def test_who_comes_while_a_link_is_opened_waits_for_it_and_opens_no_other() -> None:
    sink = Gated()
    in_turn = InTurn(sink)
    ahead = asyncio.create_task(in_turn.open_ahead())
    await asyncio.sleep(0)
    events = [asyncio.create_task(in_turn.open(1)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(event.done() for event in events)

    sink.gate.set()
    await asyncio.gather(ahead, *events)

    assert ["probe", "open", "open", "open"] == sink.asked


async def test_what_events_have_opened_is_not_opened_again() -> None:
    sink = Gated()
    in_turn = InTurn(sink)

    await in_turn.open(1)
    await in_turn.send(in_turn.stream(an_event()), [an_event()])
    await in_turn.open_ahead()

    assert ["open"] == sink.asked


async def test_who_waited_for_what_failed_is_told_at_once_and_may_try_again() -> None:
    sink = Gated(faults=always(Reason.UNAVAILABLE))
    in_turn = InTurn(sink)
    ahead = asyncio.create_task(in_turn.open_ahead())
    await asyncio.sleep(0)
    event = asyncio.create_task(in_turn.open(1))
    await asyncio.sleep(0)

    sink.gate.set()
    told = await asyncio.gather(ahead, event, return_exceptions=True)

    assert [Reason.UNAVAILABLE] * 2 == [e.reason for e in told if isinstance(e, DeliveryError)]
    assert ["probe"] == sink.asked
    sink.faults = lambda: None
    await in_turn.open(1)
