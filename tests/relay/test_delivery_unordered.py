"""What arrives without order, or on lanes whose numbers have gaps, is as safe as all else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from relay.dead_letters import Fate
from relay.failures import DeliveryError, Reason
from relay.ingress import Arrival, Malformed, Order
from tests.fakes import MemoryDeadLetters, MemorySink, a_route, always, an_arrival, an_event
from tests.relay.event_path import an_event_path, ids
from tests.virtual_time import in_virtual_time


def messages(order: Order, *numbers: int, lane: str = "servicebus:q/pump-1") -> list[Arrival]:
    return [
        replace(an_arrival(an_event(id=str(n)), lane=lane, sequence=n), order=order)
        for n in numbers
    ]


def kept_ids(dead_letters: MemoryDeadLetters, route: str = "all") -> list[str]:
    return sorted(
        letter.arrival.content.id
        if not isinstance(letter.arrival.content, Malformed)
        else letter.arrival.content.body.decode()
        for letter in dead_letters.letters(route=route)
    )


@pytest.mark.parametrize("order", [Order.RISING, Order.NONE])
async def test_messages_that_come_again_without_one_that_was_settled_overwrite_no_other(
    order: Order,
) -> None:
    """The host completes the second of three, and loses the lock of the others."""
    path = an_event_path(a_route("all"), all=MemorySink(faults=always(Reason.FORBIDDEN)))
    await path.delivery.settle(messages(order, 1, 2, 3))
    await path.delivery.settle(messages(order, 1, 3))

    assert ["1", "2", "3"] == kept_ids(path.dead_letters)


@pytest.mark.parametrize("order", [Order.RISING, Order.NONE])
async def test_malformed_messages_overwrite_no_other_either(order: Order) -> None:
    path = an_event_path(a_route("all"))

    def bad(*numbers: int) -> list[Arrival]:
        return [
            replace(each, content=Malformed(str(each.sequence).encode(), {}, "no JSON"))
            for each in messages(order, *numbers)
        ]

    await path.delivery.settle(bad(1, 2, 3))
    await path.delivery.settle(bad(1, 3))

    assert ["1", "2", "3"] == kept_ids(path.dead_letters, "_malformed")


async def test_a_session_whose_events_wait_in_blob_is_not_overtaken() -> None:
    """Another process had it, so only Blob knows."""
    path = an_event_path(a_route("all"), all=MemorySink(faults=failing_once()))
    await path.delivery.settle(messages(Order.RISING, 3, 7))
    await path.restart()
    await path.delivery.settle(messages(Order.RISING, 12, 13))
    await path.delivery.redrive()

    assert ["3", "7", "12", "13"] == ids(path.sinks["all"].events)
    assert not path.dead_letters.letters(Fate.WAITING)


def failing_once() -> Callable[[], DeliveryError | None]:
    errors = [DeliveryError(Reason.FORBIDDEN, "no")]
    return lambda: errors.pop() if errors else None


async def test_what_has_no_order_asks_blob_for_nothing_and_waits_for_nothing() -> None:
    asked: list[None] = []

    def count() -> None:
        asked.append(None)

    path = an_event_path(a_route("all"))
    path.dead_letters.faults = count
    await path.delivery.settle(messages(Order.NONE, 5, lane="http:"))
    await path.delivery.settle(messages(Order.NONE, 4, lane="http:"))

    assert ["5", "4"] == ids(path.sinks["all"].events)
    assert not asked


@in_virtual_time
async def test_what_has_no_order_is_settled_side_by_side_and_waits_for_no_turn() -> None:
    """A queue's messages come one by one, many at once, and each takes its time."""
    path = an_event_path(a_route("all"), all=MemorySink(latency=lambda: 3.0))
    batches = [messages(Order.NONE, number, lane="servicebus:q") for number in range(20)]
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(path.delivery.settle(batch) for batch in batches))

    assert 20 == len(path.sinks["all"].events)
    assert not path.dead_letters.blobs
    assert asyncio.get_running_loop().time() - began < 20


async def test_what_has_no_order_goes_to_blob_while_the_destination_fails() -> None:
    path = an_event_path(a_route("all"), all=MemorySink(faults=failing_once()))
    await path.delivery.settle(messages(Order.NONE, 5, lane="http:"))
    await path.delivery.settle(messages(Order.NONE, 4, lane="http:"))
    await path.delivery.redrive()

    assert {"4", "5"} == {*ids(path.sinks["all"].events)}
    assert not path.dead_letters.letters(Fate.WAITING)


@pytest.mark.parametrize("order", [Order.RISING, Order.NONE])
async def test_a_process_remembers_no_lane_that_it_cannot_know(order: Order) -> None:
    """There may be as many sessions as twins, and a request never comes again."""
    path = an_event_path(a_route("all"))
    for number in range(50):
        await path.delivery.settle(messages(order, number, lane=f"servicebus:q/{number}"))

    assert not path.delivery._settled
    assert not any(lanes._lanes for lanes in path.delivery._lanes.values())
