"""The way to a host, one step after the other, on this machine."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from lab.certificates import issue
from relay.causes import Cause
from relay.operations.evidence import cause_of_tls
from relay.operations.reaching import is_private, knock, resolve, shake_hands


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("172.16.0.4", True),
        ("192.168.1.1", True),
        ("127.0.0.2", True),
        ("fd12::1", True),
        ("fe80::1%eth0", True),
        ("::1", True),
        ("20.50.1.2", False),
        ("172.32.0.1", False),
        ("2603:1020::1", False),
        ("no address", False),
    ],
)
def test_an_address_lies_inside_or_not(address: str, *, inside: bool) -> None:
    assert is_private(address) is inside


async def test_an_address_resolves_to_itself_once() -> None:
    assert await resolve("127.0.0.1", 5671) == ("127.0.0.1",)


async def test_only_where_somebody_listens_is_there_an_answer() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await knock("127.0.0.1", port)
    server.close()
    await server.wait_closed()

    with pytest.raises(ConnectionRefusedError):
        await knock("127.0.0.1", port)


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    files = issue(tmp_path, ["another.example"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match="mismatch") as failed:
            await shake_hands("127.0.0.1", port, str(files.ca_file))

    assert cause_of_tls(failed.value) is Cause.TLS_NOT_TRUSTED


async def test_an_old_tls_is_refused(tmp_path: Path) -> None:
    files = issue(tmp_path, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((ssl.SSLError, ConnectionError)) as failed:
            await shake_hands("127.0.0.1", port, str(files.ca_file))

    assert cause_of_tls(failed.value) is Cause.TLS_FAILED


async def test_tls_of_our_own_authority_is_agreed_on(tmp_path: Path) -> None:
    files = issue(tmp_path, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    async with server:
        port = server.sockets[0].getsockname()[1]

        assert await shake_hands("127.0.0.1", port, str(files.ca_file)) == "TLSv1.3"
