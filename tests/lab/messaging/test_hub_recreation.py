"""A hub that is made anew under its name, or gets more partitions while it is in use."""

from __future__ import annotations

import pytest
from azure.eventhub.exceptions import EventHubError

from lab.messaging.key_hash import partition_for
from tests.lab.messaging.world import World, events


@pytest.mark.parametrize("partitions", [2, 9])
async def test_a_hub_made_anew_is_empty_and_has_its_own_partitions(
    world: World, partitions: int
) -> None:
    producer = await world.producer()
    await producer.send_batch(events("before"), partition_id="3")

    old = world.broker.faults.recreate("lab", "hub", partitions)

    fresh = await world.producer()
    assert list(map(str, range(partitions))) == await fresh.get_partition_ids()
    assert 0 == sum(world.kept().values())
    assert 1 == world.kept(old)["3"]
    await fresh.send_batch(events("after"), partition_id="1")
    assert 1 == world.kept()["1"]


async def test_what_the_old_hub_got_can_still_be_read(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("before"), partition_id="0")
    old = world.broker.faults.recreate("lab", "hub", 1)
    await (await world.producer()).send_batch(events("after"), partition_id="0")

    assert ["before"] == await world.first(1, client={"hub": old})
    assert ["after"] == await world.first(1)


async def test_a_hub_may_be_made_anew_more_than_once(world: World) -> None:
    assert 2 == len({world.broker.faults.recreate("lab", "hub", 4) for _ in range(2)})


async def test_a_partition_that_the_new_hub_lacks_is_not_found(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("before"), partition_id="3")
    world.broker.faults.recreate("lab", "hub", 2)

    with pytest.raises(EventHubError, match=r"(?i)hub/partitions/3' could not be found"):
        await producer.send_batch(events("after"), partition_id="3")


async def test_partitions_are_added_while_links_stay_open(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("x"), partition_id="0")
    links = world.links()

    world.broker.faults.add_partitions("lab", "hub", 4)
    await producer.send_batch(events("y"), partition_id="0")
    await producer.send_batch(events("z"), partition_key="Room21")

    assert links <= world.links()
    assert 2 <= world.kept()["0"]
    assert 8 == len(await producer.get_partition_ids())
    assert world.kept()[str(partition_for("Room21", 8))] >= 1
