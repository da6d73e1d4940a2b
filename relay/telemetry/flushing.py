"""Hands over what is buffered, in a thread of its own: nobody waits long for it."""

from __future__ import annotations

import asyncio
import math
import threading
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 1.0
"""Seconds that an invocation waits at its end."""
OFTEN: Final = 5.0
"""Seconds between two flushes that are not urgent: under load, each hands over many batches."""
PAUSE: Final = 60.0
"""Seconds after a flush that took longer, for which nobody waits again."""


@dataclass(frozen=True, slots=True)
class _Request:
    """Somebody wants everything handed over; the last one wants an end of it, too."""

    loop: asyncio.AbstractEventLoop
    done: asyncio.Event
    is_last: bool

    def answer(self) -> None:
        """Say that it is done, if somebody is there still."""
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self.loop.call_soon_threadsafe(self.done.set)


class Flusher:
    """Flushes on request; requests that come together are one.

    A thread of its own, since exporters block; a daemon, since a telemetry endpoint that never
    answers must not keep the process alive.

    Args:
        flush: hands over everything, however long that takes.
        end: lets go of everything, however long that takes.
        patience: seconds that who asks waits at most.
        pause: seconds for which nobody waits after that was not enough.
    """

    def __init__(
        self,
        flush: Callable[[], None],
        end: Callable[[], None],
        patience: float = PATIENCE,
        pause: float = PAUSE,
    ) -> None:
        self._flush = flush
        self._end = end
        self._patience = patience
        self._pause = pause
        self._requests: SimpleQueue[_Request] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._not_before = -math.inf
        self._flushed = -math.inf

    async def __call__(self, *, is_urgent: bool = False) -> None:
        """Hand over what is buffered, or give up waiting for that.

        Args:
            is_urgent: whether to do so though it was done only seconds ago.
        """
        now = asyncio.get_running_loop().time()
        if is_urgent or now - self._flushed >= OFTEN:
            await self._ask(is_last=False)

    async def close(self) -> None:
        """Hand over what is buffered and let go of everything, or give up waiting for that."""
        await self._ask(is_last=True)

    async def _ask(self, *, is_last: bool) -> None:
        loop = asyncio.get_running_loop()
        may_wait = loop.time() >= self._not_before
        if not (may_wait or is_last):
            return
        self._flushed = loop.time()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
        request = _Request(loop, asyncio.Event(), is_last)
        self._requests.put(request)
        try:
            async with asyncio.timeout(self._patience if may_wait else 0):
                await request.done.wait()
        except TimeoutError:
            self._not_before = loop.time() + self._pause

    def _run(self) -> None:
        is_last = False
        while not is_last:
            requests = [self._requests.get()]
            while not self._requests.empty():
                requests.append(self._requests.get())
            is_last = any(request.is_last for request in requests)
            with suppress(Exception):
                (self._end if is_last else self._flush)()
            for request in requests:
                request.answer()
