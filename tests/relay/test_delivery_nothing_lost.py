from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relay.dead_letters import MALFORMED_ROUTE, Fate
from relay.delivery import Delivery, UnsettledError
from relay.event import Event
from relay.failures import Reason
from relay.ingress import Arrival, Malformed, Order
from relay.routing import Route, match
from tests.fakes import (
    MemoryDeadLetters,
    MemorySink,
    a_route,
    always,
    an_arrival,
    an_event,
    failing,
    failing_in_turn,
)
from tests.relay.event_path import EventPath, an_event_path, batch, ids, is_event
from tests.virtual_time import A_YEAR, in_virtual_time

NO_EVENT = Malformed(b"\x00\xff", {"a": "b"}, "it is no event")
HUB, QUEUE = a_route("hub"), a_route("queue")


@dataclass(frozen=True)
class Situation:
    """What a batch meets: routes, the state of their destinations, and Blob's."""

    arrivals: list[Arrival]
    routes: list[Route]
    sinks: dict[str, MemorySink]
    blob_faults: list[Reason | None]
    hangs: bool


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Draw what may happen; poison, hanging and failing may all come together."""
    routes = [
        replace(a_route(f"route{n}", wants=wants), ordered=draw(st.booleans()))
        for n, wants in enumerate(
            draw(st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3))
        )
    ]
    sinks = {route.name: draw(SINKS) for route in routes}
    order = draw(st.sampled_from(Order))
    return Situation(
        [replace(arrival, order=order) for arrival in draw(ARRIVALS)],
        routes,
        {name: sink for name, (sink, _) in sinks.items()},
        draw(st.lists(st.sampled_from([None, None, None, Reason.UNAVAILABLE]), max_size=8)),
        any(hangs for _, hangs in sinks.values()),
    )


FILTERS = ["true", "false", "subject = 'pump-1'", "$body.n >= 4", "NOT subject = 'pump-0'"]


def an_arrival_drawn(sequence: int, lane: int, twin: int, *, is_event: bool) -> Arrival:
    event = an_event(id=str(sequence), subject=f"pump-{twin}", data=b'{"n":%d}' % sequence)
    return an_arrival(event if is_event else NO_EVENT, lane=f"hub/{lane}", sequence=sequence)


ARRIVALS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2), st.sampled_from([True, True, True, False])),
    min_size=1,
    max_size=12,
).map(
    lambda drawn: [
        an_arrival_drawn(n, lane, twin, is_event=is_event)
        for n, (lane, twin, is_event) in enumerate(drawn)
    ]
)


@st.composite
def sinks(draw: st.DrawFn) -> tuple[MemorySink, bool]:
    """Draw a sink and whether it hangs at times, so that it is not known what it took."""
    poisonous = draw(st.sets(st.integers(0, 11), max_size=3))
    delays = draw(st.lists(st.sampled_from([0.0, 0.0, 1.0, A_YEAR]), max_size=6))
    left = iter(delays)
    faults = draw(st.lists(st.none() | st.sampled_from(Reason), max_size=12))
    refused = draw(st.none() | st.sampled_from(Reason))
    sink = MemorySink(
        streams=draw(st.integers(1, 3)),
        largest_batch=draw(st.integers(1, 4)),
        faults=failing_in_turn(faults) if refused is None else always(refused),
        poison=lambda event: int(event.id) in poisonous,
        latency=lambda: next(left, 0.0),
    )
    return sink, A_YEAR in delays


SINKS = sinks()


@settings(max_examples=400)
@given(situations())
@in_virtual_time
async def test_every_event_is_accepted_or_dead_lettered_or_the_invocation_fails(
    situation: Situation,
) -> None:
    blobs = MemoryDeadLetters(faults=failing_in_turn(situation.blob_faults))
    path = EventPath(situation.routes, situation.sinks, blobs)

    try:
        await path.delivery.settle(situation.arrivals)
    except UnsettledError:
        await path.restart()
        blobs.faults = failing()
        await path.delivery.settle(situation.arrivals)
        assert ends(path, situation).keys() == expected_ends(situation)
        return

    await path.delivery.close()
    assert ends(path, situation).keys() == expected_ends(situation)
    if not situation.hangs:
        assert set(ends(path, situation).values()) <= {1}
    assert set(Counter(letter_keys(path)).values()) <= {1}


@settings(max_examples=200)
@given(situations(), st.lists(st.booleans(), min_size=12, max_size=12))
@in_virtual_time
async def test_a_part_of_a_batch_that_comes_again_overwrites_nothing(
    situation: Situation, again: list[bool]
) -> None:
    """Service Bus settles message by message: any of them may come again without the others."""
    assume(situation.arrivals[0].order is not Order.GAPLESS)
    path = EventPath(situation.routes, situation.sinks, MemoryDeadLetters())
    part = [each for each, comes in zip(situation.arrivals, again, strict=False) if comes]
    await path.delivery.settle(situation.arrivals)
    await path.restart()
    if part:
        await path.delivery.settle(part)

    assert ends(path, situation).keys() == expected_ends(situation)


def ends(path: EventPath, situation: Situation) -> Counter[tuple[str, str, int]]:
    """Count how often each arrival came to an end on each route."""
    accepted = [
        (name, arrival.lane, arrival.sequence)
        for name, sink in path.sinks.items()
        for event in sink.events
        for arrival in situation.arrivals
        if arrival.content == event
    ]
    return Counter(accepted + letter_keys(path))


def expected_ends(situation: Situation) -> set[tuple[str, str, int]]:
    wanted = {
        (route.name, arrival.lane, arrival.sequence)
        for arrival in situation.arrivals
        if isinstance(arrival.content, Event)
        for route in match(situation.routes, arrival.content)
    }
    return wanted | {
        (MALFORMED_ROUTE, arrival.lane, arrival.sequence)
        for arrival in situation.arrivals
        if isinstance(arrival.content, Malformed)
    }


def letter_keys(path: EventPath) -> list[tuple[str, str, int]]:
    return [
        (route, letter.arrival.lane, letter.arrival.sequence)
        for route in [*path.sinks, MALFORMED_ROUTE]
        for letter in path.dead_letters.letters(route=route)
    ]


@pytest.mark.parametrize("forgets", [True, False])
@in_virtual_time
async def test_nothing_is_lost_whenever_a_settling_is_cut_off(
    forgets: bool,
) -> None:
    """Cut it off at each of its steps in turn; the host delivers the batch again."""
    cuts = 0
    while await is_cut_off(cuts, Delivery.settle, [], forgets=forgets):
        cuts += 1

    assert cuts > 8


@pytest.mark.parametrize("forgets", [True, False])
@in_virtual_time
async def test_nothing_is_lost_whenever_a_redrive_is_cut_off(
    forgets: bool,
) -> None:
    cuts = 0
    while await is_cut_off(cuts, redrive, [None, Reason.NOT_FOUND], forgets=forgets):
        cuts += 1

    assert cuts > 8


async def redrive(delivery: Delivery, _: Sequence[Arrival]) -> None:
    await delivery.redrive()


async def is_cut_off(
    step: int,
    action: Callable[[Delivery, Sequence[Arrival]], Coroutine[None, None, None]],
    before: Sequence[Reason | None],
    *,
    forgets: bool,
) -> bool:
    """Cancel an action at a step; check that all ends well. False if it has no such step."""
    path = an_event_path(
        HUB,
        QUEUE,
        hub=MemorySink(streams=2, largest_batch=2, poison=is_event("1", "6")),
        queue=MemorySink(faults=always(Reason.FORBIDDEN)),
    )
    everything = [*batch(4, twins=3), an_arrival(NO_EVENT, sequence=4), *batch(4, start=5)]
    path.sinks["hub"].faults = failing(*before)
    await path.delivery.settle(everything[:4])
    steps = iter(range(step))

    def count() -> float:
        if next(steps, None) is None and not task.done():
            task.cancel()
        return 0.0

    for port in (path.dead_letters, *path.sinks.values()):
        port.latency = count
    task = asyncio.create_task(action(path.delivery, everything[4:]))
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    for port in (path.dead_letters, *path.sinks.values()):
        port.latency = lambda: 0.0
    if forgets:
        await path.restart()
    await path.delivery.settle(everything[4:])
    path.sinks["queue"].faults = failing()
    await path.delivery.redrive()

    wanted = {x.content.id for x in everything if isinstance(x.content, Event)}
    held = {letter.arrival.content.id for letter in path.dead_letters.letters(route="hub")}
    assert path.dead_letters.letters(Fate.WAITING) == []
    assert wanted == set(ids(path.sinks["queue"].events))
    assert wanted == set(ids(path.sinks["hub"].events)) | held
    assert held == {"1", "6"}
    assert [4] == [x.arrival.sequence for x in path.dead_letters.letters(route=MALFORMED_ROUTE)]
    return isinstance(outcome, asyncio.CancelledError)
