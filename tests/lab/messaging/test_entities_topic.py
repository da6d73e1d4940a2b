from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.messaging.entities import (
    EntityDisabledError,
    Incoming,
    Queue,
    QuotaExceededError,
    Rules,
    Topic,
)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def a_topic(
    clock: Clock, *, window: float = 0, max_bytes: int = 1 << 20, **kinds: Rules
) -> Topic:
    return Topic(
        "news",
        window,
        clock,
        {
            name: Queue.with_dead_letters(f"news/{name}", rules, clock, max_bytes)
            for name, rules in kinds.items()
        },
    )


def bodies(queue: Queue) -> list[bytes]:
    return [message.incoming.sections for message in queue.peek(1, 100)]


def test_every_subscription_gets_every_message_and_settles_for_itself() -> None:
    topic = a_topic(Clock(), one=Rules(), two=Rules())
    topic.send([Incoming(b"1"), Incoming(b"2")])
    topic.subscriptions["one"].take(10)

    assert [] == bodies(topic.subscriptions["one"])
    assert [b"1", b"2"] == bodies(topic.subscriptions["two"])


def test_a_full_subscription_refuses_the_message_for_all() -> None:
    clock = Clock()
    small = Queue.with_dead_letters("news/small", Rules(), clock, 10)
    large = Queue.with_dead_letters("news/large", Rules(), clock, 1 << 20)
    topic = Topic("news", 0, clock, {"large": large, "small": small})

    with pytest.raises(QuotaExceededError):
        topic.send([Incoming(b"1")])
    assert (0, 0) == (large.size, large.quota.used)


def test_a_scheduled_message_reaches_the_subscriptions_when_it_is_due() -> None:
    clock = Clock()
    topic = a_topic(clock, one=Rules())
    topic.schedule([Incoming(b"later", scheduled_at=1010)])
    topic.cancel(topic.schedule([Incoming(b"never", scheduled_at=1010)]))
    assert {"scheduled": 1} == topic.counts()
    due = topic.next_due()
    assert due is not None
    clock.now = due
    topic.advance()

    assert [b"later"] == bodies(topic.subscriptions["one"])


def test_duplicates_are_detected_before_the_subscriptions() -> None:
    topic = a_topic(Clock(), window=60, one=Rules(), two=Rules())
    topic.send([Incoming(b"1", "a")])
    topic.send([Incoming(b"2", "a")])

    assert [b"1"] == bodies(topic.subscriptions["two"])


def test_a_message_without_session_is_a_dead_letter_where_sessions_are_required() -> None:
    topic = a_topic(Clock(), plain=Rules(), sessions=Rules(session=True))
    topic.send([Incoming(b"1")])
    dead_letters = topic.subscriptions["sessions"].dead_letters
    assert dead_letters is not None
    (letter,) = dead_letters.peek(1, 10)
    assert letter.dead_lettering is not None

    assert "Session id is null." == letter.dead_lettering.reason
    assert [b"1"] == bodies(topic.subscriptions["plain"])


def test_a_disabled_topic_refuses() -> None:
    topic = a_topic(Clock(), one=Rules())
    topic.disabled = True

    with pytest.raises(EntityDisabledError):
        topic.send([Incoming(b"1")])
