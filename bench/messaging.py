"""How many events a second the lab's broker takes, so that it is never what is measured.

The client here does as little as can be done: it writes transfers of a ready batch, up to a
window of unanswered ones, and reads what comes back. The broker has a process of its own.
It exits with 1 if it takes fewer events a second in batches than `--least`.

    python -m bench.messaging [--events 200000] [--batch 100] [--size 100] [--least 50000]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lab.certificates import TlsFiles, issue
from lab.identity import ROLES, Directory
from lab.messaging.broker import AMQPS_PORT, Broker
from lab.messaging.codec import Described, Ulong, Value
from lab.messaging.frames import (
    AMQP_HEADER,
    SASL_HEADER,
    Attach,
    Begin,
    Disposition,
    Flow,
    Frame,
    FrameReader,
    Open,
    Performative,
    SaslInit,
    Transfer,
    decode_frame,
    encode_frame,
)
from lab.messaging.message import Message, Properties, data, decode_message
from lab.messaging.message import value as value_section
from lab.messaging.model import Hub, Namespace
from lab.messaging.node import BATCH_FORMAT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from multiprocessing.synchronize import Event

ADDRESS = "127.91.17.3"
WINDOW = 64
FRAME_BYTES = 65536
ROOM = FRAME_BYTES - 128
LEAST = 50_000
"""Events a second, in batches, below which the broker might be what is measured."""


class RawClient:
    """An AMQP client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._frames = self._read()

    @classmethod
    async def connect(cls, address: str, ca_file: Path) -> RawClient:
        context = ssl.create_default_context(cafile=str(ca_file))
        return cls(*await asyncio.open_connection(address, AMQPS_PORT, ssl=context))

    async def _read(self) -> AsyncIterator[bytes]:
        frames = FrameReader(2**31)
        while chunk := await self._reader.read(1 << 18):
            for raw in frames.feed(chunk):
                yield raw

    async def header(self) -> bytes:
        return await anext(self._frames)

    async def frame(self) -> Frame:
        return decode_frame(await anext(self._frames))

    async def until(self, kind: type[Performative]) -> Frame:
        """Return the next frame of a kind; flows and others on the way are passed over."""
        while True:
            frame = await self.frame()
            if isinstance(frame.performative, kind):
                return frame

    def send(self, performative: Performative, payload: bytes = b"", channel: int = 1) -> None:
        self.writer.write(encode_frame(channel, performative, payload))

    def deliver(
        self, handle: int, number: int, payload: bytes, message_format: int = 0
    ) -> None:
        """Send a message in as many frames as it needs, each as the Azure SDKs write it."""
        tag = number.to_bytes(4, "big")
        for start in range(0, len(payload) or 1, ROOM):
            more = start + ROOM < len(payload)
            frame = Transfer(handle, number, tag, message_format, settled=False, more=more)
            self.send(frame, payload[start : start + ROOM])

    async def begin(self, hostname: str, window: int = 65536) -> None:
        """Open a connection and a session."""
        self.writer.write(SASL_HEADER)
        await self.header()
        await self.frame()
        self.send(SaslInit("ANONYMOUS"), channel=0)
        await self.frame()
        self.writer.write(AMQP_HEADER)
        await self.header()
        self.send(Open("raw", hostname, FRAME_BYTES), channel=0)
        self.send(Begin(None, 0, window, 65536))
        await self.until(Begin)

    def attach(self, handle: int, path: str, *, receives: bool = False, **more: Any) -> None:
        source = Described(Ulong(0x28), [path])
        target = Described(Ulong(0x29), [path])
        name = f"{handle}-{uuid4()}"
        count = None if receives else 0
        self.send(
            Attach(name, handle, receives, 0, 0, source, target, None, None, count, **more)
        )

    def grant(self, handle: int, credit: int, **more: Any) -> None:
        self.send(Flow(1, 65536, 0, 65536, handle, 0, credit, **more))

    async def put_token(self, audience: str, token: str, kind: str = "jwt") -> Message:
        """Put a token and return the reply; uses the handles 100 and 101."""
        self.attach(100, "$cbs")
        self.attach(101, "$cbs", receives=True)
        self.grant(101, 10)
        properties: dict[str, Value] = {"operation": "put-token", "type": kind}
        request = Message(
            properties=Properties(message_id=uuid4()),
            application_properties={**properties, "name": audience},
            body=value_section(token),
        )
        self.deliver(100, 0, request.encode())
        return decode_message((await self.until(Transfer)).payload)

    async def sender(self, host: str, hub: str, token: str) -> None:
        """Open a link to a hub on handle 1."""
        await self.begin(host)
        await self.put_token(f"sb://{host}/{hub}", token)
        self.attach(1, f"amqps://{host}/{hub}")
        await self.until(Attach)

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)
        await self._frames.aclose()  # type: ignore[attr-defined]  # an async generator


def ready_batch(count: int, size: int) -> bytes:
    """Return the payload of a batch as the SDKs encode it."""
    return data(data(b"x" * size)) * count


async def send_batches(client: RawClient, payload: bytes, batches: int) -> None:
    """Send a batch again and again, a window of them unanswered, until all are answered."""
    sent = answered = 0
    while answered < batches:
        while sent < min(batches, answered + WINDOW):
            sent += 1
            client.deliver(1, sent, payload, BATCH_FORMAT)
        await client.writer.drain()
        disposition = (await client.until(Disposition)).performative
        assert isinstance(disposition, Disposition)
        assert disposition.state == Described(Ulong(0x24), [])
        answered = disposition.last or answered


def a_lab(directory: Directory) -> Namespace:
    namespace = Namespace("bench", "eventhubs", ADDRESS, (Hub("hub"),))
    sender = directory.register("sender", app="bench")
    role = next(each.id for each in ROLES if each.name == "Azure Event Hubs Data Sender")
    directory.grant(sender.object_id, role, namespace.resource_id)
    return namespace


def serve(state: Path, tls: TlsFiles, ready: Event, done: Event) -> None:
    """Run the broker until `done`, then print how much of a core it used."""

    async def main() -> None:
        directory = Directory(state)
        broker = Broker(directory, [a_lab(directory)], tls)
        await broker.start()
        ready.set()
        await asyncio.to_thread(done.wait)
        await broker.stop()

    asyncio.run(main())
    print(f"broker: {time.process_time():.2f} s of processor time in all")


async def measure(state: Path, tls: TlsFiles, arguments: argparse.Namespace) -> float:
    """Return, and print, how many events a second were taken."""
    directory = Directory(state)
    a_lab(directory)
    token = directory.issue(directory.principal("sender"), "https://eventhubs.azure.net/")
    client = await RawClient.connect(ADDRESS, tls.ca_file)
    await client.sender(ADDRESS, "hub", token)
    payload = ready_batch(arguments.batch, arguments.size)
    batches = max(1, arguments.events // arguments.batch)
    started = time.perf_counter()
    await send_batches(client, payload, batches)
    seconds = time.perf_counter() - started
    count = batches * arguments.batch
    rate = count / seconds
    print(
        f"{count} events of {arguments.size} B in batches of {arguments.batch}: "
        f"{seconds:.2f} s, {rate:,.0f} events/s",
        flush=True,
    )
    await client.close()
    return rate


def shortfall(batch: int, rate: float, least: float) -> str:
    """Say that events in batches were taken too slowly; `""` if they were not."""
    if batch == 1 or rate >= least:
        return ""
    return f"too slow: {rate:,.0f} events/s, and {least:,.0f} are needed"


def main(given: Sequence[str] | None = None) -> int:
    """Measure, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--least", type=float, default=LEAST)
    arguments = parser.parse_args(given)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch)
        tls = issue(state / "tls", [ADDRESS])
        Directory(state)
        broker = context.Process(target=serve, args=(state, tls, ready, done))
        broker.start()
        try:
            if not ready.wait(20):
                raise SystemExit("the broker did not start within 20 s")
            rate = asyncio.run(measure(state, tls, arguments))
        finally:
            done.set()
            broker.join(10)
    complaint = shortfall(arguments.batch, rate, arguments.least)
    if complaint:
        print(complaint, file=sys.stderr)
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
