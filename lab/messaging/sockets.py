"""AMQP straight over TLS: sockets as wires."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.messaging.connection import Connection, Wire


class Socket(asyncio.Protocol):
    """One TLS socket, and the connection that it carries."""

    def __init__(self, connect: Callable[[Wire, str], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = transport.get_extra_info("sockname")
        self._connection = self._connect(self, str(address[0]))

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self._connection is not None:
            self._connection.receive(data)

    def pause_writing(self) -> None:
        """Take notice that the client reads too slowly."""
        if self._connection is not None:
            self._connection.choke()

    def resume_writing(self) -> None:
        """Take notice that it has caught up."""
        if self._connection is not None:
            self._connection.clear()

    def connection_lost(self, error: Exception | None) -> None:
        """Take notice of the end."""
        del error
        if self._connection is not None:
            self._connection.lost()

    def write(self, data: bytes) -> None:
        """Send bytes; a closing TLS transport must not be written to."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close after what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut."""
        if self._transport is not None:
            self._transport.abort()
