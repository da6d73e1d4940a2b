"""The broker: every namespace of the lab on its own address."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from lab.messaging.connection import Connection
from lab.messaging.event_hubs import EventHubs
from lab.messaging.faults import Faults
from lab.messaging.service_bus import ServiceBus
from lab.messaging.site import Site
from lab.messaging.sockets import Socket
from lab.messaging.switches import Limits, Switches
from lab.messaging.trouble import Trouble
from lab.messaging.websocket import WebSocketServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.certificates import TlsFiles
    from lab.identity import Directory
    from lab.messaging.connection import Wire
    from lab.messaging.model import Namespace
    from lab.messaging.node import Service

AMQPS_PORT: Final = 5671
DOMAIN: Final = ".servicebus.windows.net"


class AddressTakenError(OSError):
    """Another process serves AMQP where a namespace should be."""


class Broker:
    """Serves all namespaces: `port` on each address, and WebSocket on `websocket_port`.

    Attributes:
        faults: how to make it misbehave.
        port: where AMQP is served; clients know no other than 5671.
    """

    def __init__(
        self,
        directory: Directory,
        namespaces: Sequence[Namespace],
        tls: TlsFiles,
        *,
        port: int = AMQPS_PORT,
        websocket_port: int | None = None,
        switches: Switches | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.port = port
        self._directory = directory
        self._limits = limits or Limits()
        switches = switches or Switches()
        self._sites = {
            namespace.name: _site(namespace, directory, switches, self._limits)
            for namespace in namespaces
        }
        self._tls = _server_context(tls)
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._websockets = (
            None if websocket_port is None else WebSocketServer(self._connect, websocket_port)
        )
        self.faults = Faults(self._sites)

    @property
    def websocket_port(self) -> int | None:
        """Where AMQP over WebSocket is served, `None` if nowhere."""
        return None if self._websockets is None else self._websockets.port

    async def start(self) -> None:
        """Serve; raises `AddressTakenError` if a port is in use."""
        try:
            await self._listen()
        except BaseException:
            await self.stop()
            raise
        self._unsubscribe = self._directory.subscribe(self._recheck)
        self._sweeper = asyncio.create_task(self._sweep())

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        addresses = sorted({site.namespace.address for site in self._sites.values()})
        for address in addresses:
            try:
                server = await loop.create_server(
                    lambda: Socket(self._connect),
                    address,
                    self.port,
                    ssl=self._tls,
                    ssl_handshake_timeout=self._limits.connection_unopened,
                    ssl_shutdown_timeout=1,
                )
            except OSError as error:
                raise AddressTakenError(
                    f"AMQP cannot be served on {address}:{self.port}: {error.strerror}. "
                    "Another lab may be running there; end it or choose another address."
                ) from error
            self._servers.append(server)
        if self._websockets is not None:
            await self._websockets.start(addresses, self._tls)

    async def stop(self) -> None:
        """Cut every connection and close every port."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.cut()
        if self._websockets is not None:
            await self._websockets.stop()
        for server in self._servers:
            await server.wait_closed()
        for site in self._sites.values():
            site.service.close()

    def _connect(self, wire: Wire, address: str) -> Connection:
        connection = Connection(
            wire,
            self._limits,
            lambda hostname: self._find(hostname, address),
            self._connections.discard,
        )
        self._connections.add(connection)
        return connection

    def _find(self, hostname: str, address: str) -> Site | None:
        """Return the namespace that a client means: by name, else by where it came in."""
        sites = self._sites.values()
        named = (site for site in sites if _is_called(site.namespace, hostname))
        here = (site for site in sites if site.namespace.address == address)
        return next(named, None) or next(here, None)

    def _recheck(self) -> None:
        for connection in tuple(self._connections):
            connection.recheck()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.sweep)
            now = time.monotonic()
            for connection in tuple(self._connections):
                connection.sweep(now)

    def state(self) -> Mapping[str, object]:
        """Return counts by namespace, ready for JSON; `links` by the address they are on."""
        return {
            name: {
                "connections": len(site.connections),
                "links": Counter(link.path for link in site.links()),
                "entities": site.service.state(),
            }
            for name, site in self._sites.items()
        }


def _is_called(namespace: Namespace, hostname: str) -> bool:
    return hostname.lower() in {namespace.address, namespace.name.lower() + DOMAIN}


def _site(
    namespace: Namespace, directory: Directory, switches: Switches, limits: Limits
) -> Site:
    trouble = Trouble()
    service: Service = (
        EventHubs(namespace, switches, trouble)
        if namespace.service == "eventhubs"
        else ServiceBus(namespace)
    )
    return Site(namespace, service, directory, switches, limits, trouble)


def _server_context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
