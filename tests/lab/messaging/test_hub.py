from __future__ import annotations

import pytest

from lab.messaging.codec import Described, Symbol
from lab.messaging.hub import Log, Partition
from lab.messaging.model import Hub
from lab.messaging.node import Refusal
from lab.messaging.selector import KEY, Selector, selector


def a_partition() -> Partition:
    """Return one with a, bb, ccc enqueued at 100, 100, 200 and the offsets 0, 1, 3."""
    partition = Partition(10_000)
    partition.append([b"a", b"bb"], 100)
    partition.append([b"ccc"], 200)
    return partition


def test_events_are_read_from_a_sequence_number_on() -> None:
    read = a_partition().read(1, 10)

    assert [(number, record.payload) for number, record in read] == [(1, b"bb"), (2, b"ccc")]
    assert [record.offset for _, record in read] == [1, 3]


def test_no_more_is_read_than_asked_for() -> None:
    assert len(a_partition().read(0, 2)) == 2
    assert a_partition().read(3, 10) == []


def test_time_never_falls_within_a_partition() -> None:
    partition = a_partition()

    partition.append([b"late"], 50)

    assert partition.last is not None
    assert partition.last.enqueued == 200


def test_a_full_partition_drops_its_oldest_and_keeps_counting() -> None:
    partition = Partition(100)

    for number in range(1000):
        partition.append([b"x" * 10], number)

    kept = partition.next - partition.first
    assert partition.next == 1000
    assert 0 < kept <= 10
    assert partition.read(0, 1)[0][0] == partition.first


def test_an_event_larger_than_its_partition_is_kept_until_the_next() -> None:
    partition = Partition(10)

    partition.append([b"x" * 100], 0)
    assert (partition.first, partition.next) == (0, 1)
    partition.append([b"y"], 0)

    assert (partition.first, partition.next) == (1, 2)


def test_watchers_are_woken_until_they_stop_watching() -> None:
    partition = a_partition()
    woken: list[int] = []
    unwatch = partition.watch(lambda: woken.append(partition.next))

    partition.append([b"x"], 300)
    unwatch()
    partition.append([b"y"], 300)

    assert woken == [4]


def test_events_without_a_key_take_turns() -> None:
    log = Log(Hub("hub", 3), 0)

    chosen = [log.partitions.index(log.choose(None)) for _ in range(5)]

    assert chosen == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("amqp.annotation.x-opt-offset > '-1'", 0),
        ("amqp.annotation.x-opt-offset > '0'", 1),
        ("amqp.annotation.x-opt-offset >= '0'", 0),
        ("amqp.annotation.x-opt-offset > '3'", 3),
        ("amqp.annotation.x-opt-offset > '@latest'", 3),
        ("amqp.annotation.x-opt-sequence-number > '0'", 1),
        ("amqp.annotation.x-opt-sequence-number >= '1'", 1),
        ("amqp.annotation.x-opt-enqueued-time > '100'", 2),
        ("amqp.annotation.x-opt-enqueued-time >= '100'", 0),
        ("amqp.annotation.x-opt-enqueued-time > '200'", 3),
    ],
)
def test_a_selector_says_where_to_begin(text: str, start: int) -> None:
    chosen = selector({KEY: Described(Symbol(KEY), text)})

    assert chosen.start(a_partition()) == start


def test_without_a_selector_a_consumer_begins_at_the_start() -> None:
    assert selector({}) == Selector("offset", "-1", inclusive=False)


def test_a_selector_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refusal):
        selector({KEY: "colour = 'blue'"})
