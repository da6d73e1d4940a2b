"""AMQP over WebSocket: `/$servicebus/websocket`, sub-protocol `AMQPWSB10`, binary frames."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from lab.messaging.connection import Connection, Wire

PATH: Final = "/$servicebus/websocket"
PROTOCOL: Final = "AMQPWSB10"
MOST_WAITING: Final = 1 << 20
"""Bytes that may wait for a client before nothing more is offered to it."""


class WebSocketWire:
    """One WebSocket as a wire: bytes are queued, and sent by its own task."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._is_closing = False
        self._changed = asyncio.Event()
        self.connection: Connection | None = None

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        if not self._is_closing:
            self._waiting.append(data)
            self._size += len(data)
            self._changed.set()
            if self._size > MOST_WAITING and self.connection is not None:
                self.connection.choke()

    def close(self) -> None:
        """Close after what was queued."""
        self._is_closing = True
        self._changed.set()

    def abort(self) -> None:
        """Cut."""
        self._is_closing = True
        self._waiting.clear()
        self._changed.set()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def pump(self) -> None:
        """Send what is queued until the wire is closed."""
        while self._waiting or not self._is_closing:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting:
                data = self._waiting.popleft()
                await self._socket.send_bytes(data)
                self._sent(len(data))
        await self._socket.close()

    def _sent(self, size: int) -> None:
        self._size -= size
        connection = self.connection
        if connection is not None and connection.is_choked and self._size < MOST_WAITING // 2:
            connection.clear()


class WebSocketServer:
    """Serves the same connections as port 5671, on one port of several addresses.

    Attributes:
        port: where; known after `start` if 0 was asked for.
    """

    def __init__(self, connect: Callable[[Wire, str], Connection], port: int) -> None:
        self.port = port
        self._connect = connect
        self._runner: web.AppRunner | None = None

    async def start(self, addresses: Sequence[str], tls: ssl.SSLContext) -> None:
        """Serve; raises `OSError` when an address cannot be bound."""
        app = web.Application()
        app.router.add_get(PATH, self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        for address in addresses:
            site = web.TCPSite(self._runner, address, self.port, ssl_context=tls)
            await site.start()
            self.port = int(self._runner.addresses[-1][1])

    async def stop(self) -> None:
        """Close every WebSocket and the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            protocols=(PROTOCOL,), max_msg_size=0, autoping=True, compress=False
        )
        await socket.prepare(request)
        wire = WebSocketWire(socket, request)
        address = request.transport.get_extra_info("sockname") if request.transport else ("",)
        wire.connection = self._connect(wire, str(address[0]))
        pump = asyncio.create_task(wire.pump())
        try:
            await self._receive(socket, wire.connection)
        finally:
            wire.close()
            wire.connection.lost()
            await asyncio.gather(pump, return_exceptions=True)
        return socket

    async def _receive(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                connection.receive(message.data)
