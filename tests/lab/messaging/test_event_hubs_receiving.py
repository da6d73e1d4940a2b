from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from azure.eventhub import EventData

from lab.messaging.model import Hub
from tests.lab.messaging.conftest import MakeWorld
from tests.lab.messaging.world import World, events


async def test_an_event_arrives_as_it_was_sent(world: World) -> None:
    producer = await world.producer()
    sent = EventData(b"\x00\xff{}")
    sent.properties = {"cloudEvents:type": "t", "cloudEvents:n": 5, "b": True}
    sent.content_type = "application/json"
    sent.message_id = "id-1"
    sent.correlation_id = "c"

    await producer.send_event(sent, partition_key="Room21")

    async with world.receiving() as received:
        await received.until(lambda: bool(received.events))
    partition, event = received.events[0]
    assert partition == "1"
    assert b"".join(event.body) == b"\x00\xff{}"
    assert event.properties == {b"cloudEvents:type": b"t", b"cloudEvents:n": 5, b"b": True}
    assert (
        event.content_type,
        event.message_id,
        event.correlation_id,
    ) == ("application/json", "id-1", "c")
    assert event.partition_key == b"Room21"
    assert (event.sequence_number, event.offset) == (0, "0")
    assert event.enqueued_time is not None


async def test_a_consumer_begins_at_the_position_it_asks_for(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events(*"ab"), partition_id="0")
    await asyncio.sleep(0.01)
    moment = datetime.now(UTC)
    await asyncio.sleep(0.01)
    await producer.send_batch(events(*"cde"), partition_id="0")

    from_start, after_1, at_1, after_offset_0, after_moment = await asyncio.gather(
        world.first(5),
        world.first(3, starting_position=1),
        world.first(4, starting_position=1, starting_position_inclusive=True),
        world.first(4, starting_position="0"),
        world.first(3, starting_position=moment),
    )

    assert list("abcde") == from_start
    assert list("cde") == after_1
    assert list("bcde") == at_1
    assert list("bcde") == after_offset_0
    assert list("cde") == after_moment


async def test_latest_means_what_comes_after_the_link(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("old"), partition_id="0")

    async with world.receiving(partition_id="0", starting_position="@latest") as received:
        await world.until(lambda: world.consumers() == 1)
        await producer.send_batch(events("new"), partition_id="0")

        assert await received.count(1) == ["new"]


async def test_every_consumer_group_gets_every_event(make_world: MakeWorld) -> None:
    world = await make_world(Hub("hub", 2, consumer_groups=("$Default", "audit")))
    producer = await world.producer()
    await producer.send_batch(events(*"abc"))

    async with world.receiving() as ours, world.receiving("audit") as theirs:
        assert list("abc") == await ours.count(3)
        assert list("abc") == await theirs.count(3)


async def test_more_events_than_the_prefetch_arrive_in_order(world: World) -> None:
    producer = await world.producer()
    bodies = [str(number) for number in range(400)]
    await producer.send_batch(events(*bodies), partition_id="0")

    assert bodies == await world.first(400, prefetch=100)


async def test_a_higher_epoch_displaces_a_lower_one(world: World) -> None:
    async with world.receiving(partition_id="0", owner_level=4) as first:
        await world.until(lambda: world.consumers() == 1)
        async with world.receiving(partition_id="0", owner_level=5):
            error = await first.error()

    assert error.error == "link:stolen"
    assert "higher epoch of '5'" in str(error)


async def test_the_runtime_metric_comes_with_the_event_if_wanted(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events(*"abc"), partition_id="0")
    told = []
    enough = asyncio.Event()

    async def on_event(context: object, event: EventData) -> None:
        del event
        told.append(context.last_enqueued_event_properties)
        enough.set()

    consumer = await world.consumer()
    task = asyncio.create_task(
        consumer.receive(
            on_event,
            partition_id="0",
            starting_position="-1",
            track_last_enqueued_event_properties=True,
        )
    )
    await asyncio.wait_for(enough.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert told[0]["sequence_number"] == 2
    assert told[0]["enqueued_time"] is not None
