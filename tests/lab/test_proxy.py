"""The proxy with toxics, between a client and a server of bytes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.certificates import TlsFiles
from lab.proxy import (
    BOTH,
    Bandwidth,
    Latency,
    Outage,
    Proxy,
    Reset,
    Silence,
    Slicer,
    SlowClose,
    Toxic,
    Way,
)
from lab.proxy.toxics import Piece, treated
from lab.serving import PortInUseError

pytestmark = pytest.mark.timeout(20)

SECONDS = st.floats(0, 50)


# Decisions


def pure_toxics() -> st.SearchStrategy[Toxic]:
    return st.one_of(
        st.just(Toxic()),
        st.builds(Latency, SECONDS, SECONDS),
        st.builds(Bandwidth, st.integers(1, 10_000)),
        st.builds(Slicer, st.integers(1, 50), SECONDS),
        st.builds(lambda a, b, c: Outage(a, a + b, c), st.floats(0.1, 9), SECONDS, SECONDS),
        st.just(Reset(1.0)),
        st.just(SlowClose(1.0)),
    )


@given(st.lists(pure_toxics(), max_size=4), st.binary(max_size=300), SECONDS, SECONDS)
def test_what_is_not_swallowed_goes_on_whole_and_never_early(
    toxics: Sequence[Toxic], data: bytes, at: float, later: float
) -> None:
    pieces = treated(toxics, Piece(data, at), at + later)

    assert data == b"".join(piece.data for piece in pieces)
    assert all(piece.at >= at for piece in pieces)


@given(st.lists(pure_toxics(), max_size=3), st.binary(max_size=300))
def test_what_is_swallowed_is_gone_whatever_else_is_bad(
    toxics: Sequence[Toxic], data: bytes
) -> None:
    assert [] == treated([*toxics, Silence()], Piece(data, 0.0), 0.0)


@given(st.integers(1, 10**6), st.binary(min_size=1, max_size=1000), SECONDS)
def test_no_more_bytes_pass_than_the_bandwidth_allows(
    rate: int, data: bytes, now: float
) -> None:
    pieces = treated([Bandwidth(rate)], Piece(data, 0.0), now)

    assert pieces[-1].at == pytest.approx(now + len(data) / rate)


@pytest.mark.parametrize(
    ("at", "goes_on"),
    [(99.0, 99.0), (100.0, 110.0), (109.9, 110.0), (110.0, 110.0), (129.0, 129.0), (131, 140)],
)
def test_an_outage_holds_up_what_falls_into_it(at: float, goes_on: float) -> None:
    (piece,) = treated([Outage(10, 30, since=100.0)], Piece(b"x", at), at)

    assert goes_on == piece.at


# On the wire


@dataclass
class Place:
    """A server that keeps what it is sent and answers with the same, behind a proxy.

    Attributes:
        took: what came, connection by connection.
        closed: set when a client's end was heard.
    """

    proxy: Proxy
    took: list[bytearray] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = bytearray()
        self.took.append(mine)
        try:
            while data := await reader.read(65536):
                mine += data
                self.came.set()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        self.closed.set()
        writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.proxy.address, self.proxy.port)

    async def echo(self, data: bytes) -> bytes:
        reader, writer = await self.connect()
        try:
            writer.write(data)
            return await reader.readexactly(len(data))
        finally:
            writer.close()


@asynccontextmanager
async def a_place(
    *toxics: Toxic, ways: Sequence[Way] = BOTH, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Place]:
    place = Place(Proxy("nothing", ("127.0.0.1", 0)))
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0, ssl=tls)
    place.proxy = Proxy("a test's proxy", server.sockets[0].getsockname())
    await place.proxy.start()
    for toxic in toxics:
        place.proxy.add(toxic, ways)
    try:
        yield place
    finally:
        await place.proxy.stop()
        server.close()


async def test_without_toxics_everything_passes_as_it_is() -> None:
    data = bytes(range(256)) * 8192
    async with a_place() as place:
        reader, writer = await place.connect()
        writer.write(data)
        echoed = await reader.readexactly(len(data))
        writer.write_eof()
        assert b"" == await reader.read()
        writer.close()

        assert data == echoed == place.took[0]
        assert 0 == place.proxy.struck


async def test_tls_passes_through(tls: TlsFiles) -> None:
    serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serves.load_cert_chain(tls.cert_file, tls.key_file)
    trusts = ssl.create_default_context(cafile=tls.ca_file)
    async with a_place(Slicer(7), tls=serves) as place:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", place.proxy.port, ssl=trusts, server_hostname="127.0.0.1"
        )
        writer.write(b"a secret")
        assert b"a secret" == await reader.readexactly(8)
        writer.close()

    assert place.proxy.struck == 0


@pytest.mark.parametrize(
    "toxic",
    [Latency(0.05, 0.02), Bandwidth(100_000), Slicer(100, 0.001)],
    ids=lambda toxic: type(toxic).__name__,
)
async def test_what_is_slow_arrives_whole_and_in_order(toxic: Toxic) -> None:
    data = bytes(range(250)) * 10
    async with a_place(toxic) as place:
        assert data == await place.echo(data)
        assert place.proxy.struck > 0


async def test_what_is_held_up_goes_on_at_once_when_all_is_well_again() -> None:
    async with a_place(Latency(3600)) as place:
        echoing = asyncio.create_task(place.echo(b"late"))
        await eventually(lambda: place.proxy.struck > 0)
        assert [bytearray()] == place.took
        place.proxy.clear()

        assert b"late" == await echoing


async def test_one_way_may_be_dead_while_the_other_lives() -> None:
    async with a_place(Silence(), ways=(Way.DOWN,)) as place:
        echoing = asyncio.create_task(place.echo(b"hello"))
        await eventually(lambda: place.proxy.struck > 0)
        assert not echoing.done()
        assert [b"hello"] == place.took
        place.proxy.clear()

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await echoing


async def test_the_end_of_a_connection_vanishes_too() -> None:
    async with a_place(Silence(), ways=(Way.UP,)) as place:
        _, writer = await place.connect()
        await eventually(lambda: len(place.took) == 1)
        writer.close()
        await eventually(lambda: place.proxy.struck > 0)

        assert not place.closed.is_set()
        place.proxy.clear()
        await place.closed.wait()


async def test_a_connection_that_lost_nothing_lives_on_after_a_silence() -> None:
    async with a_place() as place:
        reader, writer = await place.connect()
        place.proxy.add(Silence())
        place.proxy.clear()
        writer.write(b"still here")

        assert b"still here" == await reader.readexactly(10)
        writer.close()


async def test_in_an_outage_nothing_passes_and_afterwards_everything_has() -> None:
    now = asyncio.get_running_loop().time()
    async with a_place(Outage(0.3, 60, since=now)) as place:
        assert b"hello" == await place.echo(b"hello")
        assert asyncio.get_running_loop().time() >= now + 0.3


async def test_a_reset_is_heard_by_both_sides() -> None:
    async with a_place() as place:
        reader, writer = await place.connect()
        writer.write(b"x")
        await reader.readexactly(1)
        place.proxy.add(Reset())

        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        await place.closed.wait()
        assert place.proxy.struck > 0
        writer.close()


async def test_new_connections_are_reset_too_while_it_lasts() -> None:
    async with a_place(Reset(0.01)) as place:
        for _ in range(2):
            reader, writer = await place.connect()
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            writer.close()
        place.proxy.clear()

        assert b"well" == await place.echo(b"well")


async def test_who_closes_is_heard_late() -> None:
    async with a_place(SlowClose(0.2)) as place:
        _, writer = await place.connect()
        await eventually(lambda: len(place.took) == 1)
        closed = asyncio.get_running_loop().time()
        writer.close()
        await place.closed.wait()

        assert asyncio.get_running_loop().time() >= closed + 0.2


async def test_where_nobody_listens_connections_are_refused_until_somebody_does() -> None:
    async with a_place() as place:
        reader, writer = await place.connect()
        await eventually(lambda: len(place.took) == 1)
        await place.proxy.down()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await place.connect()
        await place.proxy.up()

        assert b"again" == await place.echo(b"again")
        writer.close()


async def test_a_client_is_reset_where_the_service_is_gone() -> None:
    proxy = Proxy("a test's proxy", ("127.0.0.1", 1))
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    await proxy.stop()


async def test_a_port_that_is_taken_is_named() -> None:
    async with a_place() as place:
        with pytest.raises(PortInUseError, match=str(place.proxy.port)):
            await Proxy("another", ("127.0.0.1", 1), port=place.proxy.port).start()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
