"""The real SDK sends to the lab's Service Bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    ServiceBusConnectionError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
)

from lab.messaging.model import Queue, Subscription, Topic
from tests.lab.messaging.service_bus_lab import ServiceBusLab, a_lab, bodies

DELETING = ServiceBusReceiveMode.RECEIVE_AND_DELETE


@pytest.fixture
async def lab() -> AsyncIterator[ServiceBusLab]:
    entities = (
        Queue("plain"),
        Queue("sessions", session=True),
        Queue("distinct", duplicate_detection_seconds=600),
        Queue("parted", session=True, partitioned=True),
        Queue("parted-distinct", duplicate_detection_seconds=600, partitioned=True),
        Queue("small", max_message_bytes=4096, max_size_bytes=8192),
        Topic("news", (Subscription("a"), Subscription("b"))),
    )
    async with a_lab(*entities) as lab:
        yield lab


async def test_single_list_and_batch_arrive_whole_and_in_order(lab: ServiceBusLab) -> None:
    async with lab.sender("plain") as sender:
        whole = ServiceBusMessage(
            b'{"t": 1}',
            application_properties={"cloudEvents:id": "1", "cloudEvents:type": "x", "n": 7},
            content_type="application/json",
            message_id="id-1",
            partition_key="twin",
            time_to_live=timedelta(hours=1),
        )
        await sender.send_messages(whole, timeout=10)
        await sender.send_messages([ServiceBusMessage("2"), ServiceBusMessage("3")], timeout=10)
        batch = await sender.create_message_batch()
        batch.add_message(ServiceBusMessage("4"))
        batch.add_message(ServiceBusMessage("5"))
        await sender.send_messages(batch, timeout=10)
    async with lab.receiver("plain", receive_mode=DELETING) as receiver:
        got = await receiver.receive_messages(5, 10)

    assert ['{"t": 1}', "2", "3", "4", "5"] == bodies(got)
    assert [1, 2, 3, 4, 5] == [each.sequence_number for each in got]
    first = got[0]
    assert {
        b"cloudEvents:id": b"1",
        b"cloudEvents:type": b"x",
        b"n": 7,
    } == first.application_properties
    assert ("application/json", "id-1") == (first.content_type, first.message_id)
    assert (first.partition_key, first.time_to_live) == ("twin", timedelta(hours=1))
    assert 0 == first.delivery_count


async def test_a_topic_gives_every_subscription_a_copy(lab: ServiceBusLab) -> None:
    async with lab.sender("news") as sender:
        await sender.send_messages([ServiceBusMessage("1"), ServiceBusMessage("2")])
        await sender.send_messages(ServiceBusMessage("3"))

    assert ["1", "2", "3"] == await lab.drain("news", 3, "a")
    assert ["1", "2", "3"] == await lab.drain("news", 3, "b")


async def test_what_was_sent_twice_arrives_once(lab: ServiceBusLab) -> None:
    async with lab.sender("distinct") as sender:
        for message_id in "aab":
            await sender.send_messages(ServiceBusMessage(message_id, message_id=message_id))

    assert 2 == lab.counts("distinct")["active"]
    assert ["a", "b"] == await lab.drain("distinct", 2)


async def test_scheduled_messages_come_when_they_are_due_unless_they_are_cancelled(
    lab: ServiceBusLab,
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    async with lab.sender("plain") as sender:
        numbers = await sender.schedule_messages(
            [ServiceBusMessage("1"), ServiceBusMessage("2")], soon + timedelta(hours=1)
        )
        assert 2 == lab.counts("plain")["scheduled"]
        await sender.cancel_scheduled_messages(numbers)
        await sender.schedule_messages(ServiceBusMessage("3"), soon)
        mine = ServiceBusMessage("4", scheduled_enqueue_time_utc=soon)
        await sender.send_messages(mine, timeout=10)
    async with lab.receiver("plain", receive_mode=DELETING) as receiver:
        got = await receiver.receive_messages(1, 10)
        got += await receiver.receive_messages(1, 10)

    assert ["3", "4"] == bodies(got)
    assert all(each.enqueued_time_utc >= soon.replace(microsecond=0) for each in got)
    assert 0 == lab.counts("plain")["scheduled"]


async def test_scheduled_messages_reach_the_subscriptions_of_a_topic(
    lab: ServiceBusLab,
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    async with lab.sender("news") as sender:
        await sender.schedule_messages(ServiceBusMessage("later"), soon)

    assert ["later"] == await lab.drain("news", 1, "a")


async def test_the_client_learns_the_limit_of_a_batch(lab: ServiceBusLab) -> None:
    async with lab.sender("small") as sender:
        batch = await sender.create_message_batch()
        assert 4096 == batch.max_size_in_bytes
        with pytest.raises(MessageSizeExceededError):
            batch.add_message(ServiceBusMessage(bytes(4096)))


async def test_a_message_over_the_limit_ends_the_link(lab: ServiceBusLab) -> None:
    async with lab.sender("small") as sender:
        with pytest.raises(ServiceBusConnectionError):
            await sender.send_messages(ServiceBusMessage(bytes(5000)), timeout=10)

    assert 0 == lab.counts("small")["active"]


async def test_a_full_queue_refuses_until_there_is_room(lab: ServiceBusLab) -> None:
    async with lab.sender("small") as sender:
        large = ServiceBusMessage("x" * 3000)
        await sender.send_messages(large)
        await sender.send_messages(large)
        with pytest.raises(ServiceBusQuotaExceededError):
            await sender.send_messages(large)
        await lab.drain("small", 1, prefetch_count=0)
        await sender.send_messages(large)

    assert 2 == lab.counts("small")["active"]


async def test_a_session_queue_refuses_a_message_without_session(lab: ServiceBusLab) -> None:
    with pytest.raises(ServiceBusError, match="SessionId was not set"):
        await lab.send("sessions", "1")

    assert 0 == lab.counts("sessions")["active"]


async def test_a_thousand_messages_pass_a_session_in_order(lab: ServiceBusLab) -> None:
    numbers = [str(number) for number in range(1000)]
    await lab.send("sessions", *numbers, session_id="twin")

    assert await lab.drain("sessions", 1000, session_id="twin") == numbers


async def test_a_message_of_many_frames_arrives_whole(lab: ServiceBusLab) -> None:
    body = "0123456789" * 30_000
    await lab.send("plain", body)

    assert [body] == await lab.drain("plain", 1)


async def test_a_partitioned_queue_takes_batches_of_one_session_only(
    lab: ServiceBusLab,
) -> None:
    async with lab.sender("parted") as sender:
        alike = [ServiceBusMessage(text, session_id="a") for text in "12"]
        await sender.send_messages(alike, timeout=10)
        mixed = [ServiceBusMessage(text, session_id=text) for text in "34"]
        with pytest.raises(ServiceBusError, match="distinct SessionId or PartitionKey is not"):
            await sender.send_messages(mixed, timeout=10)

    assert lab.counts("parted")["active"] == 2


async def test_a_partitioned_queue_that_detects_duplicates_takes_no_batches(
    lab: ServiceBusLab,
) -> None:
    async with lab.sender("parted-distinct") as sender:
        await sender.send_messages(ServiceBusMessage("1", message_id="1"), timeout=10)
        batch = [ServiceBusMessage(text, message_id=text) for text in "23"]
        with pytest.raises(ServiceBusError, match="distinct SessionId, PartitionKey, or Mess"):
            await sender.send_messages(batch, timeout=10)

    assert lab.counts("parted-distinct")["active"] == 1
