"""What stands between the SDK's reader, which pushes, and a function that takes batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lab.functions.event_hub_data import ReceivedEvent
from lab.functions.reading import Reading
from tests.lab.functions.hosting import an_event

EVENTS = [an_event(number=number) for number in range(10)]


class Function:
    """Takes batches, each when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_end = asyncio.Event()

    async def __call__(self, events: Sequence[ReceivedEvent]) -> None:
        self.batches.append([event.sequence_number for event in events])
        await self.may_end.wait()
        if len(self.batches) == 4:
            raise LookupError("enough")


async def test_batches_are_as_full_as_the_reader_allows_and_never_over_the_limit() -> None:
    reading, function = Reading(ahead=100), Function()

    async def reader() -> None:
        await reading.put(EVENTS[:2])
        await reading.put(EVENTS[2:3])
        await reading.put(EVENTS[3:10])
        function.may_end.set()
        await asyncio.Event().wait()

    with pytest.raises(LookupError, match="enough"):
        await reading.run(reader(), 3, function)
    assert function.batches == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


async def test_a_batch_under_way_is_finished_when_the_reader_fails() -> None:
    reading, function = Reading(ahead=100), Function()
    failed = asyncio.Event()

    async def reader() -> None:
        await reading.put(EVENTS[:2])
        await asyncio.sleep(0)
        await reading.put(EVENTS[2:])
        failed.set()
        raise ConnectionError("cut")

    running = asyncio.create_task(reading.run(reader(), 2, function))
    await failed.wait()
    await asyncio.sleep(0)
    assert not running.done()
    function.may_end.set()

    with pytest.raises(ConnectionError, match="cut"):
        await running
    assert function.batches == [[0, 1]]


async def test_a_failure_that_the_reader_only_reports_ends_it_too() -> None:
    reading = Reading(ahead=100)

    async def reader() -> None:
        await reading.fail(ConnectionError("stolen"))
        await reading.fail(ConnectionError("later"))
        await asyncio.Event().wait()

    with pytest.raises(ConnectionError, match="stolen"):
        await reading.run(reader(), 2, Function())


async def test_a_reader_that_just_ends_has_failed() -> None:
    async def reader() -> None:
        pass

    with pytest.raises(ConnectionError, match="the reader ended"):
        await Reading(ahead=1).run(reader(), 2, Function())


async def test_a_reader_waits_when_it_is_far_enough_ahead() -> None:
    reading, function = Reading(ahead=3), Function()
    put: list[int] = []

    async def reader() -> None:
        for number, event in enumerate(EVENTS):
            await reading.put([event])
            put.append(number)
        await asyncio.Event().wait()

    running = asyncio.create_task(reading.run(reader(), 1, function))
    for _ in range(50):
        await asyncio.sleep(0)

    # One is with the function, two wait, and the reader holds on to its third.
    assert put == [0, 1, 2]
    running.cancel()
    await asyncio.wait({running})
