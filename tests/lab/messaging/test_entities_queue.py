from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest

from lab.messaging.entities import (
    EntityDisabledError,
    Incoming,
    Message,
    MessageLockLostError,
    MessageNotFoundError,
    NotAllowedError,
    Queue,
    QuotaExceededError,
    Rules,
    State,
)
from lab.messaging.entities.message import OVERHEAD


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def a_queue(clock: Clock | None = None, max_bytes: int = 1 << 20, **rules: object) -> Queue:
    return Queue.with_dead_letters(
        "orders", replace(Rules(), **rules), clock or Clock(), max_bytes
    )


def texts(messages: list[Message]) -> list[bytes]:
    return [message.incoming.sections for message in messages]


def received(queue: Queue, limit: int = 100) -> list[bytes]:
    return texts([delivery.message for delivery in queue.receive(limit)])


def dead(queue: Queue) -> Queue:
    assert queue.dead_letters is not None
    return queue.dead_letters


def lock_one(queue: Queue) -> UUID:
    (delivery,) = queue.receive(1)
    assert delivery.token is not None
    return delivery.token


def test_messages_are_received_in_the_order_they_were_sent() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1"), Incoming(b"2")])
    queue.send([Incoming(b"3")])

    assert [b"1", b"2", b"3"] == received(queue)


def test_a_locked_message_is_nobody_elses() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1")])
    lock_one(queue)

    assert [] == queue.receive(1)
    assert [] == queue.take(1)


def test_a_completed_message_is_gone_and_its_bytes_are_free() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1")])
    queue.complete(lock_one(queue))

    assert 0 == queue.size
    assert 0 == queue.quota.used


def test_a_message_cannot_be_completed_twice() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1")])
    token = lock_one(queue)
    queue.complete(token)

    with pytest.raises(MessageLockLostError):
        queue.complete(token)


def test_an_abandoned_message_returns_to_its_place_with_a_higher_delivery_count() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1"), Incoming(b"2")])
    queue.abandon(lock_one(queue))
    deliveries = queue.receive(2)

    assert [
        (b"1", 1),
        (b"2", 0),
    ] == [(d.message.incoming.sections, d.message.delivery_count) for d in deliveries]


def test_a_released_message_returns_without_a_failed_delivery() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1")])
    queue.release(lock_one(queue))

    assert 0 == queue.receive(1)[0].message.delivery_count


def test_an_expired_lock_gives_the_message_back_as_failed_and_is_worth_nothing() -> None:
    clock = Clock()
    queue = a_queue(clock, lock_seconds=30)
    queue.send([Incoming(b"1")])
    token = lock_one(queue)
    clock.now += 30

    assert 1 == queue.receive(1)[0].message.delivery_count
    with pytest.raises(MessageLockLostError):
        queue.complete(token)


def test_a_renewed_lock_lasts_from_the_renewal_on() -> None:
    clock = Clock()
    queue = a_queue(clock, lock_seconds=30)
    queue.send([Incoming(b"1")])
    token = lock_one(queue)
    clock.now += 20

    assert clock.now + 30 == queue.renew(token)
    clock.now += 20
    queue.complete(token)


def test_a_message_that_fails_too_often_is_dead_lettered_with_the_reason() -> None:
    queue = a_queue(max_delivery_count=2)
    queue.send([Incoming(b"1")])
    queue.abandon(lock_one(queue))
    queue.abandon(lock_one(queue))
    (letter,) = dead(queue).peek(1, 10)

    assert [] == queue.receive(1)
    assert letter.dead_lettering is not None
    assert "MaxDeliveryCountExceeded" == letter.dead_lettering.reason
    assert "orders" == letter.dead_lettering.source


def test_a_dead_letter_keeps_its_bytes_its_number_and_its_charge() -> None:
    queue = a_queue()
    queue.send([Incoming(b"first"), Incoming(b"bad")])
    queue.complete(lock_one(queue))
    queue.dead_letter(lock_one(queue), "unreadable", "at byte 3")
    (delivery,) = dead(queue).receive(10)

    assert (b"bad", 2) == (
        delivery.message.incoming.sections,
        delivery.message.sequence_number,
    )
    assert queue.quota.used == 3 + OVERHEAD


def test_a_dead_letter_cannot_be_dead_lettered_and_never_moves_on_by_itself() -> None:
    queue = a_queue(max_delivery_count=1)
    queue.send([Incoming(b"1")])
    queue.abandon(lock_one(queue))
    for _ in range(20):
        dead(queue).abandon(lock_one(dead(queue)))
    token = lock_one(dead(queue))

    with pytest.raises(NotAllowedError):
        dead(queue).dead_letter(token)
    dead(queue).complete(token)
    assert 0 == queue.quota.used


def test_a_deferred_message_comes_by_its_number_only() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1"), Incoming(b"2")])
    queue.defer(lock_one(queue))

    assert [b"2"] == received(queue)
    (delivery,) = queue.receive_deferred([1])
    assert State.DEFERRED is delivery.message.state
    assert delivery.token is not None
    queue.complete(delivery.token)


def test_a_deferred_message_that_is_abandoned_stays_deferred() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1")])
    queue.defer(lock_one(queue))
    (delivery,) = queue.receive_deferred([1])
    assert delivery.token is not None
    queue.abandon(delivery.token)

    assert [] == queue.receive(1)
    assert 1 == queue.take_deferred([1])[0].message.delivery_count


def test_asking_for_deferred_messages_is_all_or_nothing() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1"), Incoming(b"2")])
    queue.defer(lock_one(queue))

    with pytest.raises(MessageNotFoundError):
        queue.receive_deferred([1, 2])
    assert 1 == len(queue.receive_deferred([1]))


def test_a_message_lives_no_longer_than_it_or_the_queue_says() -> None:
    clock = Clock()
    queue = a_queue(clock, ttl_seconds=60)
    queue.send([Incoming(b"short", ttl=10), Incoming(b"long", ttl=600)])
    clock.now += 10
    assert [b"long"] == texts(queue.peek(1, 10))
    clock.now += 50

    assert [] == queue.peek(1, 10)
    assert 0 == queue.quota.used


def test_an_expired_message_is_dead_lettered_where_the_queue_says_so() -> None:
    clock = Clock()
    queue = a_queue(clock, dead_letter_expired=True)
    queue.send([Incoming(b"1", ttl=10)])
    clock.now += 10
    queue.advance()
    (letter,) = dead(queue).peek(1, 10)

    assert letter.dead_lettering is not None
    assert "TTLExpiredException" == letter.dead_lettering.reason


def test_a_locked_message_does_not_expire_before_it_is_given_back() -> None:
    clock = Clock()
    queue = a_queue(clock)
    queue.send([Incoming(b"1", ttl=10)])
    token = lock_one(queue)
    clock.now += 20
    queue.complete(token)
    queue.send([Incoming(b"2", ttl=10)])
    token = lock_one(queue)
    clock.now += 20
    queue.abandon(token)

    assert [] == queue.receive(1)


def test_a_scheduled_message_comes_when_it_is_due_with_a_new_number() -> None:
    clock = Clock()
    queue = a_queue(clock)
    (number,) = queue.schedule([Incoming(b"later", scheduled_at=1010)])
    queue.send([Incoming(b"now")])

    assert [b"later", b"now"] == texts(queue.peek(1, 10))
    assert State.SCHEDULED is queue.peek(1, 1)[0].state
    assert [b"now"] == received(queue)
    clock.now += 10
    (delivery,) = queue.receive(1)
    assert number < delivery.message.sequence_number
    assert 1010 == delivery.message.enqueued_at


def test_a_cancelled_message_never_comes_and_cannot_be_cancelled_again() -> None:
    clock = Clock()
    queue = a_queue(clock)
    numbers = queue.schedule([Incoming(b"later", scheduled_at=1010)])
    queue.cancel(numbers)
    clock.now += 10

    assert [] == queue.receive(1)
    assert 0 == queue.quota.used
    with pytest.raises(MessageNotFoundError):
        queue.cancel(numbers)


def test_a_message_id_seen_within_the_window_is_dropped_in_silence() -> None:
    clock = Clock()
    queue = a_queue(clock, duplicate_detection_seconds=60)
    queue.send([Incoming(b"1", "a"), Incoming(b"2", "a"), Incoming(b"3"), Incoming(b"4")])
    queue.send([Incoming(b"5", "a")])
    clock.now += 60
    queue.send([Incoming(b"6", "a")])

    assert [b"1", b"3", b"4", b"6"] == received(queue)


def test_a_batch_that_does_not_fit_leaves_nothing_behind() -> None:
    queue = a_queue(max_bytes=2 * (OVERHEAD + 10), duplicate_detection_seconds=60)
    batch = [Incoming(bytes(10), name) for name in "abc"]

    with pytest.raises(QuotaExceededError):
        queue.send(batch)
    assert 0 == queue.quota.used
    queue.send(batch[:2])
    assert 2 == queue.size


def test_a_disabled_queue_refuses_and_keeps_what_it_has() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1")])
    queue.disabled = True

    with pytest.raises(EntityDisabledError):
        queue.send([Incoming(b"2")])
    with pytest.raises(EntityDisabledError):
        queue.receive(1)
    queue.disabled = False
    assert [b"1"] == received(queue)


def test_whoever_watches_hears_of_every_message_that_becomes_available() -> None:
    clock = Clock()
    queue = a_queue(clock, lock_seconds=30)
    heard: list[float] = []
    unwatch = queue.watch(lambda: heard.append(clock.now))
    queue.send([Incoming(b"1")])
    queue.receive(1)
    due = queue.next_due()
    assert due is not None
    clock.now = due
    queue.advance()
    unwatch()
    queue.send([Incoming(b"2")])

    assert [1000, 1030] == heard


def test_counts_say_where_the_messages_are() -> None:
    queue = a_queue()
    queue.send([Incoming(b"1"), Incoming(b"2"), Incoming(b"3")])
    queue.schedule([Incoming(b"4", scheduled_at=2000)])
    queue.defer(lock_one(queue))
    queue.dead_letter(lock_one(queue))
    lock_one(queue)

    assert {
        "active": 1,
        "deferred": 1,
        "scheduled": 1,
        "locked": 1,
        "dead_letters": 1,
    } == queue.counts()


def test_a_token_that_was_never_given_out_settles_nothing() -> None:
    with pytest.raises(MessageLockLostError):
        a_queue().abandon(uuid4())
