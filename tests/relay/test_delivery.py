from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.dead_letters import MALFORMED_ROUTE, Fate
from relay.delivery import Delivery, UnsettledError, assign
from relay.event import Event
from relay.failures import Reason
from relay.ingress import Arrival, Malformed
from relay.observer import DeadLettered, MalformedKept, Unrouted
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
from tests.relay.event_path import PATIENCE, EventPath, an_event_path, ids
from tests.virtual_time import A_YEAR, in_virtual_time

DESTINATION_AT_FAULT = [reason for reason in Reason if not reason.traits.isolates_event]
NO_EVENT = Malformed(b"\x00\xff", {"a": "b"}, "it is no event")
HUB, QUEUE = a_route("hub"), a_route("queue")


@in_virtual_time
async def test_every_route_gets_the_events_that_it_wants() -> None:
    path = an_event_path(HUB, a_route("pumps", wants="subject = 'pump-1'"))

    await path.delivery.settle(batch(6, twins=3))

    assert ids(path.sinks["hub"].events) == ["0", "1", "2", "3", "4", "5"]
    assert ids(path.sinks["pumps"].events) == ["1", "4"]
    assert path.dead_letters.blobs == {}


@in_virtual_time
async def test_events_that_nobody_wants_are_told_and_left() -> None:
    path = an_event_path(a_route("hub", wants="false"))

    await path.delivery.settle(batch(3))

    assert path.facts == [Unrouted(3)]
    assert path.dead_letters.blobs == {}


@in_virtual_time
async def test_nothing_arriving_is_nothing_to_do() -> None:
    path = an_event_path(HUB)

    await path.delivery.settle([])

    assert path.facts == []


@in_virtual_time
async def test_a_message_that_is_no_event_is_kept_and_its_neighbours_go_on() -> None:
    path = an_event_path(HUB)
    arrivals = batch(3)
    arrivals[1] = an_arrival(NO_EVENT, sequence=1)

    await path.delivery.settle(arrivals)

    (letter,) = path.dead_letters.letters(Fate.HELD, route=MALFORMED_ROUTE)
    assert letter.arrival == arrivals[1]
    assert (letter.reason, letter.detail) == (Reason.MALFORMED, "it is no event")
    assert ids(path.sinks["hub"].events) == ["0", "2"]
    assert [1] == [len(fact.letters) for fact in path.facts if isinstance(fact, MalformedKept)]


@pytest.mark.parametrize("reason", DESTINATION_AT_FAULT)
@in_virtual_time
async def test_what_a_destination_does_not_take_waits_with_its_reason(reason: Reason) -> None:
    path = an_event_path(HUB, hub=MemorySink(faults=always(reason)))

    await path.delivery.settle(batch(3))

    letters = path.dead_letters.letters(Fate.WAITING, route="hub")
    assert [reason] * 3 == [letter.reason for letter in letters]
    assert [0, 1, 2] == [letter.arrival.sequence for letter in letters]
    assert f"it is {reason}" == letters[0].detail
    assert [3] == [len(fact.letters) for fact in path.facts if isinstance(fact, DeadLettered)]


@in_virtual_time
async def test_a_poison_event_is_dead_lettered_alone() -> None:
    path = an_event_path(HUB, hub=MemorySink(poison=is_event("5")))

    await path.delivery.settle(batch(20))

    assert [5] == [letter.arrival.sequence for letter in path.dead_letters.letters(Fate.HELD)]
    assert 1 == len(path.dead_letters.blobs)
    assert ids(path.sinks["hub"].events) == [str(n) for n in range(20) if n != 5]


@in_virtual_time
async def test_events_come_behind_those_that_wait() -> None:
    sink = MemorySink(faults=always(Reason.FORBIDDEN))
    path = an_event_path(HUB, hub=sink)
    await path.delivery.settle(batch(2))
    sink.faults = failing()

    await path.delivery.settle(batch(2, start=2))

    assert sink.events == []
    assert [0, 1, 2, 3] == [x.arrival.sequence for x in path.dead_letters.letters()]


@in_virtual_time
async def test_a_destination_that_came_back_gets_what_waits_and_then_what_is_new() -> None:
    sink = MemorySink(faults=always(Reason.FORBIDDEN))
    path = an_event_path(HUB, hub=sink)
    await path.delivery.settle(batch(2))
    sink.faults = failing()

    await path.delivery.redrive()
    await path.delivery.settle(batch(2, start=2))

    assert ids(sink.events) == ["0", "1", "2", "3"]
    assert path.dead_letters.blobs == {}


@in_virtual_time
async def test_a_destination_that_came_back_is_found_out_without_anybody_asking() -> None:
    sink = MemorySink(faults=always(Reason.FORBIDDEN))
    path = an_event_path(HUB, hub=sink)
    await path.delivery.settle(batch(1))
    sink.faults = failing()

    for number in range(1, 5):
        await asyncio.sleep(1.0)
        await path.delivery.settle(batch(1, start=number))

    await asyncio.sleep(1.0)
    assert ids(sink.events) == ["0", "1", "2", "3", "4"]
    assert path.dead_letters.blobs == {}


@pytest.mark.parametrize("ordered", [True, False])
@in_virtual_time
async def test_a_destination_that_is_gone_is_not_tried_with_every_batch(
    ordered: bool,
) -> None:
    sink = Counting(faults=always(Reason.NOT_FOUND))
    path = an_event_path(a_route("hub", ordered=ordered), hub=sink)

    for number in range(100):
        await path.delivery.settle(batch(1, start=number))
        await asyncio.sleep(0.1)

    assert 1 < sink.opened < 8
    assert len(path.dead_letters.letters(Fate.WAITING)) == 100


@pytest.mark.parametrize("ordered", [True, False])
@in_virtual_time
async def test_blob_is_not_asked_with_every_batch(
    ordered: bool,
) -> None:
    path = an_event_path(a_route("hub", ordered=ordered))
    asked: list[None] = []
    path.dead_letters.faults = lambda: asked.append(None)

    for number in range(20):
        await path.delivery.settle(batch(1, start=number))
        await asyncio.sleep(0.1)

    assert len(asked) <= 1


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
async def test_a_process_that_meets_a_lane_looks_into_blob_before_it_sends() -> None:
    sink = MemorySink(faults=always(Reason.FORBIDDEN))
    path = an_event_path(HUB, hub=sink)
    await path.delivery.settle(batch(2))
    sink.faults = failing()
    await path.restart()

    await path.delivery.settle(batch(2, start=2))
    await path.delivery.redrive()
    await path.delivery.settle(batch(2, start=4))

    assert ids(sink.events) == ["0", "1", "2", "3", "4", "5"]


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
        await path.delivery.redrive()
        await path.delivery.close()

        assert list(dict.fromkeys(ids(sink.events))) == [str(n) for n in range(8)]


@in_virtual_time
async def test_a_batch_delivered_again_does_not_need_blob_for_what_is_known() -> None:
    path = an_event_path(HUB, QUEUE)
    await path.delivery.settle(batch(1))
    path.sinks["hub"].faults = always(Reason.REJECTED)
    path.dead_letters.faults = always(Reason.TIMEOUT)
    with pytest.raises(UnsettledError):
        await path.delivery.settle(batch(1, start=1))
    path.sinks["hub"].faults = failing()

    await path.delivery.settle(batch(1, start=1))

    assert ids(path.sinks["hub"].events) == ["0", "1"]


@in_virtual_time
async def test_what_neither_destination_nor_blob_takes_fails_the_invocation() -> None:
    path = an_event_path(HUB, QUEUE, hub=MemorySink(faults=always(Reason.DISABLED)))
    await path.delivery.settle(batch(1))
    path.dead_letters.faults = always(Reason.FORBIDDEN)

    with pytest.raises(UnsettledError, match="1 of 2 lots: forbidden: it is forbidden"):
        await path.delivery.settle(batch(2, start=1))

    assert ids(path.sinks["queue"].events) == ["0", "1", "2"]


@in_virtual_time
async def test_a_malformed_message_that_blob_does_not_take_fails_the_invocation() -> None:
    path = an_event_path(HUB)
    await path.delivery.settle(batch(1))
    path.dead_letters.faults = always(Reason.TIMEOUT)

    with pytest.raises(UnsettledError, match="timeout"):
        await path.delivery.settle([an_arrival(NO_EVENT, sequence=1), *batch(1, start=2)])

    assert ids(path.sinks["hub"].events) == ["0", "2"]


@in_virtual_time
async def test_blob_is_not_needed_where_destinations_take_everything() -> None:
    path = an_event_path(HUB)
    await path.delivery.settle(batch(1))
    path.dead_letters.faults = always(Reason.UNAVAILABLE)

    await path.delivery.settle(batch(3, start=1))

    assert ids(path.sinks["hub"].events) == ["0", "1", "2", "3"]


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
        assert clock() - started <= PATIENCE.attempt + PATIENCE.budget

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
        assert clock() - started < 60.0
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


@pytest.mark.parametrize("reason", [Reason.FORBIDDEN, Reason.TIMEOUT, Reason.REJECTED])
@in_virtual_time
async def test_a_second_delivery_of_a_batch_adds_no_dead_letter(reason: Reason) -> None:
    sink = MemorySink(faults=always(reason)) if reason is not Reason.REJECTED else POISONED
    path = an_event_path(HUB, hub=sink)
    arrivals = [*batch(4), an_arrival(NO_EVENT, sequence=4)]
    await path.delivery.settle(arrivals)
    before = dict(path.dead_letters.blobs)

    await path.delivery.settle(arrivals)
    await path.restart()
    await path.delivery.settle(arrivals)

    assert before.keys() == path.dead_letters.blobs.keys()
    assert Counter(letter_keys(path)) == Counter(set(letter_keys(path)))


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
    return Situation(
        draw(ARRIVALS),
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


def test_an_event_is_assigned_to_every_route_that_wants_it() -> None:
    arrivals = [*batch(4, twins=2), an_arrival(NO_EVENT, sequence=4)]
    routes = [a_route("all"), a_route("one", wants="subject = 'pump-1'")]

    assigned = assign(routes, arrivals)

    assert assigned.wanted == {"all": arrivals[:4], "one": [arrivals[1], arrivals[3]]}
    assert assigned.malformed == arrivals[4:]
    assert assigned.unrouted == 0


@dataclass
class Counting(MemorySink):
    """Counts how often it was opened."""

    opened: int = 0

    async def open(self) -> None:
        self.opened += 1
        await super().open()


@dataclass
class Hanging(MemorySink):
    """Opens, and never answers a send."""

    async def send(self, stream: str, events: Sequence[Event]) -> None:  # noqa: ARG002
        await asyncio.Event().wait()


@dataclass
class Slow(MemorySink):
    """Takes its time to fail."""

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        await asyncio.sleep(3.0)
        await super().send(stream, events)


@dataclass
class Telling(MemorySink):
    """Says when it has accepted something."""

    has_accepted: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        await super().send(stream, events)
        self.has_accepted.set()


def is_event(*names: str) -> Callable[[Event], bool]:
    return lambda event: event.id in names


POISONED = MemorySink(poison=is_event("1", "2"))


def batch(count: int, *, start: int = 0, twins: int = 1) -> list[Arrival]:
    return [
        an_arrival(an_event(id=str(n), subject=f"pump-{n % twins}"), sequence=n)
        for n in range(start, start + count)
    ]
