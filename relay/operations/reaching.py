"""The way to a host, step by step: its name, its port, its TLS. Nothing is said to it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

SECONDS: Final = 5.0


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name.

    Raises:
        OSError: there are none.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def is_private(address: str) -> bool:
    """Whether an address lies inside: in a network of one's own, or on this machine."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_private
    except ValueError:
        return False


async def knock(host: str, port: int) -> None:
    """See whether somebody listens.

    Raises:
        OSError: nobody does.
    """
    async with asyncio.timeout(SECONDS):
        _, writer = await asyncio.open_connection(host, port)
    await _close(writer)


async def shake_hands(host: str, port: int, ca_file: str | None) -> str:
    """Agree on TLS and return its version.

    Raises:
        OSError: there was no agreement.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    async with asyncio.timeout(SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    version = writer.get_extra_info("ssl_object").version()
    await _close(writer)
    return str(version)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
