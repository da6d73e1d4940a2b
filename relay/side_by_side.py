"""Does the same with many things side by side, though not with all of them at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable


async def side_by_side[Item, Result](
    act: Callable[[Item], Coroutine[None, None, Result]], items: Iterable[Item], at_once: int
) -> list[Result]:
    """Return what becomes of each item; all are seen to, however the others fare.

    Args:
        act: what is done; called for an item only when its time has come.
        items: with what.
        at_once: how many at the same time.

    Raises:
        Exception: what the first of the items raised that did, once all are through.
    """
    places = asyncio.Semaphore(at_once)

    async def done(item: Item) -> Result:
        async with places:
            return await act(item)

    results = await asyncio.gather(*map(done, items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
