from __future__ import annotations

import json

import pytest
from azure.eventhub import EventData

from lab.messaging.broker import AddressTakenError, Broker
from lab.messaging.model import Hub, Namespace, Queue
from tests.lab.messaging.world import World


async def test_an_address_that_is_taken_is_named_with_the_remedy(world: World) -> None:
    second = Broker(world.directory, [world.namespace], world.tls)

    with pytest.raises(AddressTakenError) as raised:
        await second.start()

    assert f"{world.namespace.address}:5671" in str(raised.value)
    assert "choose another address" in str(raised.value)


async def test_clients_go_on_after_a_restart(world: World) -> None:
    producer = await world.producer()
    await producer.send_event(EventData("x"), partition_id="0")

    await world.broker.stop()
    world.broker = Broker(world.directory, [world.namespace], world.tls)
    await world.broker.start()
    world.stack.push_async_callback(world.broker.stop)
    await producer.send_event(EventData("y"), partition_id="0")

    assert world.kept()["0"] == 1


async def test_the_state_is_ready_for_json(world: World) -> None:
    producer = await world.producer()
    await producer.send_event(EventData("x"), partition_id="0")

    state = json.loads(json.dumps(world.broker.state()))

    assert state["lab"]["links"] == {"hub/Partitions/0": 1}
    assert state["lab"]["entities"]["hub"]["0"] == {"first": 0, "next": 1}


@pytest.mark.parametrize(
    "hostname", ["lab.servicebus.windows.net", "LAB.servicebus.windows.net"]
)
def test_a_namespace_is_known_by_its_azure_name(world: World, hostname: str) -> None:
    site = world.broker._find(hostname, "")

    assert site is not None
    assert site.namespace == world.namespace


def test_scopes_are_resource_ids() -> None:
    hubs = Namespace("a", "eventhubs", "127.0.0.1", (Hub("h"),))
    queues = Namespace("b", "servicebus", "127.0.0.2", (Queue("q"),))

    assert hubs.scope("eventhubs", "h").endswith(
        "/providers/Microsoft.EventHub/namespaces/a/eventhubs/h"
    )
    assert queues.resource_id.endswith("/providers/Microsoft.ServiceBus/namespaces/b")
