"""A TCP proxy on one address: it listens where clients knock, and passes bytes on, or not."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import TYPE_CHECKING

from lab.proxy.link import Link
from lab.proxy.toxics import BOTH, Toxic, Way
from lab.serving import PortInUseError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Proxy:
    """Stands before one service.

    Attributes:
        address: where it listens.
        port: likewise; known once it has started.
        struck: how often a toxic has held up or swallowed bytes, or ended a connection.
    """

    def __init__(self, what: str, upstream: tuple[str, int], *, port: int = 0) -> None:
        self.address = upstream[0]
        self.port = port
        self.struck = 0
        self._what = what
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._toxics: dict[Way, tuple[Toxic, ...]] = dict.fromkeys(Way, ())
        self._links: set[Link] = set()
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: the port is taken.
        """
        try:
            server = await asyncio.start_server(self._accept, self.address, self.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(self._what, self.address, self.port) from error
            raise
        self._server = server
        self.port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer, and end every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in tuple(self._links):
            link.reset()
        await asyncio.gather(*self._running, return_exceptions=True)

    def toxics(self, way: Way) -> Sequence[Toxic]:
        """Return what is bad about one way just now."""
        return self._toxics[way]

    def add(self, toxic: Toxic, ways: Sequence[Way] = BOTH) -> None:
        """Let something be bad, on open connections too."""
        for way in ways:
            self._toxics[way] += (toxic,)
        self._changed()

    def clear(self) -> None:
        """Let everything be good: what was held up goes on at once."""
        self._toxics = dict.fromkeys(Way, ())
        self._changed()

    async def down(self) -> None:
        """Let nobody listen, and end every connection."""
        self.struck += len(self._links)
        await self.stop()

    async def up(self) -> None:
        """Listen again, where it was.

        Raises:
            PortInUseError: the port has been taken meanwhile.
        """
        if self._server is None:
            await self.start()

    def strike(self) -> None:
        """Count a harm that was done."""
        self.struck += 1

    def _changed(self) -> None:
        for link in tuple(self._links):
            link.changed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        link = Link(self, (reader, writer))
        self._links.add(link)
        try:
            # Whoever stops a loop cancels; a connection that ends badly is no news.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await link.run(self._upstream)
        finally:
            self._links.discard(link)
