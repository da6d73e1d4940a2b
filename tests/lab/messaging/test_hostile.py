"""Whatever a client sends ends that client's connection and nothing else."""

from __future__ import annotations

import asyncio
import random
import ssl

from azure.eventhub import EventData

from bench.messaging import RawClient
from lab.messaging.broker import AMQPS_PORT
from lab.messaging.frames import (
    AMQP_HEADER,
    SASL_HEADER,
    Attach,
    Begin,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    SaslInit,
    Transfer,
    encode_frame,
)
from lab.messaging.switches import Limits
from tests.lab.messaging.conftest import MakeWorld
from tests.lab.messaging.world import World

SEED = 20261122
SENDS = False
RECEIVER = True
GREETING = SASL_HEADER + encode_frame(0, SaslInit("ANONYMOUS")) + AMQP_HEADER


def conversation(hostname: str) -> bytes:
    """Return all that a client might say in one breath."""
    return GREETING + b"".join(
        (
            encode_frame(0, Open("x", hostname, 65536)),
            encode_frame(1, Begin(None, 0, 100, 100)),
            encode_frame(1, Attach("a", 1, SENDS, 0, 0)),
            encode_frame(1, Flow(0, 100, 0, 100, 1, 0, 2**32 - 1, drain=True, echo=True)),
            encode_frame(1, Transfer(1, 0, b"t", 0), b"\x00\x53\x75\xa0\x01x"),
            encode_frame(1, Disposition(RECEIVER, 0, 2**32 - 1, settled=True)),
            encode_frame(1, Detach(1, closed=True)),
            encode_frame(1, End()),
        )
    )


def mutated(raw: bytes, chance: random.Random) -> bytes:
    """Return bytes changed, cut or made up."""
    kind = chance.randrange(3)
    if kind == 0:
        return raw[: chance.randrange(len(raw))]
    if kind == 1:
        return GREETING + chance.randbytes(200)
    changed = bytearray(raw)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(GREETING), len(changed))] = chance.randrange(256)
    return bytes(changed)


async def say(world: World, context: ssl.SSLContext, raw: bytes) -> None:
    """Say it, hear what comes for a moment, and go."""
    reader, writer = await asyncio.open_connection(
        world.namespace.address, AMQPS_PORT, ssl=context
    )
    writer.write(raw)
    await asyncio.wait({asyncio.create_task(reader.read())}, timeout=0.02)
    writer.transport.abort()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_a_good_client_works_after_hundreds_of_bad_ones(world: World) -> None:
    chance = random.Random(SEED)
    context = ssl.create_default_context(cafile=str(world.tls.ca_file))
    raw = conversation(world.namespace.address)

    for _ in range(8):
        await asyncio.gather(*(say(world, context, mutated(raw, chance)) for _ in range(25)))

    producer = await world.producer()
    await producer.send_event(EventData("x"))
    assert sum(world.kept().values()) == 1
    await world.until(lambda: world.state()["connections"] == 1)


async def test_a_frame_that_claims_to_be_huge_ends_its_connection(world: World) -> None:
    client = await RawClient.connect(world.namespace.address, world.tls.ca_file)
    await client.begin(world.namespace.address)

    client.writer.write(b"\x7f\xff\xff\xff\x02\x00\x00\x00")
    await world.until(lambda: world.state()["connections"] == 0)

    await client.close()


async def test_a_connection_that_never_opens_is_reaped(make_world: MakeWorld) -> None:
    world = await make_world(limits=Limits(connection_unopened=0.2, sweep=0.05))
    client = await RawClient.connect(world.namespace.address, world.tls.ca_file)
    client.writer.write(SASL_HEADER)
    await client.header()
    assert len(world.broker._connections) == 1

    await world.until(lambda: not world.broker._connections)

    await client.close()
