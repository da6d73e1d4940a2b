"""Azure Digital Twins' own dead letters through the routes, over Blob in memory."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.by_hand import TAKEN, Order
from relay.dead_letters import Fate
from relay.dead_letters.selection import Selection
from relay.dead_letters.twins import TwinsDeadLetters, endpoint_of
from relay.failures import DeliveryError, Reason
from relay.pace import Pace
from relay.twins_redrive import TwinsRedrive, TwinsStep
from tests.fakes import NOON, MemoryBlobs, MemorySink, a_route, always, failing, failing_in_turn
from tests.relay.event_path import EventPath, an_event_path, ids, is_event
from tests.virtual_time import in_virtual_time

HUB = a_route("hub")
UPDATES = a_route("updates", wants="type = 'Microsoft.DigitalTwins.Twin.Update'")
ALL = Selection()
SOURCE = "plant-a.api.weu.digitaltwins.azure.net"


@dataclass
class Plant:
    """A container in which Azure Digital Twins has left letters, and the relay's event path."""

    blobs: MemoryBlobs
    path: EventPath

    def __post_init__(self) -> None:
        letters = TwinsDeadLetters(self.blobs, "adt-dead-letters", source=SOURCE)
        self.redriving = TwinsRedrive(self.path.routes, self.path.delivery, letters)

    def keep(
        self, *numbers: int, minute: int = 0, body: str | None = None, kind: str = "Update"
    ) -> None:
        for number in numbers:
            event = {
                "specversion": "1.0",
                "id": str(number),
                "source": SOURCE,
                "type": f"Microsoft.DigitalTwins.Twin.{kind}",
                "subject": f"pump-{number % 3}",
                "data": {"n": number},
            }
            written = NOON + timedelta(minutes=minute)
            text = json.dumps(event) if body is None else body
            self.blobs.put_raw(name_of(number), text, written)

    async def redrive(
        self, selection: Selection = ALL, order: Order | None = None
    ) -> list[TwinsStep]:
        return [each async for each in self.redriving.redrive(selection, order or Order())]


def name_of(number: int) -> str:
    return f"landing/2026/3/5/12/{number:04}.json"


def a_plant(**sinks: MemorySink) -> Plant:
    return Plant(MemoryBlobs(), an_event_path(HUB, UPDATES, **sinks))


@in_virtual_time
async def test_letters_go_to_every_route_that_wants_them_and_are_removed() -> None:
    plant = a_plant()
    plant.keep(1, 2)
    plant.keep(3, kind="Create")

    steps = await plant.redrive()

    assert sorted(ids(plant.path.sinks["hub"].events)) == ["1", "2", "3"]
    assert sorted(ids(plant.path.sinks["updates"].events)) == ["1", "2"]
    assert (plant.blobs.blobs, sum(step.done for step in steps)) == ({}, 3)


@pytest.mark.parametrize(
    "body",
    [
        '{"specversion":"1.0","id":"7","source":"s","type":"t","data":{"a" : 1.0}}',
        '[{"specversion":"1.0","id":"7","source":"s","type":"t","data":{"a" : 1.0}}]',
        (
            '[{"id":"7","subject":"pump-1","eventType":"t","dataVersion":"1.0",'
            '"metadataVersion":"1","eventTime":"2026-03-05T12:00:00Z","topic":"x",'
            '"data":{"data":{"a" : 1.0},"contenttype":"application/json"}}]'
        ),
        '\ufeff{"specversion":"1.0","id":"7","source":"s","type":"t","data":{"a" : 1.0}}',
    ],
    ids=["structured", "batch", "event grid", "with a mark"],
)
@in_virtual_time
async def test_every_shape_that_a_trigger_reads_is_read(body: str) -> None:
    plant = a_plant()
    plant.keep(1, body=body)

    await plant.redrive()

    (event,) = plant.path.sinks["hub"].events
    assert (event.id, event.data, plant.blobs.blobs) == ("7", b'{"a" : 1.0}', {})


@in_virtual_time
async def test_what_cannot_be_read_or_is_not_wanted_is_left_and_named() -> None:
    plant = Plant(MemoryBlobs(), an_event_path(UPDATES))
    plant.keep(1)
    plant.keep(2, body="{")
    plant.keep(3, kind="Create")

    steps = await plant.redrive()

    unreadable = [each for step in steps for each in step.unreadable]
    assert [name_of(2)] == [name for name, _ in unreadable]
    assert unreadable[0][1]
    assert [name_of(3)] == [name for step in steps for name in step.unwanted]
    assert {name_of(2), name_of(3)} == plant.blobs.blobs.keys()


@in_virtual_time
async def test_what_a_destination_refuses_is_removed_when_it_is_a_dead_letter_of_ours() -> None:
    plant = a_plant(hub=MemorySink(faults=always(Reason.FORBIDDEN)))
    plant.keep(1, 2, 3)

    await plant.redrive()

    kept = plant.path.dead_letters.letters(Fate.WAITING, route="hub")
    assert plant.blobs.blobs == {}
    assert {each.arrival.content.id for each in kept} == {"1", "2", "3"}
    assert {each.arrival.lane for each in kept} == {"adt-dead-letters/landing"}
    plant.path.sinks["hub"].faults = failing()
    await plant.path.delivery.redrive()
    assert sorted(ids(plant.path.sinks["hub"].events)) == ["1", "2", "3"]


@in_virtual_time
async def test_nothing_is_removed_when_neither_destination_nor_blob_takes_it() -> None:
    plant = a_plant(hub=MemorySink(faults=always(Reason.FORBIDDEN)))
    plant.path.dead_letters.faults = always(Reason.UNAVAILABLE)
    plant.keep(1, 2, 3)

    (step,) = await plant.redrive()

    assert "not all is settled" in step.why
    assert len(plant.blobs.blobs) == 3


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(ids=frozenset({"2"})), {"2"}),
        (Selection(since=NOON + timedelta(minutes=5)), {"3"}),
        (Selection(until=NOON + timedelta(minutes=5)), {"1", "2"}),
        (Selection(routes=frozenset({"updates"})), {"1", "2"}),
    ],
)
@in_virtual_time
async def test_letters_are_selected_by_id_time_and_route(
    selection: Selection, meant: set[str]
) -> None:
    plant = a_plant()
    plant.keep(1, 2)
    plant.keep(3, minute=9, kind="Create")
    found = [each async for portion in plant.redriving.letters(selection) for each in portion]

    await plant.redrive(selection)

    assert {letter.arrivals[0].content.id for letter in found} == meant
    assert set(ids(plant.path.sinks["hub"].events)) == meant
    assert len(plant.blobs.blobs) == 3 - len(meant)


@in_virtual_time
async def test_a_rate_holds_and_it_stops_when_told() -> None:
    plant = a_plant()
    plant.keep(*range(10))
    order = Order(pace=Pace(2))
    clock = asyncio.get_running_loop().time

    async for _ in plant.redriving.redrive(ALL, order):
        if len(plant.blobs.blobs) <= 5:
            order.stop.set()

    assert 1.5 <= clock() <= 3.0
    assert len(plant.blobs.blobs) in {4, 5}
    await plant.redrive()
    assert {*ids(plant.path.sinks["hub"].events)} == {str(number) for number in range(10)}


@in_virtual_time
async def test_letters_that_somebody_else_has_are_left_to_him() -> None:
    plant = a_plant(hub=MemorySink(latency=lambda: 1.0))
    plant.keep(1)

    one = asyncio.create_task(plant.redrive())
    await asyncio.sleep(0.5)
    (step,) = await plant.redrive()
    await one

    assert step == TwinsStep(why=TAKEN)
    assert ids(plant.path.sinks["hub"].events) == ["1"]


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("landing/2026/03/05/12/x.json", "landing"),
        ("landing/2026/3/5/1/x.json", "landing"),
        ("a/b/2026/3/5/1/x.json", "a/b"),
        ("x.json", ""),
        ("landing/x.json", ""),
    ],
)
def test_the_endpoint_is_read_from_a_name(name: str, endpoint: str) -> None:
    assert endpoint == endpoint_of(name)


@settings(max_examples=100)
@given(
    count=st.integers(1, 12),
    sink=st.lists(st.sampled_from([None, None, *Reason]), max_size=12),
    own=st.lists(st.sampled_from([None, None, None, Reason.UNAVAILABLE]), max_size=12),
    theirs=st.lists(st.sampled_from([None, None, None, Reason.UNAVAILABLE]), max_size=12),
    killed=st.floats(0.0, 3.0),
    poison=st.sets(st.integers(0, 12), max_size=2),
)
@in_virtual_time
async def test_whatever_happens_every_letter_reaches_each_route_or_is_kept_somewhere(
    count: int,
    sink: list[Reason | None],
    own: list[Reason | None],
    theirs: list[Reason | None],
    killed: float,
    poison: set[int],
) -> None:
    plant = a_plant(hub=MemorySink(faults=failing_in_turn(sink), latency=lambda: 0.2))
    plant.path.sinks["hub"].poison = is_event(*map(str, poison))
    plant.path.dead_letters.faults = failing_in_turn(own)
    plant.blobs.faults, plant.blobs.latency = failing_in_turn(theirs), lambda: 0.1
    plant.keep(*range(count))

    with suppress(TimeoutError, DeliveryError):
        async with asyncio.timeout(killed):
            await plant.redrive()
    await plant.path.delivery.close()

    left = {str(int(name[-9:-5])) for name in plant.blobs.blobs}
    for route, reached in plant.path.sinks.items():
        kept = {x.arrival.content.id for x in plant.path.dead_letters.letters(route=route)}
        assert {*left, *kept, *ids(reached.events)} == {str(number) for number in range(count)}
