"""Calls of an SDK over a link that may have died without a word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Coroutine

CALL_SECONDS: Final = 10.0
"""For one call, which else may wait for ever; a service that works answers within one."""


class Closable(Protocol):
    """A client of an SDK."""

    async def close(self) -> None:
        """Close its connections; over a dead one that takes its time."""


class Aside:
    """Does in the background what nobody has to wait for, and whose end is of no interest."""

    def __init__(self) -> None:
        self._doing: set[asyncio.Task[None]] = set()

    def begin(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin something; what it raises is only for whoever awaits it all the same."""
        task = asyncio.create_task(job)
        self._doing.add(task)
        task.add_done_callback(self._end)
        return task

    def close(self, client: Closable) -> None:
        """Close a client that nobody uses any more."""
        self.begin(_close(client))

    async def stop(self) -> None:
        """Let go of all of it."""
        doing = list(self._doing)
        for task in doing:
            task.cancel()
        await asyncio.gather(*doing, return_exceptions=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._doing.discard(task)
        if not task.cancelled():
            task.exception()


async def _close(client: Closable) -> None:
    async with asyncio.timeout(CALL_SECONDS):
        await client.close()
