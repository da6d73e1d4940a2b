"""What the SDK raises for each refusal: class and `.error`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from azure.core.credentials import AzureSasCredential
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    EventDataSendError,
    EventHubError,
    OperationTimeoutError,
)

from lab.messaging.switches import Switches
from tests.lab.messaging.conftest import MakeWorld
from tests.lab.messaging.world import RECEIVER, SENDER, World, events


async def raised_by(sending: Any, kind: type[EventHubError]) -> EventHubError:
    with pytest.raises(EventHubError) as raised:
        await sending
    assert kind is type(raised.value)
    return raised.value


async def test_no_role_refuses_a_batch_at_the_link(world: World) -> None:
    producer = await world.producer(credential=world.tokens(world.principal("nobody")))

    error = await raised_by(producer.create_batch(), ConnectionLostError)

    assert error.error == "unauthorized-access"
    assert "Unauthorized access. 'Send' claim(s) are required" in str(error)
    assert f"sb://{world.namespace.address}/hub'" in str(error)


async def test_no_role_refuses_an_event_at_management(world: World) -> None:
    producer = await world.producer(credential=world.tokens(world.principal("nobody")))

    error = await raised_by(producer.send_event(EventData("x")), AuthenticationError)

    assert error.error == "unauthorized-access"


async def test_a_receiver_may_not_send(world: World) -> None:
    producer = await world.producer(credential=world.tokens(world.principal("r", RECEIVER)))

    error = await raised_by(producer.create_batch(), ConnectionLostError)

    assert error.error == "unauthorized-access"


async def test_a_role_on_another_hub_does_not_suffice(world: World) -> None:
    other = world.principal("s", SENDER, "eventhubs", "other")
    producer = await world.producer(credential=world.tokens(other))

    error = await raised_by(producer.create_batch(), ConnectionLostError)

    assert error.error == "unauthorized-access"


@pytest.mark.parametrize(
    "resource", ["https://servicebus.azure.net/", "https://storage.azure.com"]
)
async def test_a_token_for_another_service_is_refused(world: World, resource: str) -> None:
    producer = await world.producer(credential=world.tokens(resource=resource))

    error = await raised_by(producer.create_batch(), AuthenticationError)

    assert error.error == "client-error"


async def test_an_expired_token_is_refused(world: World) -> None:
    world.directory.token_lifetime = timedelta(seconds=-10)
    producer = await world.producer()

    error = await raised_by(producer.create_batch(), AuthenticationError)

    assert error.error == "client-error"


async def test_a_refusal_without_condition_tells_its_status(make_world: MakeWorld) -> None:
    world = await make_world(switches=Switches(put_token_condition=False))
    world.directory.token_lifetime = timedelta(seconds=-10)
    producer = await world.producer()

    error = await raised_by(producer.create_batch(), AuthenticationError)

    assert "ExpiredToken" in str(error)


async def test_a_shared_access_signature_is_refused(world: World) -> None:
    producer = EventHubProducerClient(
        world.namespace.address,
        "hub",
        credential=AzureSasCredential("SharedAccessSignature sr=x&sig=y&se=9999999999&skn=z"),
        connection_verify=str(world.tls.ca_file),
        retry_total=0,
        retry_backoff_factor=0,
    )
    async with producer:
        error = await raised_by(producer.create_batch(), AuthenticationError)

    assert error.error == "client-error"


async def test_an_unknown_hub_is_not_found(world: World) -> None:
    producer = await world.producer("nowhere")

    batch = await raised_by(producer.create_batch(), ConnectionLostError)
    event = await raised_by(producer.send_event(EventData("x")), ConnectError)

    assert "not-found" == batch.error == event.error
    assert f"'sb://{world.namespace.address}/nowhere' could not be found" in str(batch)


async def test_an_unknown_partition_is_named(world: World) -> None:
    producer = await world.producer()

    error = await raised_by(producer.send_event(EventData("x"), partition_id="4"), ConnectError)

    assert "Invalid partition 4" in str(error)


async def test_refusals_come_at_put_token_if_so_switched(make_world: MakeWorld) -> None:
    world = await make_world(
        switches=Switches(missing_role="put-token", unknown_entity="put-token")
    )
    nobody = await world.producer(credential=world.tokens(world.principal("nobody")))
    lost = await world.producer("nowhere")

    await raised_by(nobody.create_batch(), AuthenticationError)
    await raised_by(lost.create_batch(), AuthenticationError)


async def test_a_role_that_is_revoked_takes_effect_on_open_links(world: World) -> None:
    sender = world.principal("s", SENDER)
    producer = await world.producer(credential=world.tokens(sender))
    await producer.send_batch(events("x"), partition_id="0")

    world.directory.revoke(sender.object_id, SENDER, world.namespace.resource_id)
    error = await raised_by(
        producer.send_batch(events("y"), partition_id="0"), ConnectionLostError
    )
    world.directory.grant(sender.object_id, SENDER, world.namespace.resource_id)
    await producer.send_batch(events("z"), partition_id="0")

    assert error.error == "unauthorized-access"
    assert "'Send' claim(s) are required" in str(error)
    assert world.kept()["0"] == 2


async def test_a_revoked_role_detaches_a_waiting_consumer(world: World) -> None:
    receiver = world.principal("r", RECEIVER)
    tokens = world.tokens(receiver)

    async with world.receiving(client={"credential": tokens}, partition_id="0") as received:
        await world.until(lambda: world.consumers() == 1)
        world.directory.revoke(receiver.object_id, RECEIVER, world.namespace.resource_id)
        error = await received.error()

    assert error.error == "unauthorized-access"


@pytest.mark.parametrize(
    ("lapsed", "left"),
    [("detach-forced", 0), ("unauthorized-access", 0), ("nothing", 1)],
)
async def test_a_link_whose_token_has_run_out_fares_as_switched(
    make_world: MakeWorld, lapsed: Any, left: int
) -> None:
    world = await make_world(switches=Switches(lapsed=lapsed))
    producer = await world.producer()
    await producer.send_event(EventData("x"), partition_id="0")

    world.directory.expire_tokens()

    assert left == world.links()


async def test_a_denied_network_is_told_from_a_missing_role(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("x"), partition_id="0")

    world.broker.faults.deny_network("lab")
    links = world.links()
    with pytest.raises(EventHubError):
        await producer.send_batch(events("y"), partition_id="0")
    newcomer = await world.producer()
    error = await raised_by(newcomer.create_batch(), AuthenticationError)
    world.broker.faults.allow_network("lab")
    await producer.send_batch(events("z"), partition_id="0")

    assert links == 0
    assert "Ip has been prevented to connect to the endpoint" in str(error)
    assert world.kept()["0"] == 2


async def test_a_throttled_hub_rejects_sends(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("x"), partition_id="0")

    world.broker.faults.throttle("lab", "hub", times=2)
    error = await raised_by(
        producer.send_batch(events("y"), partition_id="0"), EventDataSendError
    )
    await producer.send_batch(events("z"), partition_id="0")

    assert error.error == "server-busy"
    assert "Error code : 50002. Please wait 4 seconds" in str(error)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("com.microsoft:timeout", "timeout"),
        ("amqp:resource-limit-exceeded", "resource-limit-exceeded"),
        ("amqp:internal-error", "internal-error"),
    ],
)
async def test_sends_are_rejected_with_the_condition_asked_for(
    world: World, condition: str, said: str
) -> None:
    producer = await world.producer()
    world.broker.faults.reject("lab", "hub", condition)

    error = await raised_by(producer.send_event(EventData("x")), EventDataSendError)

    assert said == error.error


@pytest.mark.parametrize(
    ("condition", "kind", "said"),
    [
        ("com.microsoft:server-busy", ConnectError, "server-busy"),
        ("com.microsoft:entity-disabled", ConnectError, "entity-disabled"),
    ],
)
async def test_links_are_refused_with_the_condition_asked_for(
    world: World, condition: str, kind: type[EventHubError], said: str
) -> None:
    producer = await world.producer()
    world.broker.faults.refuse_links("lab", "hub", condition)

    error = await raised_by(producer.create_batch(), kind)

    assert said == error.error


async def test_a_disabled_hub_comes_back(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("x"), partition_id="0")

    world.broker.faults.disable("lab", "hub")
    error = await raised_by(producer.send_batch(events("y"), partition_id="0"), ConnectError)
    world.broker.faults.restore("lab", "hub")
    await producer.send_batch(events("z"), partition_id="0")

    assert error.error == "entity-disabled"


async def test_a_deleted_hub_is_not_found_until_it_is_restored(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("x"), partition_id="0")

    world.broker.faults.delete("lab", "HUB")
    error = await raised_by(
        producer.send_batch(events("y"), partition_id="0"), ConnectionLostError
    )
    world.broker.faults.restore("lab", "hub")
    await producer.send_batch(events("z"), partition_id="0")

    assert error.error == "not-found"


async def test_a_link_detached_once_is_an_error_and_then_mended(world: World) -> None:
    producer = await world.producer()
    await producer.send_event(EventData("x"), partition_id="0")

    world.broker.faults.detach_links("lab", "hub")
    error = await raised_by(
        producer.send_event(EventData("y"), partition_id="0"), ConnectionLostError
    )
    await producer.send_event(EventData("z"), partition_id="0")

    assert error.error == "link:detach-forced"
    assert world.kept()["0"] == 2


async def test_a_cut_connection_is_mended_by_the_client_itself(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("x"), partition_id="0")

    world.broker.faults.cut_connections("lab")
    assert world.state()["connections"] == 0
    await producer.send_batch(events("y"), partition_id="0")

    assert world.kept()["0"] == 2


async def test_acknowledgements_lost_with_the_connection_duplicate(world: World) -> None:
    producer = await world.producer()
    await producer.send_event(EventData("x"), partition_id="0")

    world.broker.faults.drop_acknowledgements("lab", "hub", times=1, then="cut")
    await producer.send_event(EventData("y"), partition_id="0")

    assert world.kept()["0"] == 3


async def test_an_acknowledgement_that_never_comes_is_a_timeout(world: World) -> None:
    producer = await world.producer()
    await producer.send_batch(events("x"), partition_id="0")

    world.broker.faults.drop_acknowledgements("lab")
    error = await raised_by(
        producer.send_event(EventData("y"), partition_id="0", timeout=0.5),
        OperationTimeoutError,
    )

    assert error.error is None


async def test_a_frozen_namespace_answers_when_it_thaws(world: World) -> None:
    producer = await world.producer()
    await producer.send_event(EventData("x"), partition_id="0")

    world.broker.faults.freeze("lab")
    sending = asyncio.create_task(producer.send_event(EventData("y"), partition_id="0"))
    done, _ = await asyncio.wait({sending}, timeout=0.3)
    kept = world.kept()["0"]
    world.broker.faults.thaw("lab")
    await asyncio.wait_for(sending, 10)

    assert not done
    assert (kept, world.kept()["0"]) == (1, 2)


async def test_healing_ends_every_fault(world: World) -> None:
    faults = world.broker.faults
    faults.throttle("lab")
    faults.disable("lab", "hub")
    faults.deny_network("lab")

    faults.heal("lab")

    producer = await world.producer()
    await producer.send_event(EventData("x"))
    assert sum(world.kept().values()) == 1
