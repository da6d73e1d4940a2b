from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.event import Event
from relay.failures import DeliveryError, Reason, Refusal
from relay.ingress import Arrival
from relay.observer import Delivered, Fact, Failed, Sent
from relay.sending import NO_PATIENCE, Failure, Patience, Sender
from tests.fakes import (
    NOON,
    MemorySink,
    a_route,
    always,
    an_arrival,
    an_event,
    failing,
    failing_in_turn,
)
from tests.relay.event_path import PATIENCE, ids
from tests.virtual_time import A_YEAR, in_virtual_time

RETRIED = (Reason.THROTTLED, Reason.UNAVAILABLE, Reason.UNKNOWN)
AT_FAULT = (Reason.MALFORMED, Reason.TOO_LARGE, Reason.REJECTED)
FINAL = tuple(reason for reason in Reason if reason not in (*RETRIED, *AT_FAULT))
ROUTE = a_route()


@dataclass
class Watched(MemorySink):
    """Remembers what each send was asked for, and when.

    Attributes:
        sends: ids of the events of each.
        times: of each, in seconds of the loop.
    """

    sends: list[list[str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        self.sends.append(ids(events))
        self.times.append(asyncio.get_running_loop().time())
        await super().send(stream, events)


@in_virtual_time
async def test_what_is_accepted_does_not_come_back() -> None:
    sink = MemorySink(streams=2)

    failures = await send(sink, arrivals(10, twins=4))

    assert failures == []
    assert sorted(str(n) for n in range(10)) == sorted(ids(sink.events))


@pytest.mark.parametrize("reason", RETRIED)
@in_virtual_time
async def test_a_failure_that_may_pass_is_tried_again(reason: Reason) -> None:
    sink = Watched(faults=failing(None, reason, reason))

    failures = await send(sink, arrivals(2))

    assert failures == []
    assert sink.sends == [["0", "1"]] * 3


@pytest.mark.parametrize("reason", FINAL)
@in_virtual_time
async def test_a_failure_that_will_not_pass_is_not_tried_again(reason: Reason) -> None:
    sink = Watched(faults=failing(None, reason))

    failures = await send(sink, arrivals(2))

    assert sink.sends == [["0", "1"]]
    assert [(reason, 1), (reason, 0)] == [(f.error.reason, f.attempts) for f in failures]


@pytest.mark.parametrize("reason", FINAL)
@in_virtual_time
async def test_a_destination_that_can_not_be_opened_is_not_sent_to(reason: Reason) -> None:
    sink = Watched(faults=always(reason))

    failures = await send(sink, arrivals(2))

    assert sink.sends == []
    assert [reason] * 2 == [failure.error.reason for failure in failures]


@in_virtual_time
async def test_opening_is_tried_again_as_sending_is() -> None:
    sink = Watched(faults=failing(Reason.THROTTLED, Reason.UNKNOWN))

    failures = await send(sink, arrivals(2))

    assert failures == []


@pytest.mark.parametrize("reason", RETRIED)
@in_virtual_time
async def test_waits_between_attempts_double_and_end_inside_the_budget(reason: Reason) -> None:
    sink = Watched(faults=opened_then(always(reason)))

    (failure,) = await send(sink, arrivals(1))

    waits = [b - a for a, b in zip(sink.times, sink.times[1:], strict=False)]
    assert failure.attempts == len(sink.sends) > 3
    assert sink.times[-1] < PATIENCE.budget
    assert all(full(n) / 2 <= wait <= full(n) for n, wait in enumerate(waits))


@in_virtual_time
async def test_the_budget_is_not_renewed_by_every_batch_that_gets_through() -> None:
    faults = [None] + [Reason.THROTTLED, Reason.THROTTLED, Reason.THROTTLED, None] * 100
    sink = Watched(largest_batch=1, faults=failing_in_turn(faults))

    failures = await send(sink, arrivals(100))

    assert sink.times[-1] < PATIENCE.budget
    assert [str(n) for n in range(100)] == ids(sink.events) + names(failures)
    assert sink.events != []


@in_virtual_time
async def test_an_attempt_without_an_answer_is_cut_off() -> None:
    sink = MemorySink(latency=lambda: A_YEAR)

    failures = await send(sink, arrivals(3))

    assert [failure.error.reason for failure in failures] == [Reason.TIMEOUT] * 3
    assert failures[0].error.detail == "no answer within 10 seconds"
    assert asyncio.get_running_loop().time() <= PATIENCE.attempt + PATIENCE.budget


@in_virtual_time
async def test_without_patience_there_is_one_attempt() -> None:
    sink = Watched(faults=opened_then(always(Reason.THROTTLED)))

    failures = await send(sink, arrivals(2), patience=NO_PATIENCE)

    assert len(sink.sends) == 1
    assert names(failures) == ["0", "1"]


@in_virtual_time
async def test_after_a_failure_in_mid_batch_only_the_rest_is_sent_again() -> None:
    sink = Watched(largest_batch=2, faults=failing(None, None, None, Reason.UNKNOWN))

    failures = await send(sink, arrivals(6))

    assert failures == []
    assert sink.sends == [["0", "1", "2", "3", "4", "5"], ["4", "5"]]


@in_virtual_time
async def test_only_what_was_tried_counts_an_attempt() -> None:
    error = DeliveryError(Reason.FORBIDDEN, "no role", suspects=2)
    sink = MemorySink(largest_batch=2, faults=opened_then(after(1, error)))

    failures = await send(sink, arrivals(6))

    assert [
        (name, failure.attempts)
        for name, failure in zip(names(failures), failures, strict=True)
    ] == [("2", 1), ("3", 1), ("4", 0), ("5", 0)]


@in_virtual_time
async def test_a_poison_event_comes_back_alone() -> None:
    sink = MemorySink(poison=lambda event: event.id == "37")

    failures = await send(sink, arrivals(100))

    assert names(failures) == ["37"]
    assert [str(n) for n in range(100) if n != 37] == ids(sink.events)


@pytest.mark.parametrize("where", [0, 1, 37, 98, 99])
@in_virtual_time
async def test_a_poison_event_is_found_by_halving(where: int) -> None:
    sink = Watched(poison=lambda event: event.id == str(where))

    await send(sink, arrivals(100))

    assert len(sink.sends) <= 3 * math.ceil(math.log2(100)) + 2


@given(
    count=st.integers(1, 40),
    poisonous=st.sets(st.integers(0, 39)),
    streams=st.integers(1, 3),
    largest_batch=st.integers(1, 50),
)
@in_virtual_time
async def test_all_but_poison_events_get_through_and_in_order(
    count: int, poisonous: set[int], streams: int, largest_batch: int
) -> None:
    sink = Watched(
        streams=streams,
        largest_batch=largest_batch,
        poison=lambda event: int(event.id) in poisonous,
    )
    wanted = arrivals(count, twins=5)

    failures = await send(sink, wanted)

    assert [str(n) for n in range(count) if n in poisonous] == names(failures)
    assert all(failure.is_final for failure in failures)
    assert {str(n) for n in range(count)} - set(names(failures)) == set(ids(sink.events))
    assert all(
        sorted(map(int, ids(x))) == list(map(int, ids(x))) for x in sink.accepted.values()
    )
    halvings = 3 * math.ceil(math.log2(count)) + 2
    assert len(sink.sends) <= streams + halvings * len(failures)


@given(
    faults=st.lists(st.none() | st.sampled_from(Reason), max_size=30),
    suspects=st.integers(1, 10),
    streams=st.integers(1, 3),
    largest_batch=st.integers(1, 5),
    poison=st.integers(2, 12),
)
@in_virtual_time
async def test_every_event_is_accepted_or_comes_back_whatever_fails(
    faults: list[Reason | None], suspects: int, streams: int, largest_batch: int, poison: int
) -> None:
    left = iter(faults)

    def fail() -> DeliveryError | None:
        reason = next(left, None)
        return reason and DeliveryError(reason, "on purpose", suspects=suspects)

    sink = MemorySink(
        streams=streams,
        largest_batch=largest_batch,
        faults=fail,
        poison=lambda event: int(event.id) % poison == 1,
    )

    failures = await send(sink, arrivals(12, twins=4))

    assert sorted(str(n) for n in range(12)) == sorted(ids(sink.events) + names(failures))
    assert [int(name) for name in names(failures)] == sorted(map(int, names(failures)))


@in_virtual_time
async def test_streams_go_side_by_side() -> None:
    other_is_done = asyncio.Event()

    @dataclass
    class OneWaits(MemorySink):
        async def send(self, stream: str, events: Sequence[Event]) -> None:
            if stream == "0":
                await other_is_done.wait()
            await super().send(stream, events)
            other_is_done.set()

    sink = OneWaits(streams=2)

    failures = await send(sink, arrivals(8, twins=4))

    assert failures == []
    assert {"0", "1"} == sink.accepted.keys()


@in_virtual_time
async def test_every_failed_attempt_is_told_and_what_is_delivered_once() -> None:
    facts: list[Fact] = []
    sink = MemorySink(largest_batch=1, faults=failing(None, None, Reason.THROTTLED))

    await send(sink, arrivals(2), facts)

    assert told(facts) == ["Failed throttled", "Sent 1", "Delivered 2 at 2"]


@in_virtual_time
async def test_a_poison_event_is_told_as_a_failure_of_its_own() -> None:
    facts: list[Fact] = []
    sink = MemorySink(poison=lambda event: event.id == "1")

    await send(sink, arrivals(2), facts)

    assert told(facts) == ["Failed rejected", "Sent 1", "Failed rejected", "Delivered 1 at 1"]


def test_a_refusals_words_stand_in_the_dead_letter() -> None:
    refusal = a_refusal()
    error = DeliveryError(Reason.FORBIDDEN, "amqp:unauthorized-access", refusal=refusal)

    letter = Failure(an_arrival(), error, attempts=1).dead_letter(NOON)

    assert str(refusal) == letter.detail
    assert refusal.remedy in letter.detail


def test_any_other_failure_is_told_in_the_destinations_words() -> None:
    error = DeliveryError(Reason.NOT_FOUND, "no such hub")

    letter = Failure(an_arrival(), error, attempts=2).dead_letter(NOON)

    assert (
        letter.detail,
        letter.reason,
        letter.attempts,
    ) == ("no such hub", Reason.NOT_FOUND, 2)


def test_no_wait_exceeds_the_longest() -> None:
    patience = Patience(first=1.0, longest=4.0, budget=1000.0)

    waits = [patience.wait_after(attempts, elapsed=0.0) for attempts in range(1, 500)]

    assert max(wait or 0.0 for wait in waits) <= 4.0


def full(retries: int) -> float:
    """Return the wait before jitter shortens it."""
    return min(PATIENCE.first * 2**retries, PATIENCE.longest) + 1e-9


def arrivals(count: int, *, twins: int = 1) -> list[Arrival]:
    return [
        an_arrival(an_event(id=str(n), subject=f"pump-{n % twins}"), sequence=n)
        for n in range(count)
    ]


async def send(
    sink: MemorySink,
    wanted: Sequence[Arrival],
    facts: list[Fact] | None = None,
    *,
    patience: Patience = PATIENCE,
) -> list[Failure]:
    observe = ([] if facts is None else facts).append
    return await Sender({ROUTE.name: sink}, observe, patience).send(ROUTE, wanted)


def names(failures: Sequence[Failure]) -> list[str]:
    return [
        failure.arrival.content.id
        for failure in failures
        if isinstance(failure.arrival.content, Event)
    ]


def opened_then(
    faults: Callable[[], DeliveryError | None],
) -> Callable[[], DeliveryError | None]:
    """Let the sink open before it begins to fail."""
    return after(1, faults)


def after(
    count: int, faults: Callable[[], DeliveryError | None] | DeliveryError
) -> Callable[[], DeliveryError | None]:
    """Begin to fail after so many calls."""
    left = iter(range(count))

    def fail() -> DeliveryError | None:
        if next(left, None) is not None:
            return None
        return faults if isinstance(faults, DeliveryError) else faults()

    return fail


def told(facts: Sequence[Fact]) -> list[str]:
    words = []
    for fact in facts:
        match fact:
            case Delivered(_, accepted, attempts):
                words.append(f"Delivered {len(accepted)} at {attempts}")
            case Sent(_, batch):
                words.append(f"Sent {len(batch)}")
            case Failed(_, error):
                words.append(f"Failed {error.reason}")
            case _:
                words.append(str(fact))
    return words


def a_refusal() -> Refusal:
    return Refusal(
        reason=Reason.FORBIDDEN,
        identity="system-assigned identity",
        client_id="11111111-1111-1111-1111-111111111111",
        object_id="22222222-2222-2222-2222-222222222222",
        destination="analytics/twin-changes",
        audience="https://eventhubs.azure.net/",
        role="Azure Event Hubs Data Sender",
        role_id="2b629674-e913-4c01-ae53-ef4638d8f975",
        scope="/subscriptions/s/resourceGroups/g/providers/Microsoft.EventHub/namespaces/a",
        cause="it lacks the role",
        remedy="az role assignment create ...",
    )


def test_a_destination_that_asks_for_a_wait_gets_it_if_the_budget_allows() -> None:
    patience = Patience(first=0.25, longest=8.0, budget=20.0)

    assert patience.wait_after(1, elapsed=0.0, asked=4.0) == 4.0
    assert patience.wait_after(1, elapsed=17.0, asked=4.0) is None
