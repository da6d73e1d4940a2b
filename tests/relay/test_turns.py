"""One caller at a time uses a stream; who waits is taken along and blamed for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.turns import InTurn
from tests.fakes import an_event

STREAM = "0"


@dataclass
class GatedSink:
    """A sink of one stream that takes a call when it is told to.

    Attributes:
        calls: the ids of each call's events.
        taken: the ids of what was accepted.
        most: how many events one of its batches holds.
        fails: asked about each batch; an error it returns is raised, and nothing is taken.
    """

    most: int = 100
    fails: Callable[[Sequence[str]], DeliveryError | None] = lambda _: None
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    called: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    calls: list[list[str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    async def open(self) -> None:
        """Nothing is to be opened."""

    async def probe(self) -> None:
        """Nothing is to be found out."""

    async def close(self) -> None:
        """Nothing is to be closed."""

    def stream(self, event: Event) -> str:  # noqa: ARG002 - there is one
        return STREAM

    async def send(self, stream: str, events: Sequence[Event]) -> None:  # noqa: ARG002
        ids = [event.id for event in events]
        self.calls.append(ids)
        self.called.release()
        await self.gate.acquire()
        for start in range(0, len(ids), self.most):
            batch = ids[start : start + self.most]
            error = self.fails(batch)
            if error is not None:
                error.accepted, error.suspects = start, len(batch)
                raise error
            self.taken += batch


def parcel(name: str, count: int) -> list[Event]:
    return [an_event(id=f"{name}{n}") for n in range(count)]


def ids(name: str, count: int) -> list[str]:
    return [f"{name}{n}" for n in range(count)]


async def sending(turns: InTurn, *parcels: list[Event]) -> list[asyncio.Task[None]]:
    """Begin to send parcels in this order; return when all wait, or are being sent."""
    tasks = [asyncio.create_task(turns.send(STREAM, each)) for each in parcels]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def outcome(task: asyncio.Task[None]) -> DeliveryError | None:
    try:
        await task
    except DeliveryError as error:
        return error
    return None


async def test_what_gathers_behind_a_call_goes_in_the_next_all_together() -> None:
    sink = GatedSink()
    turns = InTurn(sink)

    first = await sending(turns, parcel("a", 2))
    waiting = await sending(turns, parcel("b", 1), parcel("c", 2), parcel("d", 1))
    for _ in range(2):
        sink.gate.release()
    await asyncio.gather(*first, *waiting)

    assert sink.calls == [ids("a", 2), [*ids("b", 1), *ids("c", 2), *ids("d", 1)]]


async def test_who_is_alone_waits_for_nobody() -> None:
    sink = GatedSink()
    sink.gate.release()

    await InTurn(sink).send(STREAM, parcel("a", 1))

    assert sink.calls == [["a0"]]


async def test_no_more_goes_together_than_a_batch_may_hold() -> None:
    sink = GatedSink(most=5_000)
    turns = InTurn(sink)

    first = await sending(turns, parcel("a", 1))
    waiting = await sending(turns, *(parcel(name, 900) for name in "bcd"))
    for _ in range(3):
        sink.gate.release()
    await asyncio.gather(*first, *waiting)

    assert [len(each) for each in sink.calls] == [1, 1_800, 900]


async def test_a_destination_that_fails_is_told_to_all_who_went_together_or_waited() -> None:
    sink = GatedSink(fails=lambda _: DeliveryError(Reason.FORBIDDEN, "no role"))
    turns = InTurn(sink)

    tasks = await sending(turns, parcel("a", 1), parcel("b", 2), parcel("c", 1))
    sink.gate.release()
    errors = [await outcome(task) for task in tasks]

    assert [error and error.reason for error in errors] == 3 * [Reason.FORBIDDEN]
    assert len(sink.calls) == 1


async def test_each_learns_how_many_of_its_own_were_accepted() -> None:
    sink = GatedSink(
        most=2,
        fails=lambda batch: DeliveryError(Reason.THROTTLED, "wait") if "c1" in batch else None,
    )
    turns = InTurn(sink)

    first = await sending(turns, parcel("a", 1))
    waiting = await sending(turns, parcel("b", 1), parcel("c", 4), parcel("d", 1))
    for _ in range(2):
        sink.gate.release()
    await asyncio.gather(*first)
    b, c, d = [await outcome(task) for task in waiting]

    assert sink.taken == ["a0", "b0", "c0"]
    assert b is None
    assert c is not None
    assert (c.accepted, c.suspects) == (1, 2)
    assert d is not None
    assert d.accepted == 0


async def test_who_gives_up_waiting_is_not_sent_and_holds_nobody_up() -> None:
    sink = GatedSink()
    turns = InTurn(sink)

    first = await sending(turns, parcel("a", 1))
    gone, staying = await sending(turns, parcel("b", 1), parcel("c", 1))
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    for _ in range(2):
        sink.gate.release()
    await asyncio.gather(*first, staying)

    assert sink.calls == [["a0"], ["c0"]]


async def test_whom_somebody_took_along_who_then_gave_up_sends_for_himself() -> None:
    sink = GatedSink()
    turns = InTurn(sink)

    first = await sending(turns, parcel("a", 1))
    leading, following = await sending(turns, parcel("b", 1), parcel("c", 1))
    sink.gate.release()
    await asyncio.gather(*first)
    await sink.called.acquire()
    await sink.called.acquire()
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    sink.gate.release()
    await following

    assert sink.calls == [["a0"], ["b0", "c0"], ["c0"]]
    assert sink.taken == ["a0", "c0"]


async def halving(turns: InTurn, events: Sequence[Event]) -> list[str]:
    """Send as the relay's sender does, and return the ids of those that were refused."""
    refused, rest, size = [], list(events), len(events)
    while rest:
        try:
            await turns.send(STREAM, rest[:size])
        except DeliveryError as error:
            rest = rest[error.accepted :]
            if error.suspects == 1:
                refused.append(rest.pop(0).id)
            size = max(error.suspects // 2, 1)
        else:
            rest, size = rest[size:], 2 * size
    return refused


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    most=st.integers(1, 8),
    chosen=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_whoever_brings_a_poison_event_is_the_only_one_to_lose_it(
    counts: list[int], most: int, chosen: set[tuple[int, int]]
) -> None:
    names = "abcdef"
    parcels = [parcel(names[n], count) for n, count in enumerate(counts)]
    all_ids = [event.id for each in parcels for event in each]
    poison = {f"{names[n]}{m}" for n, m in chosen} & set(all_ids)

    async def run() -> tuple[GatedSink, list[list[str]]]:
        sink = GatedSink(
            most=most,
            fails=lambda batch: (
                DeliveryError(Reason.REJECTED, "poison") if poison & set(batch) else None
            ),
            gate=asyncio.Semaphore(10_000),
        )
        turns = InTurn(sink)
        return sink, await asyncio.gather(*(halving(turns, each) for each in parcels))

    sink, refused = asyncio.run(run())

    assert {name for each in refused for name in each} == poison
    for each, lost in zip(parcels, refused, strict=True):
        mine = [event.id for event in each]
        assert set(lost) <= set(mine)
        assert [name for name in sink.taken if name in mine] == [
            name for name in mine if name not in poison
        ]


@pytest.mark.parametrize("reason", [Reason.UNAVAILABLE, Reason.FORBIDDEN])
async def test_who_comes_after_a_failure_tries_for_himself(reason: Reason) -> None:
    broken = [True]
    sink = GatedSink(fails=lambda _: DeliveryError(reason, "down") if broken[0] else None)
    turns = InTurn(sink)
    sink.gate.release()
    with pytest.raises(DeliveryError):
        await turns.send(STREAM, parcel("a", 1))

    broken[0] = False
    sink.gate.release()
    await turns.send(STREAM, parcel("b", 1))

    assert sink.taken == ["b0"]
