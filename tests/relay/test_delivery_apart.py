from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from relay.dead_letters import Fate
from relay.event import Event
from relay.failures import Reason
from tests.fakes import (
    MemorySink,
    a_route,
    always,
    failing,
)
from tests.relay.event_path import PATIENCE, an_event_path, batch, ids
from tests.virtual_time import in_virtual_time

DESTINATION_AT_FAULT = [reason for reason in Reason if not reason.traits.isolates_event]
HUB, QUEUE = a_route("hub"), a_route("queue")


@pytest.mark.parametrize("fault", ["hangs", *DESTINATION_AT_FAULT])
@in_virtual_time
async def test_a_bad_destination_does_not_delay_the_other_routes(fault: str) -> None:
    bad = Hanging() if fault == "hangs" else MemorySink(faults=always(Reason(fault)))
    good = Telling()
    path = an_event_path(HUB, QUEUE, hub=bad, queue=good)

    settling = asyncio.create_task(path.delivery.settle(batch(5)))
    await good.has_accepted.wait()

    assert ids(good.events) == ["0", "1", "2", "3", "4"]
    assert bad.events == []
    assert fault != "hangs" or not settling.done()
    await settling
    assert len(path.dead_letters.letters(Fate.WAITING, route="hub")) == 5


@in_virtual_time
async def test_a_hanging_destination_costs_one_bounded_attempt_and_then_nothing() -> None:
    path = an_event_path(HUB, QUEUE, hub=Hanging())
    clock = asyncio.get_running_loop().time

    await path.delivery.settle(batch(1))
    first = clock()
    for number in range(1, 200):
        await path.delivery.settle(batch(1, start=number))
        await asyncio.sleep(1.0)

    assert first <= PATIENCE.attempt + PATIENCE.budget
    assert clock() - first < 200
    assert len(path.sinks["queue"].events) == 200


@in_virtual_time
async def test_a_long_backlog_does_not_delay_the_other_routes() -> None:
    slow = MemorySink(faults=always(Reason.NOT_FOUND))
    path = an_event_path(HUB, QUEUE, hub=slow)
    for number in range(300):
        await path.delivery.settle(batch(1, start=number))
    slow.faults, slow.latency = failing(), lambda: 4.0
    await asyncio.sleep(120.0)
    clock = asyncio.get_running_loop().time

    for number in range(300, 310):
        started = clock()
        await path.delivery.settle(batch(1, start=number))
        assert clock() - started <= 2.0

    assert len(path.sinks["queue"].events) == 310


@in_virtual_time
async def test_a_destination_too_slow_to_catch_up_holds_up_nobody() -> None:
    """It is slower than events arrive, so that there is always much left to redrive."""
    slow = MemorySink(faults=always(Reason.NOT_FOUND))
    path = an_event_path(HUB, QUEUE, hub=slow)
    for number in range(20):
        await path.delivery.settle(batch(1, start=number))
    slow.faults, slow.latency = failing(), lambda: 4.0
    clock = asyncio.get_running_loop().time

    for number in range(20, 600):
        started = clock()
        await path.delivery.settle(batch(1, start=number))
        assert clock() - started <= 2.0  # for the turn of its lane, which a redrive has
        await asyncio.sleep(1.0)

    assert len(path.sinks["queue"].events) == 600


@in_virtual_time
async def test_a_redrive_ends_before_the_host_loses_its_patience() -> None:
    slow = MemorySink(faults=always(Reason.NOT_FOUND))
    path = an_event_path(HUB, hub=slow)
    for number in range(500):
        await path.delivery.settle(batch(1, start=number))
    slow.faults, slow.latency = failing(), lambda: 4.0
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(60.0)
    await path.delivery.settle(batch(1, start=500))
    started = clock()

    await path.delivery.redrive()

    assert clock() - started < 200.0


@dataclass
class Hanging(MemorySink):
    """Opens, and never answers a send."""

    async def send(self, stream: str, events: Sequence[Event]) -> None:  # noqa: ARG002
        await asyncio.Event().wait()


@dataclass
class Telling(MemorySink):
    """Says when it has accepted something."""

    has_accepted: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        await super().send(stream, events)
        self.has_accepted.set()
