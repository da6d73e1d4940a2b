"""Lets one at a time use a stream of a sink; who waits is spared a failure of his own."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from relay.failures import DeliveryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from relay.event import Event
    from relay.sending import Sink

_OPENING: Final = "\0opening"


class InTurn:
    """A sink whose streams are used in turn; it is a `Sink` itself.

    The clients of the Azure SDKs take one call at a time, and lanes of arrival side by side
    want the same stream. A destination that fails takes seconds to say so: whoever waited for
    his turn meanwhile is told the same at once, so that the failure is paid for only once.

    Args:
        sink: the one to be used in turn.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._is_used = False
        self._failed = 0
        self._error: DeliveryError | None = None

    async def open(self, count: float = math.inf) -> None:
        """Make ready to send so many events."""
        async with self._turn(_OPENING):
            self._is_used = True
            await self._sink.open(count)

    async def open_ahead(self) -> None:
        """Open a link before anything is to be sent; whoever comes meanwhile waits for it."""
        async with self._turn(_OPENING):
            if not self._is_used:
                await self._sink.probe()

    def stream(self, event: Event) -> str:
        """Return the stream that the event belongs on."""
        return self._sink.stream(event)

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        """Send events of one stream in order when its turn has come."""
        async with self._turn(stream):
            await self._sink.send(stream, events)

    async def probe(self) -> None:
        """Find out whether the destination lets the relay in, when nobody opens it."""
        async with self._turn(_OPENING):
            await self._sink.probe()

    async def close(self) -> None:
        """Let go of connections."""
        await self._sink.close()

    @asynccontextmanager
    async def _turn(self, stream: str) -> AsyncIterator[None]:
        failed_before = self._failed
        turn = self._turns.get(stream) or asyncio.Lock()
        self._turns[stream] = turn  # forgotten when nobody holds or awaits it any more
        async with turn:
            if self._error is not None and self._failed > failed_before:
                raise DeliveryError(
                    self._error.reason,
                    self._error.detail,
                    refusal=self._error.refusal,
                    wait=self._error.wait,
                )
            try:
                yield
            except DeliveryError as error:
                if not error.reason.traits.isolates_event:
                    self._failed, self._error = self._failed + 1, error
                raise
