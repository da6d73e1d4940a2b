from __future__ import annotations

import asyncio

import pytest

from relay.dead_letters import DeadLetter, Fate, Parcel, Shelf, blob_name
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.routing import key
from tests.fakes import (
    CLAIM_SECONDS,
    NOON,
    MemoryDeadLetters,
    MemorySink,
    always,
    an_arrival,
    an_event,
    failing,
)
from tests.relay.event_path import ids
from tests.virtual_time import in_virtual_time

NAME = blob_name("r", [an_arrival(lane="l", sequence=1)], Fate.WAITING)


async def test_a_sink_accepts_a_stream_in_the_order_of_its_sending() -> None:
    sink = MemorySink()

    await sink.send("0", [an_event(id="1"), an_event(id="2")])
    await sink.send("0", [an_event(id="3")])

    assert ids(sink.events) == ["1", "2", "3"]


def test_a_sink_puts_one_key_on_one_stream() -> None:
    sink = MemorySink(streams=3)
    events = [an_event(subject=f"pump-{n % 5}", id=str(n)) for n in range(50)]

    pairs = {(key(event), sink.stream(event)) for event in events}

    assert len(pairs) == 5
    assert {"0", "1", "2"} == {stream for _, stream in pairs}


async def test_a_sink_says_how_many_it_took_before_it_failed() -> None:
    sink = MemorySink(largest_batch=2, faults=failing(None, Reason.THROTTLED))

    with pytest.raises(DeliveryError) as caught:
        await sink.send("0", [an_event(id=str(n)) for n in range(5)])

    assert (caught.value.reason, caught.value.accepted) == (Reason.THROTTLED, 2)
    assert ids(sink.events) == ["0", "1"]


async def test_a_batch_with_a_poison_event_is_refused_whole_and_all_of_it_is_suspect() -> None:
    sink = MemorySink(largest_batch=3, poison=lambda event: event.id == "4")

    with pytest.raises(DeliveryError) as caught:
        await sink.send("0", [an_event(id=str(n)) for n in range(6)])

    assert (
        caught.value.reason,
        caught.value.accepted,
        caught.value.suspects,
    ) == (Reason.REJECTED, 3, 3)
    assert ids(sink.events) == ["0", "1", "2"]


async def test_a_sink_that_loses_an_acknowledgement_has_taken_the_batch() -> None:
    sink = MemorySink(lost=failing(Reason.UNAVAILABLE))

    with pytest.raises(DeliveryError) as caught:
        await sink.send("0", [an_event(id="1")])

    assert caught.value.accepted == 0
    assert ids(sink.events) == ["1"]


async def test_opening_fails_as_sending_does_and_may_be_tried_again() -> None:
    sink = MemorySink(faults=failing(Reason.NOT_FOUND))

    with pytest.raises(DeliveryError, match="not_found"):
        await sink.open()
    await sink.open()
    await sink.close()
    await sink.open()


async def test_a_blob_of_the_same_name_is_overwritten() -> None:
    blobs = MemoryDeadLetters()

    await blobs.put(NAME, [a_letter(1), a_letter(2)], "r")
    await blobs.put(NAME, [a_letter(2)], "r")

    assert [letter.arrival.sequence for letter in blobs.letters()] == [2]


async def test_what_waits_comes_by_route_and_lane_in_order_of_arrival() -> None:
    blobs = MemoryDeadLetters()
    for route, lane, sequence, fate in [
        ("a", "hub/0", 9, Fate.WAITING),
        ("a", "hub/0", 10, Fate.WAITING),
        ("a", "hub/0", 2, Fate.WAITING),
        ("a", "hub/0", 3, Fate.HELD),
        ("a", "hub/1", 1, Fate.WAITING),
        ("ab", "hub/0", 4, Fate.WAITING),
    ]:
        letters = [a_letter(sequence, lane)]
        await blobs.put(blob_name(route, [x.arrival for x in letters], fate), letters, route)

    assert sequences(await parcels(blobs, "a", "hub/0")) == [2, 9, 10]
    assert await blobs.lanes(Shelf("a")) == ["hub/0", "hub/1"]


async def test_a_parcel_removed_and_written_anew_is_another_one() -> None:
    blobs = MemoryDeadLetters()
    await blobs.put(NAME, [a_letter(1)], "r")
    (stale,) = await parcels(blobs, "r", "l")
    async with blobs.claimed([stale]):
        await blobs.remove(stale)
    await blobs.put(NAME, [a_letter(1)], "r")

    async with blobs.claimed([stale]) as ours:
        assert not ours


@in_virtual_time
async def test_a_claim_whose_owner_died_ends_by_itself() -> None:
    blobs = MemoryDeadLetters()
    await blobs.put(NAME, [a_letter(1)], "r")
    (parcel,) = await parcels(blobs, "r", "l")
    owner = blobs.claimed([parcel])
    assert await owner.__aenter__()

    async with blobs.claimed([parcel]) as ours:
        assert not ours
    await asyncio.sleep(CLAIM_SECONDS)
    async with blobs.claimed([parcel]) as ours:
        assert ours


async def test_a_parcel_removed_after_the_listing_is_passed_over() -> None:
    blobs = MemoryDeadLetters()
    await blobs.put(NAME, [a_letter(1)], "r")
    await blobs.put("r~l/x.json", [a_letter(2)], "r")
    portions = blobs.portions(Shelf("r"), "l")
    found = await anext(portions)
    blobs.blobs.pop("r~l/x.json")

    async for portion in portions:
        found += portion

    assert sequences(found) == [1]


async def test_blob_fails_as_it_is_told() -> None:
    blobs = MemoryDeadLetters(faults=always(Reason.FORBIDDEN))

    with pytest.raises(DeliveryError, match="forbidden"):
        await blobs.put(NAME, [a_letter(1)], "r")
    with pytest.raises(DeliveryError, match="forbidden"):
        await anext(blobs.portions(Shelf("r"), "l"))
    assert blobs.blobs == {}


async def test_blob_that_loses_an_answer_has_written() -> None:
    blobs = MemoryDeadLetters(lost=failing(Reason.TIMEOUT))

    with pytest.raises(DeliveryError, match="timeout"):
        await blobs.put(NAME, [a_letter(1)], "r")

    assert [letter.arrival.sequence for letter in blobs.letters()] == [1]


def test_events_differ_by_what_a_test_changes_only() -> None:
    assert an_event() == an_event()
    assert {"id": "7"}.items() <= an_event(id="7").attributes.items()
    assert isinstance(an_arrival(sequence=7).content, Event)


def a_letter(sequence: int, lane: str = "hub/0") -> DeadLetter:
    return DeadLetter(
        an_arrival(lane=lane, sequence=sequence), Reason.TIMEOUT, "no answer", 1, NOON
    )


def sequences(parcels: list[Parcel]) -> list[int]:
    return [letter.arrival.sequence for parcel in parcels for letter in parcel.letters]


async def parcels(blobs: MemoryDeadLetters, route: str, lane: str) -> list[Parcel]:
    portions = blobs.portions(Shelf(route), lane)
    return [parcel async for portion in portions for parcel in portion]
