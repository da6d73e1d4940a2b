"""Calls of an SDK over a link that may have died without a word."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Protocol

CALL_SECONDS: Final = 10.0
"""For one call, which else may wait for ever; a service that works answers within one."""


class Closable(Protocol):
    """A client of an SDK."""

    async def close(self) -> None:
        """Close its connections; over a dead one that takes its time."""


class Aside:
    """Closes clients that nobody waits for any more."""

    def __init__(self) -> None:
        self._closing: set[asyncio.Task[None]] = set()

    def close(self, client: Closable) -> None:
        """Close a client in the background; how that ends is of no interest."""
        closing = asyncio.create_task(_close(client))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _close(client: Closable) -> None:
    with suppress(Exception):
        async with asyncio.timeout(CALL_SECONDS):
            await client.close()
