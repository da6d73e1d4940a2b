"""Side by side, but few at once, and never half: what is told of a failure comes at the end."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import pytest

from relay.side_by_side import side_by_side


async def test_results_come_in_the_order_of_the_items_and_few_are_under_way() -> None:
    busy, most = 0, 0

    async def doubled(item: int) -> int:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        for _ in range(10 - item):  # the last are through first
            await asyncio.sleep(0)
        busy -= 1
        return 2 * item

    assert await side_by_side(doubled, range(10), at_once=3) == list(range(0, 20, 2))
    assert most == 3


async def test_all_are_seen_to_before_a_failure_is_told() -> None:
    seen: list[int] = []

    async def odd_fails(item: int) -> None:
        await asyncio.sleep(0)
        seen.append(item)
        if item % 2:
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 1"):
        await side_by_side(odd_fails, range(6), at_once=2)

    assert sorted(seen) == list(range(6))


@pytest.mark.parametrize("steps", range(4))
async def test_a_cancellation_ends_what_is_under_way_and_begins_nothing(steps: int) -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def endless(item: int) -> None:
        begun.append(item)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    task = asyncio.create_task(side_by_side(endless, range(5), at_once=2))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    gc.collect()  # a coroutine that was made and never awaited would warn, and fail this test

    assert begun == ended
    assert len(begun) <= 2
