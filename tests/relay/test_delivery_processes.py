from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from relay.event import Event
from relay.failures import Reason
from tests.fakes import (
    MemorySink,
    a_route,
    always,
    failing,
)
from tests.relay.event_path import an_event_path, batch, ids
from tests.virtual_time import in_virtual_time

HUB = a_route("hub")


@pytest.mark.parametrize("sends", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("stores", [0.0, 0.2, 1.0])
@in_virtual_time
async def test_no_moment_of_a_redrive_lets_new_events_overtake(
    sends: float, stores: float
) -> None:
    """Let events begin to arrive at every moment of a redrive in turn."""
    for moment in range(80):
        sink = MemorySink(faults=always(Reason.FORBIDDEN))
        path = an_event_path(HUB, hub=sink)
        for number in range(3):
            await path.delivery.settle(batch(1, start=number))
        sink.faults, sink.latency = failing(), lambda: sends
        path.dead_letters.latency = lambda: stores

        redriving = asyncio.create_task(path.delivery.redrive())
        await asyncio.sleep(moment * 0.1)
        for number in range(3, 12):
            await path.delivery.settle(batch(1, start=number))
        await redriving
        await path.delivery.redrive()
        await path.delivery.close()

        firsts = list(dict.fromkeys(ids(sink.events)))
        assert firsts == [str(n) for n in range(12)]
        assert path.dead_letters.blobs == {}


@in_virtual_time
async def test_a_lane_that_was_elsewhere_meanwhile_is_looked_up_again() -> None:
    sink = MemorySink()
    path = an_event_path(HUB, hub=sink)
    elsewhere = path.another_process()
    await path.delivery.settle(batch(2))
    sink.faults = always(Reason.FORBIDDEN)
    await elsewhere.settle(batch(2, start=2))
    sink.faults = failing()

    await path.delivery.settle(batch(2, start=4))
    await path.delivery.redrive()
    await path.delivery.settle(batch(2, start=6))

    assert ids(sink.events) == [str(n) for n in range(8)]


@in_virtual_time
async def test_a_lane_may_be_elsewhere_while_it_is_redriven_here() -> None:
    for moment in range(40):
        sink = MemorySink(faults=always(Reason.FORBIDDEN))
        path = an_event_path(HUB, hub=sink)
        elsewhere = path.another_process()
        await path.delivery.settle(batch(2))
        path.dead_letters.latency = lambda: 0.1
        sink.faults, sink.latency = failing(), lambda: 0.5

        redriving = asyncio.create_task(path.delivery.redrive())
        await elsewhere.settle(batch(2, start=2))
        await asyncio.sleep(moment * 0.1)
        await elsewhere.settle(batch(2, start=4))
        await path.delivery.settle(batch(2, start=6))
        await redriving
        await elsewhere.redrive()
        await path.delivery.redrive()
        await path.delivery.close()

        assert list(dict.fromkeys(ids(sink.events))) == [str(n) for n in range(8)]


@in_virtual_time
async def test_a_host_that_lost_the_lane_overwrites_no_letters_of_its_new_owner() -> None:
    path = an_event_path(HUB, hub=Slow(faults=always(Reason.TIMEOUT)))
    late = asyncio.create_task(path.delivery.settle(batch(2)))
    await asyncio.sleep(1.0)
    owner = path.another_process()
    path.sinks["hub"].faults = always(Reason.FORBIDDEN)

    await owner.settle(batch(5))
    await late

    assert {0, 1, 2, 3, 4} == {x.arrival.sequence for x in path.dead_letters.letters()}


@dataclass
class Slow(MemorySink):
    """Takes its time to fail."""

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        await asyncio.sleep(3.0)
        await super().send(stream, events)
