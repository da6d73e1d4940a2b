"""Dead letters by an operator's hand, over Blob in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.by_hand import TAKEN, ByHand, Order, Step
from relay.dead_letters import MALFORMED_ROUTE, DeadLetter, Fate, blob_name
from relay.dead_letters.lots import Mark
from relay.dead_letters.selection import Selection, SelectionError
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.ingress import Malformed
from relay.observer import Redriven
from relay.pace import Pace
from relay.redrive import Redrive
from relay.resending import Resender
from relay.sending import Sender
from tests.fakes import (
    NOON,
    MemoryDeadLetters,
    MemorySink,
    a_route,
    always,
    an_arrival,
    an_event,
    failing,
    failing_in_turn,
)
from tests.relay.event_path import ONE_ATTEMPT, ids, is_event
from tests.virtual_time import in_virtual_time

HUB, LOOSE = a_route("hub"), a_route("loose", ordered=False)
LANES = ("twin-events/0", "twin-events/1")
ALL = Selection()


@dataclass
class Desk:
    """An operator's desk: two routes with their sinks, and Blob."""

    hub: MemorySink
    loose: MemorySink
    blobs: MemoryDeadLetters
    facts: list[object]

    def __post_init__(self) -> None:
        sinks = {"hub": self.hub, "loose": self.loose}
        self.resender = Resender(
            Sender(sinks, self.facts.append, ONE_ATTEMPT), self.blobs, lambda: NOON
        )
        self.by_hand = ByHand([HUB, LOOSE], self.resender, self.blobs, self.facts.append)

    async def keep(
        self,
        *numbers: int,
        route: str = "hub",
        lane: str = LANES[0],
        reason: Reason = Reason.FORBIDDEN,
    ) -> None:
        """Keep letters of these numbers in one blob, each enqueued a minute after another."""
        letters = [a_letter(number, lane, reason) for number in numbers]
        name = blob_name(route, [each.arrival for each in letters], letters[0].fate)
        await self.blobs.put(name, letters, route)

    async def redrive(
        self, selection: Selection = ALL, order: Order | None = None
    ) -> list[Step]:
        order = order or Order()
        await self.by_hand.check(selection, order)
        return [step async for step in self.by_hand.redrive(selection, order)]

    def kept(self, fate: Fate | None = None, route: str = "") -> list[int]:
        return [each.arrival.sequence for each in self.blobs.letters(fate, route=route)]


def a_desk(**sinks: MemorySink) -> Desk:
    hub, loose = (sinks.get(name, MemorySink()) for name in ("hub", "loose"))
    return Desk(hub, loose, MemoryDeadLetters(), [])


def a_letter(number: int, lane: str, reason: Reason) -> DeadLetter:
    name = str(number) if lane == LANES[0] else f"{lane}:{number}"
    event = an_event(id=name, subject=f"pump-{number % 3}")
    content = Malformed(b"x", {}, "no event") if reason is Reason.MALFORMED else event
    arrival = an_arrival(content, lane=lane, sequence=number)
    arrival = replace(arrival, enqueued=NOON + timedelta(minutes=number))
    return DeadLetter(arrival, reason, "it was so", 1, NOON)


@in_virtual_time
async def test_everything_that_waits_or_is_held_is_redriven_and_told() -> None:
    desk = a_desk()
    await desk.keep(1, 2)
    await desk.keep(3, reason=Reason.TOO_LARGE)
    await desk.keep(4, route="loose")

    steps = await desk.redrive()

    assert (sorted(ids(desk.hub.events)), ids(desk.loose.events)) == (["1", "2", "3"], ["4"])
    assert desk.blobs.blobs == {}
    assert sum(step.done for step in steps) == 4
    assert [""] == list({step.why for step in steps})
    assert sum(fact.count for fact in desk.facts if isinstance(fact, Redriven)) == 4


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(routes=frozenset({"loose"})), {4}),
        (Selection(fates=frozenset({Fate.HELD})), {3}),
        (Selection(reasons=frozenset({Reason.FORBIDDEN})), {1, 2, 4}),
        (Selection(ids=frozenset({"2", "3"})), {2, 3}),
        (Selection(since=NOON + timedelta(minutes=3)), {3, 4}),
        (Selection(until=NOON + timedelta(minutes=3)), {1, 2}),
        (Selection(since=NOON + timedelta(hours=1)), set[int]()),
        (Selection(routes=frozenset({"hub"}), fates=frozenset({Fate.HELD})), {3}),
    ],
)
@in_virtual_time
async def test_only_what_is_selected_is_redriven(selection: Selection, meant: set[int]) -> None:
    desk = a_desk()
    await desk.keep(1, 2)
    await desk.keep(3, reason=Reason.TOO_LARGE)
    await desk.keep(4, route="loose")
    counted = await desk.by_hand.tally(selection)

    await desk.redrive(selection, Order(out_of_order=True))

    assert {int(each) for each in ids([*desk.hub.events, *desk.loose.events])} == meant
    assert set(desk.kept()) == {1, 2, 3, 4} - meant
    assert counted.count == len(meant)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(ids=frozenset({"2"})),
        Selection(reasons=frozenset({Reason.FORBIDDEN})),
        Selection(since=NOON),
    ],
)
@in_virtual_time
async def test_taking_letters_out_of_the_middle_of_what_waits_must_be_meant(
    selection: Selection,
) -> None:
    desk = a_desk()
    await desk.keep(1, 2, 3)

    with pytest.raises(SelectionError, match="--out-of-order"):
        await desk.redrive(selection)

    assert (desk.kept(), desk.hub.events) == ([1, 2, 3], [])


@in_virtual_time
async def test_what_has_no_order_may_be_taken_from_anywhere() -> None:
    desk = a_desk()
    await desk.keep(1, 2, route="loose")
    await desk.keep(3, 4, reason=Reason.REJECTED)

    await desk.redrive(Selection(routes=frozenset({"loose"}), ids=frozenset({"2"})))
    await desk.redrive(Selection(fates=frozenset({Fate.HELD}), ids=frozenset({"4"})))

    assert (ids(desk.loose.events), ids(desk.hub.events)) == (["2"], ["4"])
    assert sorted(desk.kept()) == [1, 3]


@in_virtual_time
async def test_letters_of_a_route_that_was_renamed_go_by_another() -> None:
    desk = a_desk()
    await desk.keep(1, 2, route="old")
    old = Selection(routes=frozenset({"old"}))

    with pytest.raises(SelectionError, match=r"no route is called old .*--to ROUTE"):
        await desk.redrive(old)
    (step,) = await desk.redrive()
    assert "--to ROUTE" in step.why
    await desk.redrive(old, Order(to=HUB))

    assert (ids(desk.hub.events), desk.blobs.blobs) == (["1", "2"], {})


@in_virtual_time
async def test_what_another_route_does_not_take_stays_where_it_was() -> None:
    desk = a_desk(hub=MemorySink(largest_batch=1, faults=failing(None, None, Reason.DISABLED)))
    await desk.keep(1, 2, route="old")

    await desk.redrive(Selection(routes=frozenset({"old"})), Order(to=HUB))

    assert (ids(desk.hub.events), desk.kept(route="old")) == (["1"], [2])


@in_virtual_time
async def test_a_name_that_nobody_knows_is_no_selection() -> None:
    with pytest.raises(
        SelectionError, match="neither a route nor a letter of a route called x"
    ):
        await a_desk().redrive(Selection(routes=frozenset({"x"})))


@in_virtual_time
async def test_malformed_messages_are_seen_and_purged_but_not_redriven() -> None:
    desk = a_desk()
    await desk.keep(1, route=MALFORMED_ROUTE, reason=Reason.MALFORMED)
    malformed = Selection(routes=frozenset({MALFORMED_ROUTE}))

    with pytest.raises(SelectionError, match="no events"):
        await desk.redrive(malformed)
    assert await desk.redrive() == []
    assert (await desk.by_hand.rehearse(ALL, Order())).count == 0
    (found,) = [each async for each in desk.by_hand.letters(malformed)]
    assert isinstance(found.letter.arrival.content, Malformed)
    chosen = Selection(ids=frozenset({"1/0"}))
    assert [1] == [step.done async for step in desk.by_hand.purge(chosen, asyncio.Event())]

    assert desk.blobs.blobs == {}


@in_virtual_time
async def test_a_held_letter_that_is_refused_again_stays_held_with_the_new_reason() -> None:
    desk = a_desk(hub=MemorySink(poison=is_event("2")))
    await desk.keep(1, 2, 3, reason=Reason.TOO_LARGE)

    (step,) = await desk.redrive()

    (left,) = desk.blobs.letters()
    assert (step.done, step.held, step.why) == (2, 1, "")
    assert (left.arrival.sequence, left.reason, left.fate) == (2, Reason.REJECTED, Fate.HELD)


@in_virtual_time
async def test_a_held_letter_is_left_as_it_is_by_a_destination_in_trouble() -> None:
    desk = a_desk(hub=MemorySink(faults=always(Reason.FORBIDDEN)))
    await desk.keep(1, 2, reason=Reason.TOO_LARGE)
    before = dict(desk.blobs.blobs)

    (step,) = await desk.redrive()

    assert "hub does not take them: forbidden" in step.why
    assert desk.blobs.blobs == before


@in_virtual_time
async def test_a_destination_in_trouble_is_tried_once_and_harms_no_other() -> None:
    desk = a_desk(hub=MemorySink(faults=always(Reason.FORBIDDEN)))
    for lane in LANES:
        await desk.keep(1, lane=lane)
        await desk.keep(2, lane=lane, reason=Reason.TOO_LARGE)
    await desk.keep(3, route="loose")

    steps = await desk.redrive()

    assert [("hub", 0), ("loose", 1)] == [(step.shelf.route, step.done) for step in steps]
    assert ids(desk.loose.events) == ["3"]


@in_virtual_time
async def test_a_rate_lets_so_many_go_in_every_second() -> None:
    desk = a_desk()
    await desk.keep(*range(25))
    await desk.keep(25)
    clock, times = asyncio.get_running_loop().time, list[float]()
    desk.hub.lost = lambda: times.append(clock())

    await desk.redrive(order=Order(pace=Pace(10)))

    assert ids(desk.hub.events) == [str(number) for number in range(26)]
    assert times == pytest.approx([0.0, 1.0, 2.0, 2.5], abs=0.01)


@in_virtual_time
async def test_a_rate_below_one_waits_longer_than_a_second() -> None:
    desk = a_desk()
    await desk.keep(1, 2, 3)
    clock = asyncio.get_running_loop().time

    await desk.redrive(order=Order(pace=Pace(0.25)))

    assert clock() == pytest.approx(8.0, abs=0.01)


@in_virtual_time
async def test_poison_met_at_a_rate_is_tried_once() -> None:
    desk = a_desk(hub=MemorySink(poison=lambda _: True))
    await desk.keep(*range(5), reason=Reason.TOO_LARGE)

    steps = await desk.redrive(order=Order(pace=Pace(2)))

    assert [step.held for step in steps] == [2, 2, 1]
    assert desk.kept(Fate.HELD) == list(range(5))


@in_virtual_time
async def test_it_stops_when_told_and_takes_up_what_is_left() -> None:
    desk = a_desk()
    for number in range(20):
        await desk.keep(number)
    order = Order(pace=Pace(1))

    async for _ in desk.by_hand.redrive(ALL, order):
        if len(desk.hub.events) >= 3:
            order.stop.set()

    assert (ids(desk.hub.events), desk.kept()) == (["0", "1", "2"], list(range(3, 20)))
    await desk.redrive()
    assert ids(desk.hub.events) == [str(number) for number in range(20)]


@in_virtual_time
async def test_what_somebody_else_redrives_is_left_to_him_and_said() -> None:
    desk = a_desk(hub=MemorySink(latency=lambda: 1.0))
    await desk.keep(1, 2)

    one = asyncio.create_task(desk.redrive())
    await asyncio.sleep(0.5)
    (step,) = await desk.redrive()
    await one

    assert (step.done, step.why) == (0, TAKEN)
    assert ids(desk.hub.events) == ["1", "2"]


@in_virtual_time
async def test_a_blob_that_is_no_letter_of_ours_is_named_and_left() -> None:
    desk = a_desk()
    await desk.keep(2)
    name = blob_name("hub", [an_arrival(sequence=1)], Fate.WAITING)
    desk.blobs.put_raw(name, "[half of a ba")

    steps = await desk.redrive()
    purged = [step async for step in desk.by_hand.purge(ALL, asyncio.Event())]

    assert [(name,)] == [step.unreadable for step in steps if step.unreadable]
    assert [(name,)] == [step.unreadable for step in purged if step.unreadable]
    assert (ids(desk.hub.events), list(desk.blobs.blobs)) == (["2"], [name])


@in_virtual_time
async def test_letters_are_gone_through_page_by_page() -> None:
    desk = a_desk()
    for lane in LANES:
        for start in range(0, 12, 3):
            await desk.keep(start, start + 1, start + 2, lane=lane)
    await desk.keep(1, route="loose")
    await desk.keep(2, reason=Reason.TOO_LARGE)

    whole = [found.mark async for found in desk.by_hand.letters(ALL)]
    paged, mark = list[Mark](), Mark()
    while True:
        page = [found.mark async for found in desk.by_hand.letters(ALL, mark)][:5]
        if not page:
            break
        paged, mark = paged + page, Mark.read(str(page[-1]))

    assert paged == whole == sorted(whole)
    assert len(whole) == 26


@in_virtual_time
async def test_purging_removes_what_is_selected_and_nothing_else() -> None:
    desk = a_desk()
    await desk.keep(1, 2, 3)
    await desk.keep(4)
    await desk.keep(5, route="loose")

    chosen = Selection(ids=frozenset({"2", "4"}))
    steps = [step async for step in desk.by_hand.purge(chosen, asyncio.Event())]

    assert sum(step.done for step in steps) == 2
    assert (desk.kept(route="hub"), desk.kept(route="loose")) == ([1, 3], [5])
    assert desk.hub.events == []


PARCELS = st.lists(
    st.tuples(st.sampled_from(LANES), st.integers(1, 6), st.sampled_from([False, False, True])),
    min_size=1,
    max_size=14,
)
TROUBLES = st.lists(
    st.sampled_from([None] * 6 + [Reason.UNAVAILABLE, Reason.FORBIDDEN, Reason.TIMEOUT]),
    max_size=30,
)
LOST = st.lists(st.sampled_from([None] * 5 + [Reason.UNAVAILABLE]), max_size=20)


@settings(max_examples=250)
@given(
    parcels=PARCELS,
    sink=TROUBLES,
    blob=TROUBLES,
    lost=LOST,
    poison=st.sets(st.integers(0, 40), max_size=3),
    rate=st.sampled_from([None, 1.0, 4.0]),
    steps=st.integers(0, 12),
    operators=st.integers(1, 2),
    cancelled=st.floats(0.0, 8.0),
)
@in_virtual_time
async def test_whatever_happens_every_letter_is_delivered_or_still_there_and_in_order(
    parcels: Sequence[tuple[str, int, bool]],
    sink: Sequence[Reason | None],
    blob: Sequence[Reason | None],
    lost: Sequence[Reason | None],
    poison: set[int],
    rate: float | None,
    steps: int,
    operators: int,
    cancelled: float,
) -> None:
    desk = a_desk(hub=MemorySink(streams=2, largest_batch=4))
    desk.hub.poison = is_event(*map(str, poison))
    total = await fill(desk, parcels)
    waiting = [an_id(x) for x in desk.blobs.letters(Fate.WAITING)]
    desk.hub.faults, desk.hub.lost = failing_in_turn(sink), failing_in_turn(lost)
    desk.hub.latency = desk.blobs.memory.latency = lambda: 0.3
    desk.blobs.faults, desk.blobs.lost = failing_in_turn(blob), failing_in_turn(lost)

    async def operate(seconds: float) -> None:
        with suppress(DeliveryError, TimeoutError):
            async with asyncio.timeout(seconds):  # as when the process is killed
                left = steps
                async for _ in desk.by_hand.redrive(ALL, Order(pace=Pace(rate))):
                    left -= 1
                    if left < 0:
                        return

    timer = Redrive(desk.resender, desk.blobs, desk.facts.append)
    work = [operate(cancelled + n) for n in range(operators)]
    await asyncio.gather(*work, timer_lane(timer))

    assert total == {*ids(desk.hub.events), *map(an_id, desk.blobs.letters())}
    desk.hub.faults = desk.blobs.faults = desk.hub.lost = desk.blobs.lost = lambda: None
    for _ in range(3):
        await asyncio.sleep(61)  # claims of those who are gone
        await desk.redrive()
    assert {an_id(x) for x in desk.blobs.letters()} == total & set(map(str, poison))
    firsts = list(dict.fromkeys(ids(desk.hub.events)))
    for lane in LANES:
        for twin in range(3):
            mine = [x for x in waiting if of(x) == (lane, twin)]
            came = [x for x in firsts if of(x) == (lane, twin) and x in waiting]
            assert came == [x for x in mine if x not in set(map(str, poison))]


async def timer_lane(timer: Redrive) -> None:
    """Redrive as the app's timer does, beside the operators."""
    with suppress(DeliveryError):
        await timer.lane(HUB, LANES[1], 45.0)


async def fill(desk: Desk, parcels: Sequence[tuple[str, int, bool]]) -> set[str]:
    number = dict.fromkeys(LANES, 0)
    for lane, count, is_held in parcels:
        reason = Reason.TOO_LARGE if is_held else Reason.FORBIDDEN
        await desk.keep(*range(number[lane], number[lane] + count), lane=lane, reason=reason)
        number[lane] += count
    return {an_id(letter) for letter in desk.blobs.letters()}


def an_id(letter: DeadLetter) -> str:
    content = letter.arrival.content
    assert isinstance(content, Event)
    return content.id


def of(name: str) -> tuple[str, int]:
    """Return the lane and the twin of an event by its id."""
    lane, _, number = name.rpartition(":")
    return lane or LANES[0], int(number) % 3
