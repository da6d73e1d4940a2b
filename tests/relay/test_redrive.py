from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.dead_letters import Fate, blob_name
from relay.dead_letters.portions import LIMITS
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.ingress import Arrival
from relay.observer import Fact, Redriven
from relay.redrive import Progress, Redrive
from relay.resending import Resender
from relay.sending import Failure, Sender
from tests.fakes import (
    NOON,
    MemoryDeadLetters,
    MemorySink,
    a_route,
    always,
    an_arrival,
    an_event,
    failing,
)
from tests.relay import weather
from tests.relay.event_path import ONE_ATTEMPT, an_event_path, ids
from tests.relay.weather import HANGS, LANES, ROUTES, Days, Step, arrived, first_occurrences
from tests.virtual_time import in_virtual_time

ROUTE = a_route("hub")
REJECTED = DeliveryError(Reason.REJECTED, "it is no good")
DESTINATION_AT_FAULT = [reason for reason in Reason if not reason.traits.isolates_event]

STEPS = st.one_of(
    st.builds(
        weather.Arrive,
        st.sampled_from(LANES),
        st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from([False] * 9 + [True])),
            min_size=1,
            max_size=8,
        ),
    ),
    st.builds(
        weather.Destination,
        st.sampled_from([route.name for route in ROUTES]),
        st.sampled_from([None, None, None, HANGS, *DESTINATION_AT_FAULT]),
    ),
    st.builds(weather.Blob, st.sampled_from([None, None, Reason.UNAVAILABLE])),
    st.builds(weather.Redrive),
    st.builds(weather.Restart, st.integers(0, 5)),
    st.builds(weather.Move, st.sampled_from(LANES)),
    st.builds(weather.Wait, st.sampled_from([0.005, 0.1, 0.5, 2.0, 15.0, 90.0])),
)


@settings(max_examples=150)
@given(
    steps=st.lists(STEPS, min_size=10, max_size=60),
    seed=st.integers(0, 2**32),
    lossy=st.sampled_from([0, 0, 2, 20]),
)
@in_virtual_time
async def test_every_destination_gets_all_in_order_once_all_is_healed_and_redriven(
    steps: list[Step], seed: int, lossy: int
) -> None:
    days = Days(seed, lossy)

    await days.play(steps)

    good = [event for event in arrived(days) if not event.id.endswith("!")]
    poison = {event.id for event in arrived(days)} - set(ids(good))
    assert days.path.dead_letters.letters(Fate.WAITING) == []
    for route in ROUTES:
        held = days.path.dead_letters.letters(Fate.HELD, route=route.name)
        assert {x.arrival.content.id for x in held} == poison
        accepted = days.path.sinks[route.name].events
        assert first_occurrences(accepted) == first_occurrences(good)


@in_virtual_time
async def test_what_is_accepted_is_removed_and_told() -> None:
    blobs, sink, facts = await with_waiting(range(3), range(3, 5)), MemorySink(), list[Fact]()

    progress = await redrive(blobs, sink, facts)

    assert (progress.moved, progress.is_whole, progress.stopped) == (5, True, None)
    assert ids(sink.events) == ["0", "1", "2", "3", "4"]
    assert blobs.blobs == {}
    assert [3, 2] == [fact.count for fact in facts if isinstance(fact, Redriven)]


@pytest.mark.parametrize("reason", DESTINATION_AT_FAULT)
@in_virtual_time
async def test_a_redrive_stops_where_the_destination_does(reason: Reason) -> None:
    blobs = await with_waiting(range(2), range(2, 4), range(4, 6))
    sink = MemorySink(faults=failing(None, None, None, reason))

    progress = await redrive(blobs, sink)

    assert progress.moved == 2
    assert progress.stopped is not None
    assert progress.stopped.reason is reason
    assert ids(sink.events) == ["0", "1"]
    assert [2, 3, 4, 5] == [letter.arrival.sequence for letter in blobs.letters()]
    assert reason == blobs.letters()[0].reason


@in_virtual_time
async def test_a_redrive_goes_no_further_when_its_time_is_over() -> None:
    blobs = await with_waiting(*([number] for number in range(5)))
    sink = MemorySink(latency=lambda: 1.0)

    progress = await redrive(blobs, sink, seconds=3.0)

    assert (progress.moved, progress.is_whole, progress.stopped) == (3, False, None)
    assert ids(sink.events) == ["0", "1", "2"]
    assert [3, 4] == [letter.arrival.sequence for letter in blobs.letters()]


@in_virtual_time
async def test_of_a_parcel_only_what_is_not_accepted_goes_on_waiting() -> None:
    blobs = await with_waiting(range(4))
    sink = MemorySink(largest_batch=1, faults=failing(None, None, None, Reason.FORBIDDEN))

    progress = await redrive(blobs, sink)

    assert progress.stopped is not None
    assert ids(sink.events) == ["0", "1"]
    assert [2, 3] == [letter.arrival.sequence for letter in blobs.letters(Fate.WAITING)]


@in_virtual_time
async def test_a_poison_event_that_waits_is_held_and_those_behind_it_go_on() -> None:
    blobs = await with_waiting(range(3), range(3, 5))
    sink = MemorySink(poison=lambda event: event.id == "1")

    progress = await redrive(blobs, sink)

    (held,) = blobs.letters()
    assert (held.arrival.sequence, held.reason, held.fate) == (1, Reason.REJECTED, Fate.HELD)
    assert progress.stopped is None
    assert ids(sink.events) == ["0", "2", "3", "4"]


@in_virtual_time
async def test_small_parcels_are_sent_together_and_removed_side_by_side() -> None:
    blobs = await with_waiting(*([number] for number in range(200)))
    sink, sends = MemorySink(largest_batch=1000), list[int]()
    sink.lost = lambda: sends.append(len(sink.events))
    blobs.latency = lambda: 1.0
    clock = asyncio.get_running_loop().time

    progress = await redrive(blobs, sink, seconds=1000)

    assert (progress.moved, blobs.blobs) == (200, {})
    assert ids(sink.events) == [str(number) for number in range(200)]
    assert sends == [1, 3, 7, 15, 31, 63, 127, 191, 200]
    assert clock() < 40  # of 200 x 3 calls one after the other


@in_virtual_time
async def test_a_failure_in_the_middle_leaves_exactly_what_was_not_accepted() -> None:
    blobs = await with_waiting(*([n, n + 1] for n in range(0, 20, 2)))
    sink = MemorySink(largest_batch=3, faults=failing(*[None] * 7, Reason.UNAVAILABLE))

    progress = await redrive(blobs, sink)

    accepted = [int(name) for name in ids(sink.events)]
    left = [letter.arrival.sequence for letter in blobs.letters(Fate.WAITING)]
    assert progress.stopped is not None
    assert 6 < len(accepted) < 14
    assert accepted + left == list(range(20))


@pytest.mark.parametrize("keeps", [0, 1])
@in_virtual_time
async def test_a_parcel_whose_claim_runs_out_meanwhile_is_left_to_whoever_has_it(
    keeps: int,
) -> None:
    blobs = await with_waiting(range(4))
    (name,) = blobs.blobs
    sink = MemorySink(largest_batch=1, faults=failing(*[None] * (1 + keeps), Reason.DISABLED))
    sink = sink if keeps else MemorySink()
    others = json.dumps("what somebody else wrote there")

    def taken_over() -> None:
        blobs.break_claim(name)
        blobs.put_raw(name, others)

    sink.lost = taken_over

    progress = await redrive(blobs, sink)

    assert (progress.is_whole, blobs.blobs) == (False, {name: others})


@in_virtual_time
async def test_a_probe_that_fails_again_for_the_same_reason_rewrites_nothing() -> None:
    blobs = await with_waiting(*([number] for number in range(100)))
    sink = MemorySink(faults=always(Reason.UNAVAILABLE))
    blobs.memory.calls.clear()

    await redrive(blobs, sink)

    assert blobs.memory.calls == {"list": 2, "read": 1, "claim": 1}


@in_virtual_time
async def test_what_is_kept_twice_in_blobs_cut_differently_is_sent_once() -> None:
    blobs = await with_waiting([1], range(2, 5), range(2, 7), range(4, 9))
    sink = MemorySink()

    await redrive(blobs, sink)

    assert list(dict.fromkeys(ids(sink.events))) == [str(n) for n in range(1, 9)]
    assert len(sink.events) < 1 + 3 + 5 + 5


@in_virtual_time
async def test_held_letters_cost_a_redrive_nothing() -> None:
    blobs = await with_waiting(range(2))
    for number in range(500):
        arrivals = [an_arrival(sequence=number)]
        letters = [Failure(a, REJECTED, 1).dead_letter(NOON) for a in arrivals]
        await blobs.put(blob_name("hub", arrivals, Fate.HELD), letters, "hub")
    blobs.memory.calls.clear()

    await redrive(blobs, MemorySink())

    assert blobs.memory.calls == {"list": 2, "read": 1, "claim": 1, "remove": 1}


@in_virtual_time
async def test_memory_stays_flat_however_much_waits() -> None:
    """A portion is all that is in memory: the most that was read at once says how much."""
    most = []
    for count in (100, 4_000):
        blobs = await with_waiting(*([number] for number in range(count)))
        progress = await redrive(blobs, MemorySink(), seconds=1e9)
        assert (progress.moved, blobs.blobs) == (count, {})
        most.append(blobs.memory.most_read)
    blobs = await with_waiting(*(range(n, n + 40) for n in range(0, 40_000, 40)))
    size = len(next(iter(blobs.blobs.values())))
    await redrive(blobs, MemorySink(), seconds=1e9)

    assert most[1] < most[0] * 2.2
    assert blobs.memory.most_read <= LIMITS.size
    assert blobs.memory.most_read < 1000 * size / 10


@in_virtual_time
async def test_held_letters_are_never_redriven() -> None:
    sink = MemorySink(poison=lambda _: True)
    path = an_event_path(ROUTE, hub=sink)
    await path.delivery.settle([an_arrival(sequence=n) for n in range(3)])
    sink.poison = lambda _: False

    await path.delivery.redrive()
    await path.restart()
    await path.delivery.redrive()
    await path.delivery.settle([an_arrival(sequence=3)])

    assert ids(sink.events) == ["3"]
    assert [0, 1, 2] == [x.arrival.sequence for x in path.dead_letters.letters(Fate.HELD)]


@in_virtual_time
async def test_letters_cannot_be_written_over_while_they_are_redriven() -> None:
    blobs = await with_waiting(range(2))
    more = [letter.arrival for letter in blobs.letters()]
    sink = MemorySink(latency=lambda: 1.0)

    redriving = asyncio.create_task(redrive(blobs, sink))
    await asyncio.sleep(0.5)
    with pytest.raises(DeliveryError):  # so the host brings them again: nothing is lost
        await put(blobs, more)
    await redriving

    assert [] == blobs.letters(Fate.WAITING)


@in_virtual_time
async def test_two_redrives_never_work_on_the_same_parcel() -> None:
    blobs = await with_waiting(range(2))
    sink = MemorySink(latency=lambda: 1.0)

    one = asyncio.create_task(redrive(blobs, sink))
    other = asyncio.create_task(redrive(blobs, sink))
    ends = [await one, await other]

    assert ids(sink.events) == ["0", "1"]
    assert [True, False] == [progress.is_whole for progress in ends]


@in_virtual_time
async def test_lanes_are_redriven_each_in_order() -> None:
    blobs = MemoryDeadLetters()
    for number in range(4):
        for lane in ("hub/0", "hub/1"):
            await put(
                blobs, [an_arrival(an_event(id=f"{lane}:{number}"), lane=lane, sequence=number)]
            )
    sink = MemorySink()

    await redrive(blobs, sink)

    lanes = [[name for name in ids(sink.events) if name.startswith(x)] for x in LANES]
    assert lanes == [[f"{lane}:{number}" for number in range(4)] for lane in LANES]


@pytest.mark.parametrize("asked", [1, 2, 3])
@in_virtual_time
async def test_blob_that_does_not_answer_ends_a_redrive_and_loses_nothing(asked: int) -> None:
    blobs = await with_waiting(range(2))
    blobs.faults = failing(*[None] * (asked - 1), Reason.TIMEOUT)
    sink = MemorySink()

    with pytest.raises(DeliveryError, match="timeout"):
        await redrive(blobs, sink)

    await redrive(blobs, sink)
    assert set(ids(sink.events)) == {"0", "1"}
    assert blobs.blobs == {}


@in_virtual_time
async def test_whether_anything_waits_is_asked_of_one_lane() -> None:
    blobs = await with_waiting(range(2))
    asking = a_redrive(blobs, MemorySink())

    assert await asking.anything_waits(ROUTE, "twin-events/0")
    assert not await asking.anything_waits(ROUTE, "twin-events/1")
    assert not await asking.anything_waits(a_route("queue"), "twin-events/0")


@in_virtual_time
async def test_a_redrive_has_no_patience() -> None:
    blobs = await with_waiting(range(2))
    sink = MemorySink(faults=always(Reason.THROTTLED))
    clock = asyncio.get_running_loop().time

    await redrive(blobs, sink)

    assert clock() == pytest.approx(0.0)


async def with_waiting(*parcels: Sequence[int]) -> MemoryDeadLetters:
    """Return dead letters in which these sequences wait, each parcel in a blob of its own."""
    blobs = MemoryDeadLetters()
    for sequences in parcels:
        await put(blobs, [an_arrival(sequence=number) for number in sequences])
    return blobs


async def put(blobs: MemoryDeadLetters, arrivals: Sequence[Arrival]) -> None:
    error = DeliveryError(Reason.UNAVAILABLE, "gone")
    letters = [Failure(arrival, error, 1).dead_letter(NOON) for arrival in arrivals]
    await blobs.put(blob_name("hub", arrivals, Fate.WAITING), letters, "hub")


def a_redrive(
    blobs: MemoryDeadLetters, sink: MemorySink, facts: list[Fact] | None = None
) -> Redrive:
    observe = ([] if facts is None else facts).append
    resender = Resender(Sender({"hub": sink}, observe, ONE_ATTEMPT), blobs, lambda: NOON)
    return Redrive(resender, blobs, observe)


async def redrive(
    blobs: MemoryDeadLetters,
    sink: MemorySink,
    facts: list[Fact] | None = None,
    *,
    seconds: float = 45.0,
) -> Progress:
    """Redrive all lanes one after the other, until something stops it."""
    redriving = a_redrive(blobs, sink, facts)
    moved = 0
    for lane in await redriving.lanes(ROUTE):
        progress = await redriving.lane(ROUTE, lane, seconds)
        moved += progress.moved
        if not progress.is_whole:
            return Progress(moved, is_whole=False, stopped=progress.stopped)
    return Progress(moved, is_whole=True)


@in_virtual_time
async def test_what_is_held_of_one_message_by_two_redrives_is_all_kept() -> None:
    blobs = MemoryDeadLetters()
    both = [
        replace(an_arrival(an_event(id=f"e{part}"), sequence=7), part=part) for part in (0, 1)
    ]
    await put(blobs, both)

    await redrive(
        blobs, MemorySink(poison=lambda event: event.id == "e0", faults=down_after(2))
    )
    await redrive(blobs, MemorySink(poison=lambda _: True))

    held = [letter.arrival.content for letter in blobs.letters(Fate.HELD)]
    assert {"e0", "e1"} == {content.id for content in held if isinstance(content, Event)}


def down_after(sends: int) -> Callable[[], DeliveryError | None]:
    """Fail for ever after the sink was opened and asked to send so often."""
    return failing(*[None] * (1 + sends), *[Reason.UNAVAILABLE] * 9)
