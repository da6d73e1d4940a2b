"""The real SDK receives sessions from the lab's Service Bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from lab.messaging.model import Queue, Subscription, Topic
from tests.lab.messaging.service_bus_lab import ServiceBusLab, a_lab, bodies


@pytest.fixture
async def lab() -> AsyncIterator[ServiceBusLab]:
    entities = (
        Queue("ordered", session=True),
        Queue("brief", session=True, lock_seconds=2),
        Queue("plain"),
        Topic("news", (Subscription("a", session=True),)),
    )
    async with a_lab(*entities) as lab:
        yield lab


async def waiting_clients(lab: ServiceBusLab, count: int) -> None:
    places = lab.broker._sites["operations"].service._served["ordered"].dispatcher._waiting
    async with asyncio.timeout(10):
        while len(places) != count:  # noqa: ASYNC110 - a queue of clients has no event
            await asyncio.sleep(0.01)


async def test_a_named_session_gives_its_own_messages_in_order(lab: ServiceBusLab) -> None:
    lab.put("ordered", "a1", "a2", group_id="a")
    lab.put("ordered", "b1", group_id="b")
    async with lab.receiver("ordered", session_id="a") as receiver:
        messages = await receiver.receive_messages(2, 10)
        for message in messages:
            await receiver.complete_message(message)

    assert ["a1", "a2"] == bodies(messages)
    assert {"a"} == {message.session_id for message in messages}
    assert 1 == lab.counts("ordered")["active"]


async def test_a_subscription_has_sessions_too(lab: ServiceBusLab) -> None:
    lab.put("news", "1", group_id="twin")
    async with lab.receiver("news", "a", session_id="twin") as receiver:
        (message,) = await receiver.receive_messages(1, 10)
        await receiver.dead_letter_message(message, "bad")

    assert 1 == lab.counts("news/Subscriptions/a")["dead_letters"]


async def test_next_available_sessions_are_all_different(lab: ServiceBusLab) -> None:
    for name in "abc":
        lab.put("ordered", name, group_id=name)
    receiver = lab.receiver
    async with (
        receiver("ordered", session_id=NEXT_AVAILABLE_SESSION) as first,
        receiver("ordered", session_id=NEXT_AVAILABLE_SESSION) as second,
        receiver("ordered", session_id=NEXT_AVAILABLE_SESSION) as third,
    ):
        held = {each.session.session_id for each in (first, second, third)}

    assert {"a", "b", "c"} == held


async def test_who_waits_for_a_session_gets_the_first_that_comes(lab: ServiceBusLab) -> None:
    async def take() -> list[str]:
        async with lab.receiver("ordered", session_id=NEXT_AVAILABLE_SESSION) as receiver:
            return bodies(await receiver.receive_messages(1, 10))

    waiting = asyncio.create_task(take())
    await waiting_clients(lab, 1)
    lab.put("ordered", "1", group_id="a")

    assert ["1"] == await waiting


async def test_a_client_that_gives_up_waiting_takes_no_session_with_it(
    lab: ServiceBusLab,
) -> None:
    async def take() -> None:
        async with lab.receiver("ordered", session_id=NEXT_AVAILABLE_SESSION):
            pass

    waiting = asyncio.create_task(take())
    await waiting_clients(lab, 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await waiting_clients(lab, 0)
    lab.put("ordered", "1", group_id="a")

    assert ["1"] == await lab.drain("ordered", 1, session_id=NEXT_AVAILABLE_SESSION)


async def test_no_session_within_the_time_is_a_timeout(lab: ServiceBusLab) -> None:
    with pytest.raises(OperationTimeoutError, match=r"allotted timeout of 00:00:01"):
        async with lab.receiver("ordered", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1):
            pass


async def test_a_session_has_one_holder(lab: ServiceBusLab) -> None:
    async with lab.receiver("ordered", session_id="a"):
        with pytest.raises(SessionCannotBeLockedError, match="'a' cannot be accepted"):
            async with lab.receiver("ordered", session_id="a"):
                pass
    async with lab.receiver("ordered", session_id="a") as receiver:
        assert "a" == receiver.session.session_id


async def test_a_session_keeps_its_state_and_its_lock_can_be_renewed(
    lab: ServiceBusLab,
) -> None:
    async with lab.receiver("ordered", session_id="a") as receiver:
        assert await receiver.session.get_state() is None
        await receiver.session.set_state("half way")
        before = receiver.session.locked_until_utc
        assert await receiver.session.renew_lock() > before
        assert receiver.session.locked_until_utc > before
    async with lab.receiver("ordered", session_id="a") as receiver:
        assert b"half way" == await receiver.session.get_state()


async def test_a_session_whose_lock_ends_is_lost_and_another_may_have_it(
    lab: ServiceBusLab,
) -> None:
    lab.put("brief", "1", group_id="a")
    async with lab.receiver("brief", session_id="a") as first:
        (lost,) = await first.receive_messages(1, 10)
        async with lab.receiver("brief", session_id=NEXT_AVAILABLE_SESSION) as second:
            (found,) = await second.receive_messages(1, 10)
            with pytest.raises(SessionLockLostError):
                await first.complete_message(lost)

    assert (0, 1) == (lost.delivery_count, found.delivery_count)


async def test_an_abandoned_message_is_the_next_of_its_session(lab: ServiceBusLab) -> None:
    lab.put("ordered", "1", "2", group_id="a")
    async with lab.receiver("ordered", session_id="a") as receiver:
        (message,) = await receiver.receive_messages(1, 10)
        await receiver.abandon_message(message)
        again = await receiver.receive_messages(2, 10)

    assert [("1", 1), ("2", 0)] == [(str(each), each.delivery_count) for each in again]


async def test_messages_of_a_session_can_be_deferred_and_peeked(lab: ServiceBusLab) -> None:
    lab.put("ordered", "1", "2", group_id="a")
    lab.put("ordered", "other", group_id="b")
    async with lab.receiver("ordered", session_id="a") as receiver:
        (message,) = await receiver.receive_messages(1, 10)
        await receiver.defer_message(message)
        shown = await receiver.peek_messages(10, sequence_number=1)
        (deferred,) = await receiver.receive_deferred_messages(message.sequence_number)
        await receiver.complete_message(deferred)

    assert ["1", "2"] == bodies(shown)
    assert 2 == lab.counts("ordered")["active"]


@pytest.mark.parametrize(
    ("queue", "options"), [("plain", {"session_id": "a"}), ("ordered", {})]
)
async def test_the_wrong_kind_of_receiver_is_refused(
    lab: ServiceBusLab, queue: str, options: dict[str, str]
) -> None:
    with pytest.raises(ServiceBusError, match="session"):
        async with lab.receiver(queue, **options):
            pass


async def test_sessions_with_messages_or_state_are_listed(lab: ServiceBusLab) -> None:
    lab.put("ordered", "1", group_id="messages")
    async with lab.receiver("ordered", session_id="state") as receiver:
        await receiver.session.set_state(b"x")
    async with lab.client() as client:
        found = [each async for each in client.list_queue_sessions("ordered")]

    assert ["messages", "state"] == found


async def test_a_cut_connection_frees_the_session_and_its_receiver_is_lost(
    lab: ServiceBusLab,
) -> None:
    lab.put("ordered", "1", group_id="a")
    async with lab.receiver("ordered", session_id="a") as receiver:
        (message,) = await receiver.receive_messages(1, 10)
        lab.broker.faults.cut_connections("operations")
        with pytest.raises(ServiceBusError):
            await receiver.receive_messages(1, 10)
        with pytest.raises(SessionLockLostError):
            await receiver.complete_message(message)

    assert ["1"] == await lab.drain("ordered", 1, session_id="a")
