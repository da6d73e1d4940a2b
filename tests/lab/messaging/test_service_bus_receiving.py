"""The real SDK receives from the lab's Service Bus and settles what it received."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from azure.servicebus import ServiceBusMessageState, ServiceBusSubQueue
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessageNotFoundError,
    ServiceBusError,
)

from lab.messaging.model import Queue, Subscription, Topic
from tests.lab.messaging.service_bus_lab import ServiceBusLab, a_lab, bodies

BELOW = ServiceBusSubQueue.DEAD_LETTER


@pytest.fixture
async def lab() -> AsyncIterator[ServiceBusLab]:
    entities = (
        Queue("plain", max_delivery_count=3),
        Queue("brief", lock_seconds=1),
        Queue("mortal", dead_letter_expired=True),
        Topic("news", (Subscription("a", max_delivery_count=1),)),
    )
    async with a_lab(*entities) as lab:
        yield lab


async def test_each_settlement_does_what_it_says(lab: ServiceBusLab) -> None:
    lab.put("plain", "complete", "abandon", "defer", "dead-letter")
    async with lab.receiver("plain") as receiver:
        complete, abandon, defer, dead_letter = await receiver.receive_messages(4, 10)
        await receiver.complete_message(complete)
        await receiver.abandon_message(abandon)
        await receiver.defer_message(defer)
        await receiver.dead_letter_message(dead_letter, "unreadable", "at byte 3")
        with pytest.raises(MessageAlreadySettled):
            await receiver.complete_message(complete)
        (again,) = await receiver.receive_messages(1, 10)
        (deferred,) = await receiver.receive_deferred_messages(defer.sequence_number)
        await receiver.complete_message(again)
        await receiver.complete_message(deferred)

    assert ("abandon", 1) == (str(again), again.delivery_count)
    assert (str(deferred), deferred.state) == ("defer", ServiceBusMessageState.DEFERRED)
    assert {
        "active": 0,
        "deferred": 0,
        "scheduled": 0,
        "locked": 0,
        "dead_letters": 1,
        "receivers": 0,
    } == lab.counts("plain")


async def test_a_dead_letter_has_its_reason_and_can_only_be_completed(
    lab: ServiceBusLab,
) -> None:
    lab.put("plain", "1", "2", application_properties={"cloudEvents:id": "x"})
    async with lab.receiver("plain") as receiver:
        for message in await receiver.receive_messages(2, 10):
            await receiver.dead_letter_message(message, "unreadable", "at byte 3")
    async with lab.receiver("plain", sub_queue=BELOW) as receiver:
        letter, other = await receiver.receive_messages(2, 10)
        await receiver.complete_message(letter)
        with pytest.raises(ServiceBusError, match="cannot be dead-lettered again"):
            await receiver.dead_letter_message(other)

    assert (
        "unreadable",
        "at byte 3",
    ) == (letter.dead_letter_reason, letter.dead_letter_error_description)
    assert b"x" == letter.application_properties[b"cloudEvents:id"]
    assert 1 == lab.counts("plain")["dead_letters"]


async def test_what_fails_too_often_is_dead_lettered(lab: ServiceBusLab) -> None:
    lab.put("plain", "poison")
    counts = []
    async with lab.receiver("plain") as receiver:
        for _ in range(3):
            (message,) = await receiver.receive_messages(1, 10)
            counts.append(message.delivery_count)
            await receiver.abandon_message(message)
    async with lab.receiver("plain", sub_queue=BELOW) as receiver:
        (letter,) = await receiver.peek_messages()

    assert [0, 1, 2] == counts
    assert "MaxDeliveryCountExceeded" == letter.dead_letter_reason


async def test_a_subscription_has_dead_letters_of_its_own(lab: ServiceBusLab) -> None:
    lab.put("news", "poison")
    async with lab.receiver("news", "a") as receiver:
        (message,) = await receiver.receive_messages(1, 10)
        await receiver.abandon_message(message)

    assert 1 == lab.counts("news/Subscriptions/a")["dead_letters"]
    assert ["poison"] == await lab.drain("news", 1, "a", sub_queue=BELOW)


async def test_a_lock_that_ends_gives_the_message_to_another_receiver(
    lab: ServiceBusLab,
) -> None:
    lab.put("brief", "1")
    async with lab.receiver("brief") as first, lab.receiver("brief") as second:
        (lost,) = await first.receive_messages(1, 10)
        (found,) = await second.receive_messages(1, 10)
        await second.complete_message(found)
        with pytest.raises(MessageLockLostError):
            await first.complete_message(lost)

    assert (0, 1) == (lost.delivery_count, found.delivery_count)


async def test_a_renewed_lock_ends_later(lab: ServiceBusLab) -> None:
    lab.put("plain", "1")
    async with lab.receiver("plain") as receiver:
        (message,) = await receiver.receive_messages(1, 10)
        before = message.locked_until_utc
        after = await receiver.renew_message_lock(message)
        assert message.locked_until_utc == after
        await receiver.complete_message(message)

    assert before < after


async def test_a_lock_that_the_service_has_taken_back_is_lost(lab: ServiceBusLab) -> None:
    lab.put("plain", "1", "2")
    async with lab.receiver("plain") as receiver:
        message, settled = await receiver.receive_messages(2, 10)
        message._received_lock_token = settled.lock_token
        await receiver.complete_message(settled)
        with pytest.raises(MessageLockLostError):
            await receiver.renew_message_lock(message)
        message._is_deferred_message = True
        with pytest.raises(MessageLockLostError):
            await receiver.complete_message(message)


async def test_peeking_shows_everything_and_takes_nothing(lab: ServiceBusLab) -> None:
    lab.put("plain", *map(str, range(1, 6)))
    async with lab.receiver("plain") as receiver:
        (locked,) = await receiver.receive_messages(1, 10)
        shown = await receiver.peek_messages(3, sequence_number=1)
        shown += await receiver.peek_messages(10)
        assert [] == await receiver.peek_messages(10)
        await receiver.abandon_message(locked)

    assert ["1", "2", "3", "4", "5"] == bodies(shown)
    assert [1, 2, 3, 4, 5] == [each.sequence_number for each in shown]
    assert 5 == lab.counts("plain")["active"]


async def test_what_was_not_deferred_cannot_be_asked_for(lab: ServiceBusLab) -> None:
    lab.put("plain", "1")
    async with lab.receiver("plain") as receiver:
        with pytest.raises(MessageNotFoundError):
            await receiver.receive_deferred_messages([1])


async def test_a_deferred_message_can_be_abandoned_deferred_and_dead_lettered(
    lab: ServiceBusLab,
) -> None:
    lab.put("plain", "1")
    async with lab.receiver("plain") as receiver:
        (message,) = await receiver.receive_messages(1, 10)
        await receiver.defer_message(message)
        for settle in (
            receiver.abandon_message,
            receiver.defer_message,
            receiver.dead_letter_message,
        ):
            (message,) = await receiver.receive_deferred_messages([1])
            await settle(message)

    assert 1 == lab.counts("plain")["dead_letters"]


async def test_an_expired_message_is_found_among_the_dead_letters(lab: ServiceBusLab) -> None:
    lab.put("mortal", "1", ttl_ms=100)
    async with lab.receiver("mortal", sub_queue=BELOW) as receiver:
        (letter,) = await receiver.receive_messages(1, 10)

    assert "TTLExpiredException" == letter.dead_letter_reason


async def test_what_a_closing_receiver_had_buffered_is_free_at_once(lab: ServiceBusLab) -> None:
    lab.put("plain", *map(str, range(20)))
    async with lab.receiver("plain", prefetch_count=20) as receiver:
        (taken,) = await receiver.receive_messages(1, 10)
        await receiver.complete_message(taken)

    assert 19 == lab.counts("plain")["active"]
    assert 0 == lab.counts("plain")["locked"]
    assert [str(number) for number in range(1, 20)] == await lab.drain("plain", 19)


async def test_messages_can_be_iterated(lab: ServiceBusLab) -> None:
    lab.put("plain", *map(str, range(20)))
    found = []
    async with lab.receiver("plain", max_wait_time=10) as receiver:
        async for message in receiver:
            found.append(str(message))
            await receiver.complete_message(message)
            if len(found) == 20:
                break

    assert [str(number) for number in range(20)] == found
