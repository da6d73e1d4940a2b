from __future__ import annotations

import ssl

import aiohttp
import pytest
from azure.eventhub import TransportType

from lab.messaging.frames import SASL_HEADER
from tests.lab.messaging.conftest import MakeWorld
from tests.lab.messaging.world import World, events


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world(websocket=True)


def over_websocket(world: World) -> dict[str, object]:
    return {
        "transport_type": TransportType.AmqpOverWebsocket,
        "custom_endpoint_address": (
            f"https://{world.namespace.address}:{world.broker.websocket_port}"
        ),
    }


async def test_events_are_sent_and_received_over_websocket(world: World) -> None:
    producer = await world.producer(**over_websocket(world))
    await producer.send_batch(events("a", "b" * 300_000), partition_id="0")

    assert await world.first(2, client=over_websocket(world)) == ["a", "b" * 300_000]


async def test_frames_may_be_split_over_messages(world: World) -> None:
    url = (
        f"https://{world.namespace.address}:{world.broker.websocket_port}/$servicebus/websocket"
    )
    context = ssl.create_default_context(cafile=str(world.tls.ca_file))
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=("AMQPWSB10",), ssl=context) as socket,
    ):
        await socket.send_bytes(SASL_HEADER[:3])
        await socket.send_bytes(SASL_HEADER[3:])
        answer = await socket.receive_bytes(timeout=5)

    assert socket.protocol == "AMQPWSB10"
    assert answer.startswith(SASL_HEADER)
