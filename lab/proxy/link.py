"""One connection through the proxy: two pipes, one each way."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from lab.proxy.toxics import Piece, Reset, SlowClose, Toxic, Way, treated

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK: Final = 65536
_UNDER_WAY: Final = 256
"""Chunks that are under way at most, so that a slow reader is felt by a fast writer."""
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class Weather(Protocol):
    """What a link asks of its proxy."""

    def toxics(self, way: Way) -> Sequence[Toxic]:
        """Return what is bad about one way just now."""

    def strike(self) -> None:
        """Count a harm that was done."""


type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """A client's connection, and ours to the service."""

    def __init__(self, weather: Weather, client: Streams) -> None:
        self._weather = weather
        self._client = client
        self._ends = [client[1]]
        self._pipes: list[_Pipe] = []
        self._fate: asyncio.TimerHandle | None = None
        self._running = asyncio.current_task()

    async def run(self, upstream: tuple[str, int]) -> None:
        """Pass bytes on until both sides have closed.

        Raises:
            OSError: one side is gone; so is the other then.
        """
        try:
            service = await asyncio.open_connection(*upstream)
            self._ends.append(service[1])
            self._pipes = [
                _Pipe(self._weather, Way.UP, self._client[0], service[1]),
                _Pipe(self._weather, Way.DOWN, service[0], self._client[1]),
            ]
            self.changed()
            async with asyncio.TaskGroup() as piping:
                for pipe in self._pipes:
                    piping.create_task(pipe.run())
        except* OSError:
            self._abort()
        finally:
            if self._fate is not None:
                self._fate.cancel()
            for end in self._ends:
                end.close()

    def changed(self) -> None:
        """Hear that something got better or worse."""
        if self._fate is not None:
            self._fate.cancel()
            self._fate = None
        resets = [t for way in Way for t in self._weather.toxics(way) if isinstance(t, Reset)]
        if resets:
            after = min(reset.after for reset in resets)
            self._fate = asyncio.get_running_loop().call_later(after, self._strike)
        for pipe in self._pipes:
            pipe.changed.set()

    def _strike(self) -> None:
        self._weather.strike()
        self.reset()

    def reset(self) -> None:
        """End the connection as a peer does that knows of none: both sides are told so."""
        self._abort()
        if self._running is not None:
            self._running.cancel()

    def _abort(self) -> None:
        for end in self._ends:
            held: socket.socket | None = end.get_extra_info("socket")
            if held is not None:
                with suppress(OSError):
                    held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            end.transport.abort()


class _Pipe:
    """One way of a link; its end, an empty piece, may be held up or vanish like any other.

    Attributes:
        changed: to be set when the toxics are others.
    """

    def __init__(
        self,
        weather: Weather,
        way: Way,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
    ) -> None:
        self.changed = asyncio.Event()
        self._weather = weather
        self._way = way
        self._source = source
        self._sink = sink
        self._queue: asyncio.Queue[Piece] = asyncio.Queue(_UNDER_WAY)
        self._has_lost = False

    async def run(self) -> None:
        """Pass bytes on until the source has closed.

        Raises:
            OSError: one side is gone, or bytes were lost for good.
        """
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take_in())
            both.create_task(self._pass_on())

    async def _take_in(self) -> None:
        clock = asyncio.get_running_loop().time
        is_open = True
        while is_open:
            data = await self._source.read(_CHUNK)
            await self._queue.put(Piece(data, clock()))
            is_open = bool(data)

    async def _pass_on(self) -> None:
        while (piece := await self._next()).data:
            await self._treat(piece)
        self.changed.clear()
        for toxic in self._weather.toxics(self._way):
            if isinstance(toxic, SlowClose):
                self._weather.strike()
                await self._wait_until(piece.at + toxic.seconds)
        await self._treat(piece)
        if self._has_lost:
            await self._next()
        if self._sink.can_write_eof():
            self._sink.write_eof()

    async def _next(self) -> Piece:
        """Wait for the next piece; a pipe that lost bytes ends when the weather changes."""
        if not self._has_lost:
            return await self._queue.get()
        waiting = asyncio.create_task(self._queue.get())
        changing = asyncio.create_task(self.changed.wait())
        done, others = await asyncio.wait(
            {waiting, changing}, return_when=asyncio.FIRST_COMPLETED
        )
        for other in others:
            other.cancel()
        if changing in done:
            raise ConnectionResetError("bytes were lost on the way")
        return waiting.result()

    async def _treat(self, piece: Piece) -> None:
        self.changed.clear()
        clock = asyncio.get_running_loop().time
        pieces = treated(self._weather.toxics(self._way), piece, clock())
        if not pieces:
            self._has_lost = True
            self._weather.strike()
        if any(part.at > piece.at for part in pieces):
            self._weather.strike()
        for part in pieces:
            await self._wait_until(part.at)
            self._sink.write(part.data)
            await self._sink.drain()

    async def _wait_until(self, moment: float) -> None:
        """Wait, though no longer than the weather stays as it is."""
        left = moment - asyncio.get_running_loop().time()
        if left > 0 and not self.changed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self.changed.wait()
