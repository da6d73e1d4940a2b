from __future__ import annotations

import asyncio

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import EventDataSendError

from lab.messaging.key_hash import partition_for
from lab.messaging.model import Hub
from tests.lab.messaging.conftest import MakeWorld
from tests.lab.messaging.world import World, events

LIMIT = 1024 * 1024


async def test_a_single_event_is_taken(world: World) -> None:
    producer = await world.producer()

    await producer.send_event(EventData("one"))

    assert sum(world.kept().values()) == 1


async def test_a_batch_stays_together_on_one_partition(world: World) -> None:
    producer = await world.producer()

    await producer.send_batch(events(*"abcdefghij"))

    assert sorted(world.kept().values()) == [0, 0, 0, 10]


async def test_batches_without_a_key_go_round_the_partitions(world: World) -> None:
    producer = await world.producer()

    for _ in range(8):
        await producer.send_batch(events("x"))

    assert world.kept() == {"0": 2, "1": 2, "2": 2, "3": 2}


async def test_a_batch_for_a_partition_goes_there(world: World) -> None:
    producer = await world.producer()

    await producer.send_batch(events("a", "b"), partition_id="2")

    assert world.kept() == {"0": 0, "1": 0, "2": 2, "3": 0}


@pytest.mark.parametrize("key", ["Room21", "Zürich", "plant-7/line-3"])
async def test_a_key_decides_the_partition_of_an_event_and_of_a_batch(
    world: World, key: str
) -> None:
    producer = await world.producer()

    await producer.send_event(EventData("one"), partition_key=key)
    await producer.send_batch(events("two", "three"), partition_key=key)

    assert world.kept()[str(partition_for(key, 4))] == 3


async def test_a_batch_of_many_frames_arrives_whole(world: World) -> None:
    producer = await world.producer()
    bodies = [f"{number:06d}" + "x" * 100_000 for number in range(9)]

    await producer.send_batch(events(*bodies), partition_id="0")

    assert bodies == await world.first(9)


async def test_a_full_batch_is_taken(world: World) -> None:
    producer = await world.producer()
    batch = await producer.create_batch(partition_id="1")
    while batch.size_in_bytes < LIMIT - 2000:
        batch.add(EventData("x" * 1000))

    await producer.send_batch(batch)

    assert world.kept()["1"] == len(batch)


def body_of_size(total: int) -> EventData:
    """Return an event whose encoded message has exactly this many bytes."""
    return EventData(b"x" * (total - 8))


@pytest.mark.parametrize("beyond", [-1, 0])
async def test_a_message_up_to_the_limit_is_taken(world: World, beyond: int) -> None:
    producer = await world.producer()

    await producer.send_event(body_of_size(LIMIT + beyond), partition_id="0")

    assert world.kept()["0"] == 1


async def test_the_client_knows_the_limit_and_keeps_what_is_larger(world: World) -> None:
    producer = await world.producer()

    with pytest.raises(EventDataSendError):
        await producer.send_event(body_of_size(LIMIT + 1), partition_id="0")

    assert world.kept()["0"] == 0


async def test_more_transfers_than_any_window_pass_on_one_link(world: World) -> None:
    producer = await world.producer()
    batch = await producer.create_batch(partition_id="3")
    batch.add(EventData("x"))

    for _ in range(6000):
        await producer.send_batch(batch)

    assert world.kept()["3"] == 6000


async def test_the_sync_sdk_is_served_too(world: World) -> None:
    token = await world.tokens().get_token()

    class Given:
        def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
            return token

    def send() -> int:
        with EventHubProducerClient(
            world.namespace.address,
            "hub",
            Given(),
            connection_verify=str(world.tls.ca_file),
        ) as producer:
            producer.send_batch(events("a", "b"))
            return len(producer.get_partition_ids())

    assert await asyncio.to_thread(send) == 4
    assert sum(world.kept().values()) == 2


async def test_properties_of_hub_and_partition_are_told(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("a", "b", "c"), partition_id="1")

    hub = await producer.get_eventhub_properties()
    full = await producer.get_partition_properties("1")
    empty = await producer.get_partition_properties("0")

    assert hub["partition_ids"] == ["0", "1", "2", "3"]
    assert (
        full["beginning_sequence_number"],
        full["last_enqueued_sequence_number"],
        full["is_empty"],
    ) == (0, 2, False)
    assert (
        empty["last_enqueued_sequence_number"],
        empty["last_enqueued_offset"],
        empty["is_empty"],
    ) == (-1, "-1", True)


async def test_names_of_hubs_are_compared_without_case(make_world: MakeWorld) -> None:
    world = await make_world(Hub("Twin-Events", partitions=1))
    producer = await world.producer("twin-EVENTS")

    await producer.send_event(EventData("x"))

    assert world.kept("Twin-Events") == {"0": 1}
