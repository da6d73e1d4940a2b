"""Between a reader that pushes events and a function that takes one batch at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from lab.functions.event_hub_data import ReceivedEvent
    from lab.functions.event_hub_trigger import Handle


class Reading:
    """One run of a reader, to its first error.

    A batch under way is finished, whatever becomes of the reader meanwhile: were it dropped,
    the function would go on with it beside the same batch read anew.

    Args:
        ahead: how many events may wait; then the reader has to.
    """

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead
        self._events: deque[ReceivedEvent] = deque()
        self._error: Exception | None = None
        self._changed = asyncio.Condition()

    async def put(self, events: Sequence[ReceivedEvent]) -> None:
        """Take what the reader has read; return when it may read on."""
        async with self._changed:
            self._events.extend(events)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: len(self._events) < self._ahead)

    async def fail(self, error: Exception) -> None:
        """Hear that the reader cannot go on."""
        async with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    async def run(
        self, reader: Coroutine[object, object, None], limit: int, handle: Handle
    ) -> None:
        """Hand batches to `handle` until it or the reader fails.

        Raises:
            Exception: the reader's error, or what `handle` raised.
        """
        reading = asyncio.create_task(self._watch(reader))
        try:
            while True:
                await handle(await self._next(limit))
        finally:
            reading.cancel()
            await asyncio.wait({reading})

    async def _watch(self, reader: Coroutine[object, object, None]) -> None:
        try:
            await reader
        except Exception as error:  # noqa: BLE001 - raised again where batches are taken
            await self.fail(error)
        else:
            await self.fail(ConnectionError("the reader ended"))

    async def _next(self, limit: int) -> Sequence[ReceivedEvent]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._events or self._error)
            if self._error is not None:
                raise self._error
            batch = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
            self._changed.notify_all()
            return batch
