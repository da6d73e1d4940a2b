from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from relay.dead_letters import MALFORMED_ROUTE, Fate, blob_name
from relay.delivery import LONGEST, UnsettledError, assign
from relay.failures import Reason
from relay.ingress import Malformed
from relay.matching import Matcher
from relay.observer import DeadLettered, MalformedKept, Unreadable, Unrouted
from tests.fakes import (
    MemorySink,
    a_route,
    always,
    an_arrival,
    an_event,
    failing,
)
from tests.relay.event_path import EventPath, an_event_path, batch, ids, is_event
from tests.virtual_time import in_virtual_time

DESTINATION_AT_FAULT = [reason for reason in Reason if not reason.traits.isolates_event]
NO_EVENT = Malformed(b"\x00\xff", {"a": "b"}, "it is no event")
HUB, QUEUE = a_route("hub"), a_route("queue")
SHARED = HUB.destination


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


@in_virtual_time
async def test_while_a_destination_lets_nobody_in_blob_is_spared_too() -> None:
    path = an_event_path(HUB, hub=MemorySink(faults=always(Reason.FORBIDDEN)))
    await path.delivery.settle(batch(1))
    asked: list[None] = []
    path.dead_letters.faults = lambda: asked.append(None)

    await path.delivery.redrive()
    await path.delivery.redrive()

    assert asked == []


@in_virtual_time
async def test_routes_to_one_destination_learn_of_its_outage_from_one_another() -> None:
    sink = Counting(faults=always(Reason.FORBIDDEN))
    pumps, valves = (
        replace(a_route(name, wants=f"STARTS_WITH(subject, '{name[:-1]}')"), destination=SHARED)
        for name in ("pumps", "valves")
    )
    path = an_event_path(pumps, valves, pumps=sink, valves=sink)
    await path.delivery.settle(batch(1))
    tried = sink.opened

    await path.delivery.settle([an_arrival(an_event(id="v", subject="valve-1"), sequence=1)])

    assert sink.opened == tried
    (letter,) = path.dead_letters.letters(Fate.WAITING, route="valves")
    assert (letter.reason, letter.attempts) == (Reason.FORBIDDEN, 0)

    sink.faults = failing()
    await path.delivery.redrive()
    assert sorted(ids(sink.events)) == ["0", "v"]
    assert path.dead_letters.blobs == {}


@in_virtual_time
async def test_a_batch_that_nobody_takes_in_time_fails_before_the_host_gives_up() -> None:
    path = an_event_path(HUB)
    path.dead_letters.latency = lambda: 1000.0
    clock = asyncio.get_running_loop().time

    with pytest.raises(UnsettledError, match="not settled within 120 seconds"):
        await path.delivery.settle(batch(1))

    assert clock() == LONGEST


@in_virtual_time
async def test_a_destination_that_is_slow_without_end_leaves_time_for_blob() -> None:
    slow = MemorySink(largest_batch=1, latency=lambda: 9.0)
    path = an_event_path(HUB, hub=slow)
    path.dead_letters.latency = lambda: 10.0

    await path.delivery.settle(batch(100, twins=100))

    letters = path.dead_letters.letters(Fate.WAITING)
    assert {letter.reason for letter in letters} == {Reason.TIMEOUT}
    settled = [*map(int, ids(slow.events)), *(x.arrival.sequence for x in letters)]
    assert sorted(set(settled)) == list(range(100))


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


@pytest.mark.parametrize("reason", [Reason.FORBIDDEN, Reason.TIMEOUT, Reason.REJECTED])
@in_virtual_time
async def test_a_second_delivery_of_a_batch_adds_no_dead_letter(reason: Reason) -> None:
    poisoned = MemorySink(poison=is_event("1", "2"))
    gone = MemorySink(faults=always(reason))
    path = an_event_path(HUB, hub=poisoned if reason is Reason.REJECTED else gone)
    arrivals = [*batch(4), an_arrival(NO_EVENT, sequence=4)]
    await path.delivery.settle(arrivals)
    before = dict(path.dead_letters.blobs)

    await path.delivery.settle(arrivals)
    await path.restart()
    await path.delivery.settle(arrivals)

    assert before.keys() == path.dead_letters.blobs.keys()
    assert Counter(letter_keys(path)) == Counter(set(letter_keys(path)))


def letter_keys(path: EventPath) -> list[tuple[str, str, int]]:
    return [
        (route, letter.arrival.lane, letter.arrival.sequence)
        for route in [*path.sinks, MALFORMED_ROUTE]
        for letter in path.dead_letters.letters(route=route)
    ]


def test_an_event_is_assigned_to_every_route_that_wants_it() -> None:
    arrivals = [*batch(4, twins=2), an_arrival(NO_EVENT, sequence=4)]
    routes = [a_route("all"), a_route("one", wants="subject = 'pump-1'")]

    assigned = assign(Matcher(routes), arrivals)

    assert assigned.wanted == {"all": arrivals[:4], "one": [arrivals[1], arrivals[3]]}
    assert assigned.malformed == arrivals[4:]
    assert assigned.unrouted == 0


@dataclass
class Counting(MemorySink):
    """Counts how often it was opened."""

    opened: int = 0

    async def open(self, count: float = math.inf) -> None:
        self.opened += 1
        await super().open(count)


@in_virtual_time
async def test_a_damaged_blob_among_the_dead_letters_stops_neither_lane_nor_redrive() -> None:
    path = an_event_path(HUB)
    damaged = blob_name(HUB.name, batch(1), Fate.WAITING)
    path.dead_letters.put_raw(damaged, "[half of a ba")

    await path.delivery.settle(batch(3, start=1))
    await path.delivery.redrive()

    assert ids(path.sinks["hub"].events) == ["1", "2", "3"]
    assert damaged in path.dead_letters.blobs
    assert Unreadable(HUB, damaged) in path.facts
