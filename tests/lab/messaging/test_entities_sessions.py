from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from lab.messaging.entities import (
    Incoming,
    NoSessionError,
    NotAllowedError,
    Queue,
    QuotaExceededError,
    Rules,
    SessionHeldError,
    SessionLockLostError,
)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def a_queue(clock: Clock | None = None, max_bytes: int = 1 << 20, **rules: object) -> Queue:
    return Queue.with_dead_letters(
        "orders", replace(Rules(session=True), **rules), clock or Clock(), max_bytes
    )


def in_session(session_id: str, *sections: bytes) -> list[Incoming]:
    return [Incoming(text, session_id=session_id) for text in sections]


def test_a_session_is_received_in_order_and_nothing_else_with_it() -> None:
    queue = a_queue()
    queue.send(in_session("a", b"a1") + in_session("b", b"b1") + in_session("a", b"a2"))
    lock = queue.accept_session("a")

    assert [
        b"a1",
        b"a2",
    ] == [delivery.message.incoming.sections for delivery in queue.receive(10, lock)]


def test_the_next_session_is_the_one_that_waits_longest_and_is_free() -> None:
    queue = a_queue()
    queue.send(in_session("a", b"1") + in_session("b", b"2"))

    assert [queue.accept_session().session_id for _ in range(2)] == ["a", "b"]
    with pytest.raises(NoSessionError):
        queue.accept_session()


def test_a_held_session_is_refused_by_name() -> None:
    queue = a_queue()
    queue.accept_session("a")

    with pytest.raises(SessionHeldError):
        queue.accept_session("a")


def test_a_session_that_is_left_returns_its_messages_as_never_delivered() -> None:
    queue = a_queue()
    queue.send(in_session("a", b"1", b"2"))
    lock = queue.accept_session("a")
    queue.receive(1, lock)
    queue.leave_session(lock)
    (delivery, _) = queue.receive(2, queue.accept_session("a"))

    assert (b"1", 0) == (delivery.message.incoming.sections, delivery.message.delivery_count)


def test_a_session_whose_lock_expires_returns_its_messages_as_failed() -> None:
    clock = Clock()
    queue = a_queue(clock, lock_seconds=30)
    queue.send(in_session("a", b"1"))
    lost = queue.accept_session("a")
    (held,) = queue.receive(1, lost)
    assert held.token is not None
    clock.now += 30
    again = queue.accept_session()

    assert 1 == queue.receive(1, again)[0].message.delivery_count
    assert not queue.holds(lost)
    with pytest.raises(SessionLockLostError):
        queue.complete(held.token)
    with pytest.raises(SessionLockLostError):
        queue.receive(1, lost)


def test_a_renewed_session_keeps_its_message_locks() -> None:
    clock = Clock()
    queue = a_queue(clock, lock_seconds=30)
    queue.send(in_session("a", b"1"))
    lock = queue.accept_session("a")
    (held,) = queue.receive(1, lock)
    assert held.token is not None
    clock.now += 20
    assert clock.now + 30 == queue.renew_session(lock)
    clock.now += 20
    queue.complete(held.token)

    assert 0 == queue.size


def test_an_abandoned_message_is_the_next_of_its_session() -> None:
    queue = a_queue()
    queue.send(in_session("a", b"1", b"2"))
    lock = queue.accept_session("a")
    (held,) = queue.receive(1, lock)
    assert held.token is not None
    queue.abandon(held.token)

    assert [b"1", b"2"] == [d.message.incoming.sections for d in queue.receive(2, lock)]


def test_a_session_remembers_its_state_over_receivers_until_it_is_cleared() -> None:
    queue = a_queue()
    first = queue.accept_session("a")
    queue.set_session_state(first, b"half way")
    queue.leave_session(first)
    second = queue.accept_session("a")

    assert b"half way" == queue.session_state(second)
    queue.set_session_state(second, None)
    assert queue.session_state(second) is None
    assert 0 == queue.quota.used


def test_session_state_counts_against_the_quota() -> None:
    queue = a_queue(max_bytes=10)
    lock = queue.accept_session("a")
    queue.set_session_state(lock, bytes(10))
    queue.set_session_state(lock, bytes(9))

    with pytest.raises(QuotaExceededError):
        queue.set_session_state(lock, bytes(11))
    assert bytes(9) == queue.session_state(lock)


def test_sessions_are_listed_by_messages_and_state_or_by_when_the_state_was_set() -> None:
    clock = Clock()
    queue = a_queue(clock)
    queue.send(in_session("b", b"1") + in_session("a", b"2", b"3"))
    queue.set_session_state(queue.accept_session("old"), b"x")
    clock.now += 10
    queue.set_session_state(queue.accept_session("new"), b"x")

    assert ["a", "b", "new", "old"] == queue.sessions()
    assert ["new"] == queue.sessions_with_state(clock.now)


def test_a_message_without_a_session_is_refused_with_its_whole_batch() -> None:
    queue = a_queue()

    with pytest.raises(NotAllowedError):
        queue.send([*in_session("a", b"1"), Incoming(b"2")])
    assert 0 == queue.size


def test_a_session_cannot_be_had_where_there_are_none_nor_avoided_where_there_are() -> None:
    with pytest.raises(NotAllowedError):
        a_queue(session=False).accept_session()
    with pytest.raises(NotAllowedError):
        a_queue().receive(1)


def test_dead_letters_of_sessions_are_received_without_one() -> None:
    queue = a_queue()
    queue.send(in_session("a", b"1"))
    lock = queue.accept_session("a")
    (held,) = queue.receive(1, lock)
    assert held.token is not None
    queue.dead_letter(held.token)
    assert queue.dead_letters is not None

    assert 1 == len(queue.dead_letters.receive(10))


def test_a_deferred_message_belongs_to_its_session() -> None:
    queue = a_queue()
    queue.send(in_session("a", b"1"))
    lock = queue.accept_session("a")
    (held,) = queue.receive(1, lock)
    assert held.token is not None
    queue.defer(held.token)

    assert 1 == len(queue.receive_deferred([1], lock))


def test_a_session_that_is_left_goes_behind_those_that_wait() -> None:
    queue = a_queue()
    queue.send(in_session("a", b"1") + in_session("b", b"2"))
    queue.leave_session(queue.accept_session())

    assert "b" == queue.accept_session().session_id
