"""An HTTP server of the lab: one aiohttp application on one loopback address."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    import ssl

_GRACE_SECONDS: Final = 0.2
"""How long a request may go on after the server was stopped: some hang on purpose."""


class PortInUseError(OSError):
    """Something else listens where the lab wants to."""

    def __init__(self, what: str, address: str, port: int) -> None:
        super().__init__(
            errno.EADDRINUSE,
            f"{what} can't listen on {address}:{port}: the port is in use, perhaps by another "
            f"lab. See who has it with `ss -ltnp 'sport = :{port}'`, end that, or choose "
            "another port",
        )


class HttpServer:
    """Serves an application until it is stopped; may be started again, on the same port.

    Attributes:
        address: where it listens.
        port: likewise; known once it has started.
        front: the port of a proxy that stands before it; 0 if none does.
    """

    def __init__(
        self,
        what: str,
        app: web.Application,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address = address
        self.port = port
        self.front = 0
        self._what = what
        self._tls = tls
        self._app = app
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Return scheme, address and port for clients, known once the server has started."""
        return f"{'https' if self._tls else 'http'}://{self.address}:{self.front or self.port}"

    @property
    def running(self) -> bool:
        """Tell whether it serves."""
        return self._runner is not None

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: the port is taken.
        """
        runner = web.AppRunner(
            self._app,
            access_log=None,
            auto_decompress=False,
            handler_cancellation=True,
            shutdown_timeout=_GRACE_SECONDS,
        )
        await runner.setup()
        try:
            await web.TCPSite(
                runner, self.address, self.port, ssl_context=self._tls, reuse_address=True
            ).start()
        except OSError as error:
            await runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(self._what, self.address, self.port) from error
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
