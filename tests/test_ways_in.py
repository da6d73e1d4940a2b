"""Every way in, by real SDKs, real HTTP and the real worker, to an independent reader."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import batched, islice
from pathlib import Path

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from lab.audit import Access, Received, read_dead_letters, read_hub
from lab.certificates import server_context
from lab.credential import managed_identity
from lab.event_grid import HandshakeFailed, Subscription
from lab.event_grid.tokens import APP_ROLE, SPOILT
from lab.functions_host import FunctionsHost, LogRecord
from lab.local_azure import LocalAzure
from lab.messaging.model import Namespace, Queue, Topic
from lab.messaging.model import Subscription as BusSubscription
from lab.plan import DEAD_LETTERS, Connection, Grant, Plan, free_block, plant_plan
from lab.twins import POISON, Layout, Message, Notification, Plant, TopicSender
from tests.fakes import NOON

APP = Path(__file__).parents[1]
SECONDS = 40.0
AUDIENCE = "api://twin-relay"
SENDER_ROLE = "Azure Event Hubs Data Sender"
ROUTES = json.dumps(
    [
        {
            "name": "everything",
            "filter": "true",
            "destination": {"connection": "ANALYTICS", "eventHub": "telemetry"},
        }
    ]
)
TOPICS = {"plant-a": "TOPIC", "plant-a-cloud-events": "CLOUD_EVENTS_TOPIC"}

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("ways-in"),
    pytest.mark.timeout(90),
]


def the_plan(block: str) -> Plan:
    """The plant's plan, with a Service Bus namespace to come in by."""
    plan = plant_plan(block)
    bus = Namespace(
        "bus",
        "servicebus",
        f"{block}.5",
        (
            Queue("plain"),
            Queue("impatient", max_delivery_count=3),
            Queue("sessions", session=True),
            Topic("twin-events", (BusSubscription("relay"),)),
        ),
    )
    relay, *others = plan.apps
    relay = replace(
        relay, connections=(*relay.connections, Connection("INGRESS_SERVICE_BUS", "bus"))
    )
    return replace(
        plan,
        apps=(relay, *others),
        namespaces=(*plan.namespaces, bus),
        grants=(
            *plan.grants,
            Grant("relay", "Azure Service Bus Data Receiver", bus.resource_id),
            Grant("digital-twins", "Azure Service Bus Data Sender", bus.resource_id),
            Grant("auditor", "Azure Service Bus Data Receiver", bus.resource_id),
        ),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    """One for all tests here: each sends events of its own. Event Grid's clock runs fast."""
    state = tmp_path_factory.mktemp("azure")
    async with LocalAzure(the_plan(free_block()), state, event_grid_time_scale=0.01) as running:
        yield running


@dataclass
class World:
    """The relay with one way in, and everybody who looks at it."""

    azure: LocalAzure
    host: FunctionsHost
    url: str = ""
    records: list[LogRecord] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, record: LogRecord) -> None:
        self.records.append(record)
        self.heard.set()

    def count(self, name: str) -> int:
        return sum(int(str(r.properties["count"])) for r in self.records if r.message == name)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                self.heard.clear()
                await self.heard.wait()

    async def arrived(self, sent: Sequence[Notification]) -> list[Received]:
        """What of these events the destination has, in its order."""
        async with identity(self.azure, "auditor") as auditor:
            address = self.azure.namespace("analytics").address
            access = Access(address, auditor, str(self.azure.tls.ca_file))
            found = await read_hub(access, "telemetry", "audit")
        return [each for each in found if source_of(each).startswith(host_of(sent))]

    async def kept(self) -> Mapping[str, object]:
        async with identity(self.azure, "auditor") as auditor:
            return await read_dead_letters(
                self.azure.storage.url, DEAD_LETTERS, auditor, str(self.azure.tls.ca_file)
            )


@asynccontextmanager
async def identity(azure: LocalAzure, app: str) -> AsyncIterator[object]:
    access = azure.access(app)
    async with managed_identity(
        access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"]
    ) as found:
        yield found


@asynccontextmanager
async def relay(azure: LocalAzure, **settings: str) -> AsyncIterator[World]:
    own = {
        name: value
        for name, value in azure.settings("relay").items()
        if name not in {"INGRESS_EVENT_HUB", "INGRESS_CONSUMER_GROUP"}
    }
    host = FunctionsHost(
        APP,
        own | {"RELAY_ROUTES": ROUTES} | settings,
        on_log=lambda record: world.hear(record),  # noqa: PLW0108 - the world comes after its host
        ca_file=azure.tls.ca_file,
        time_scale=0.01,
    )
    world = World(azure, host)
    try:
        await host.start()
        world.url = await host.listen(tls=server_context(azure.tls))
        yield world
    finally:
        await host.stop()


SEEDS: Iterator[int] = iter(range(100, 200))


def some_events(count: int) -> list[Notification]:
    """Events of an instance that no other test has."""
    seed = next(SEEDS)
    host = f"plant-{seed}.api.weu.digitaltwins.azure.net"
    return list(islice(Plant(seed, NOON, layout=Layout(1, 1, 3, 2), host=host), count))


def of_two_twins(events: Sequence[Notification]) -> list[Notification]:
    """Few sessions: the host keeps each until it was idle for a while."""
    twins = [twin for twin, _ in Counter(event.twin_id for event in events).most_common(2)]
    return [event for event in events if event.twin_id in twins]


def host_of(events: Sequence[Notification]) -> str:
    return events[0].attributes["source"].partition("/")[0]


def source_of(message: Received) -> str:
    return str(message.properties["cloudEvents:source"])


def assert_unchanged(sent: Sequence[Notification], arrived: Sequence[Received]) -> None:
    """Attributes and bytes are those that were sent; what came twice came twice unchanged."""
    expected = {event.key: event.as_amqp() for event in sent}
    assert expected.keys() == {key_of(each) for each in arrived}
    for each in arrived:
        message = expected[key_of(each)]
        assert message.body == each.body
        assert message.properties == each.properties
        assert message.content_type == each.content_type


def key_of(message: Received) -> tuple[str, str]:
    return source_of(message), str(message.properties["cloudEvents:id"])


# Service Bus


async def send_to_bus(
    azure: LocalAzure, entity: str, messages: Sequence[Message], session: Sequence[str] = ()
) -> None:
    async with (
        identity(azure, "digital-twins") as plant,
        ServiceBusClient(
            azure.namespace("bus").address, plant, connection_verify=str(azure.tls.ca_file)
        ) as client,
        client.get_topic_sender(entity)
        if entity == "twin-events"
        else client.get_queue_sender(entity) as sender,
    ):
        await sender.send_messages(
            [
                ServiceBusMessage(
                    message.body,
                    application_properties=dict(message.properties),
                    content_type=message.content_type,
                    session_id=session[n] if session else None,
                )
                for n, message in enumerate(messages)
            ]
        )


@pytest.mark.parametrize(
    ("entity", "batches"), [("plain", "false"), ("plain", "true"), ("twin-events", "true")]
)
async def test_events_of_a_queue_and_of_a_subscription_arrive_unchanged(
    azure: LocalAzure, entity: str, batches: str
) -> None:
    topic = {"INGRESS_TOPIC": entity, "INGRESS_SUBSCRIPTION": "relay"}
    named = topic if entity == "twin-events" else {"INGRESS_QUEUE": entity}
    events = some_events(30)
    async with relay(azure, **named, INGRESS_BATCHES=batches) as world:
        await send_to_bus(azure, entity, [event.as_amqp() for event in events])
        await world.until(lambda: world.count("relay.delivered") >= len(events))

        assert_unchanged(events, await world.arrived(events))


@pytest.mark.parametrize("batches", ["true", "false"])
async def test_a_session_keeps_its_order_through_dead_letters_and_redrive(
    azure: LocalAzure, batches: str
) -> None:
    settings = {"INGRESS_QUEUE": "sessions", "INGRESS_SESSIONS": "true"}
    events = of_two_twins(some_events(300))[:24]
    assert 24 == len(events)
    scope = azure.control.scope("analytics/telemetry")
    async with relay(azure, **settings, INGRESS_BATCHES=batches) as world:
        for start in range(0, 24, 8):
            part = events[start : start + 8]
            if start == 8:
                azure.control.revoke("relay", SENDER_ROLE, scope)
            await send_to_bus(
                azure, "sessions", [e.as_amqp() for e in part], [e.twin_id for e in part]
            )
            if start == 0:
                await world.until(lambda: world.count("relay.delivered") >= 8)
            if start == 8:
                await world.until(lambda: world.count("relay.dead_lettered") >= 8)
                azure.control.grant("relay", SENDER_ROLE, scope)
        await world.until(
            lambda: world.count("relay.delivered") + world.count("relay.dead_lettered") >= 24
        )
        await world.host.invoke_timer("redrive")
        await world.until(
            lambda: world.count("relay.delivered") + world.count("relay.redriven") >= 24
        )
        arrived = await world.arrived(events)

    assert_unchanged(events, arrived)
    order = {event.key: n for n, event in enumerate(events)}
    seen = dict.fromkeys(key_of(each) for each in arrived)
    for twin in {event.twin_id for event in events}:
        keys = {event.key for event in events if event.twin_id == twin}
        numbers = [order[each] for each in seen if each in keys]
        assert numbers == sorted(numbers)


async def test_poison_on_a_queue_is_kept_and_harms_no_neighbour(azure: LocalAzure) -> None:
    events = some_events(10)
    async with relay(azure, INGRESS_QUEUE="plain") as world:
        await send_to_bus(
            azure, "plain", [*POISON.values(), *(event.as_amqp() for event in events)]
        )
        await world.until(lambda: world.count("relay.malformed") >= len(POISON))
        await world.until(lambda: world.count("relay.delivered") >= len(events))

        assert_unchanged(events, await world.arrived(events))
        assert len((await world.kept())["_malformed"]) >= len(POISON)


async def test_what_neither_destination_nor_blob_takes_ends_in_the_queues_own_dead_letters(
    azure: LocalAzure,
) -> None:
    events = some_events(2)
    scope, blob = azure.control.scope("analytics/telemetry"), azure.control.scope(DEAD_LETTERS)
    contributor = "Storage Blob Data Contributor"
    azure.control.revoke("relay", SENDER_ROLE, scope)
    azure.control.revoke("relay", contributor, blob)
    async with relay(azure, INGRESS_QUEUE="impatient") as world:
        await send_to_bus(azure, "impatient", [event.as_amqp() for event in events])
        await world.until(lambda: world.host.counts.get("failed", 0) >= 6)
        azure.control.grant("relay", SENDER_ROLE, scope)
        azure.control.grant("relay", contributor, blob)
        async with (
            identity(azure, "auditor") as auditor,
            ServiceBusClient(
                azure.namespace("bus").address,
                auditor,
                connection_verify=str(azure.tls.ca_file),
            ) as client,
            client.get_queue_receiver(
                "impatient", sub_queue=ServiceBusSubQueue.DEAD_LETTER
            ) as receiver,
        ):
            found = []
            async with asyncio.timeout(SECONDS):
                while len(found) < 2:
                    found += await receiver.receive_messages(10, max_wait_time=1)
            for message in found:
                await receiver.complete_message(message)

    assert {"MaxDeliveryCountExceeded"} == {each.dead_letter_reason for each in found}
    assert sorted(event.data for event in events) == sorted(
        b"".join(each.body) for each in found
    )


# Event Grid


async def publish(azure: LocalAzure, topic: str, events: Sequence[Notification]) -> None:
    settings = azure.settings("digital-twins")
    async with (
        identity(azure, "digital-twins") as plant,
        TopicSender(
            settings[f"{TOPICS[topic]}__topicEndpointUri"],
            plant,
            azure.tls.ca_file,
            azure.event_grid.schema(topic),
        ) as sender,
    ):
        await sender.send(events)


def assert_the_same(sent: Sequence[Notification], arrived: Sequence[Received]) -> None:
    """Event Grid's schema leaves data, type and id; the host writes JSON anew."""

    def told(event_id: object, kind: object, data: bytes) -> str:
        return json.dumps([event_id, kind, json.loads(data)], sort_keys=True)

    assert {told(e.attributes["id"], e.type, e.data) for e in sent} == {
        told(each.properties["cloudEvents:id"], each.properties["cloudEvents:type"], each.body)
        for each in arrived
    }


def event_grid(events: Sequence[Notification]) -> dict[str, str]:
    return {"INGRESS_EVENT_GRID": "true", "INGRESS_EVENT_GRID_SOURCE": host_of(events)}


@pytest.mark.parametrize(("topic", "batch"), [("plant-a", 1), ("plant-a-cloud-events", 10)])
async def test_events_of_a_topic_arrive_by_the_event_grid_trigger(
    azure: LocalAzure, topic: str, batch: int
) -> None:
    events = some_events(20)
    async with relay(azure, **event_grid(events)) as world:
        path = world.host.event_grid_path("event_grid")
        subscription = Subscription(
            "trigger",
            world.url + path,
            azure.event_grid.schema(topic),
            max_events_per_batch=batch,
        )
        await azure.event_grid.subscribe(topic, subscription)
        await publish(azure, topic, events)
        await world.until(lambda: world.count("relay.delivered") >= len(events))
        arrived = await world.arrived(events)
        await azure.event_grid.unsubscribe(topic, "trigger")

    assert_the_same(events, arrived)


# The webhook


def http(azure: LocalAzure, **changes: str) -> dict[str, str]:
    return {
        "INGRESS_HTTP": "true",
        "INGRESS_HTTP_ROLE": APP_ROLE,
        "INGRESS_HTTP_ORIGINS": "eventgrid.azure.net",
        "ACCESS_TENANT": azure.directory.tenant_id,
        "ACCESS_AUDIENCE": AUDIENCE,
        "ACCESS_AUTHORITY": azure.endpoint.url,
    } | changes


def to_webhook(azure: LocalAzure, world: World, topic: str, **changes: object) -> Subscription:
    return replace(
        Subscription(
            "webhook",
            f"{world.url}/api/events",
            azure.event_grid.schema(topic),
            audience=AUDIENCE,
            dead_letters="",
        ),
        **changes,
    )


@pytest.mark.parametrize(("topic", "batch"), [("plant-a", 10), ("plant-a-cloud-events", 1)])
async def test_event_grid_confirms_the_webhook_and_delivers_to_it_by_its_token(
    azure: LocalAzure, topic: str, batch: int
) -> None:
    events = some_events(20)
    source = {"INGRESS_EVENT_GRID_SOURCE": host_of(events)}
    async with relay(azure, **http(azure, **source)) as world:
        subscription = to_webhook(azure, world, topic, max_events_per_batch=batch)
        active = await azure.event_grid.subscribe(topic, subscription)
        assert "Succeeded" == active.state
        await publish(azure, topic, events)
        await world.until(lambda: world.count("relay.delivered") >= len(events))
        arrived = await world.arrived(events)
        await azure.event_grid.unsubscribe(topic, "webhook")

    assert_the_same(events, arrived)


async def test_a_webhook_whose_caller_is_not_let_in_is_not_even_confirmed(
    azure: LocalAzure,
) -> None:
    callers = {"INGRESS_HTTP_APPLICATIONS": "4962773b-9cdb-44cf-a8bf-237846a00ab7"}
    told = {}
    async with relay(azure, **http(azure, **callers)) as world:
        for spoilt in SPOILT:
            world.records.clear()
            azure.event_grid.tokens.spoilt = spoilt
            with pytest.raises(HandshakeFailed):
                await azure.event_grid.subscribe("plant-a", to_webhook(azure, world, "plant-a"))
            told[spoilt] = {
                r.properties["status"]
                for r in world.records
                if r.message == "relay.request_refused"
            }
        azure.event_grid.tokens.spoilt = None

    assert {each: {403 if each in {"role", "caller"} else 401} for each in SPOILT} == told


async def test_an_origin_that_is_not_expected_gets_no_consent(azure: LocalAzure) -> None:
    topic = "plant-a-cloud-events"
    async with relay(azure, **http(azure, INGRESS_HTTP_ORIGINS="")) as world:
        subscription = to_webhook(azure, world, topic)
        active = await azure.event_grid.subscribe(topic, subscription)
        state = active.state
        await azure.event_grid.unsubscribe(topic, "webhook")

    assert "AwaitingManualAction" == state


async def test_what_can_be_kept_nowhere_is_sent_again_by_event_grid_until_it_can(
    azure: LocalAzure,
) -> None:
    topic, contributor = "plant-a-cloud-events", "Storage Blob Data Contributor"
    scope, blob = azure.control.scope("analytics/telemetry"), azure.control.scope(DEAD_LETTERS)
    events = some_events(5)
    async with relay(azure, **http(azure)) as world:
        await azure.event_grid.subscribe(topic, to_webhook(azure, world, topic))
        azure.control.revoke("relay", SENDER_ROLE, scope)
        azure.control.revoke("relay", contributor, blob)
        await publish(azure, topic, events)
        await world.until(
            lambda: sum(r.properties.get("status") == 503 for r in world.records) >= 5
        )
        azure.control.grant("relay", contributor, blob)
        azure.control.grant("relay", SENDER_ROLE, scope)
        await world.until(
            lambda: world.count("relay.delivered") + world.count("relay.dead_lettered") >= 5
        )
        await world.host.invoke_timer("redrive")
        await world.until(
            lambda: world.count("relay.delivered") + world.count("relay.redriven") >= 5
        )
        arrived = await world.arrived(events)
        await azure.event_grid.unsubscribe(topic, "webhook")

    assert_the_same(events, arrived)


async def test_keys_that_cannot_be_had_are_our_own_trouble(azure: LocalAzure) -> None:
    async with relay(azure, **http(azure, ACCESS_AUTHORITY="http://127.0.0.1:1")) as world:
        token = azure.event_grid.tokens.header(AUDIENCE)
        headers = {"content-type": "application/cloudevents+json"} | token
        answer = await world.host.request("POST", "/api/events", headers, b"{}")

    assert 503 == answer.status
    assert ("Retry-After", "30") in answer.headers


# Whatever happens to the process


async def test_a_worker_that_is_killed_costs_no_message_of_a_queue(azure: LocalAzure) -> None:
    events = some_events(60)
    async with relay(azure, INGRESS_QUEUE="plain") as world:
        for part in batched(events, 20, strict=True):
            await killed_amid(
                world, send_to_bus(azure, "plain", [event.as_amqp() for event in part])
            )
        arrived = await until_all_arrived(world, events)

    assert_unchanged(events, arrived)


async def test_a_worker_that_is_killed_costs_no_event_that_event_grid_delivers(
    azure: LocalAzure,
) -> None:
    topic, events = "plant-a-cloud-events", some_events(40)
    async with relay(azure, **http(azure)) as world:
        await azure.event_grid.subscribe(topic, to_webhook(azure, world, topic))
        for part in batched(events, 20, strict=True):
            await killed_amid(world, publish(azure, topic, part))
        arrived = await until_all_arrived(world, events)
        await azure.event_grid.unsubscribe(topic, "webhook")

    assert_the_same(events, arrived)


async def killed_amid(world: World, sending: Coroutine[None, None, None]) -> None:
    """Kill the worker as soon as it delivered something of what is being sent."""
    seen, died = world.count("relay.delivered"), world.host.counts["died"]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sending)
        await world.until(lambda: world.count("relay.delivered") > seen)
        world.host.kill()
        await world.until(lambda: world.host.counts["died"] > died)


async def until_all_arrived(world: World, events: Sequence[Notification]) -> list[Received]:
    """Read until nothing is missing: what a killed worker told last is not known."""
    keys = {event.key for event in events}
    async with asyncio.timeout(SECONDS):
        while True:
            world.heard.clear()
            arrived = await world.arrived(events)
            if keys <= {key_of(each) for each in arrived}:
                return arrived
            await world.heard.wait()
