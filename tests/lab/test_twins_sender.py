"""The plant's sender and the audit's readers, over the wire: each is the other's proof."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

import pytest
import pytest_asyncio
from azure.eventhub.exceptions import EventHubError
from azure.identity.aio import ManagedIdentityCredential
from azure.servicebus import ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from lab.audit import Access, Received, observe, read_hub, read_queue, read_subscription
from lab.certificates import issue
from lab.credential import managed_identity
from lab.identity import ROLES, Directory
from lab.identity.endpoint import IdentityEndpoint
from lab.messaging.broker import AMQPS_PORT, Broker
from lab.messaging.model import Hub, Namespace, Queue, Subscription, Topic
from lab.plan import free_block
from lab.proxy import Proxy, Slicer, Way
from lab.twins import (
    POISON,
    Message,
    Notification,
    Place,
    Plant,
    Sender,
    by_twin,
    on_partition,
)

# One broker serves the whole module: its hubs and queues are told apart by name.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("twins-sender"),
]

ROLE_IDS = {role.name: role.id for role in ROLES}
NOTIFICATIONS = list(islice(Plant(3, datetime(2026, 1, 5, tzinfo=UTC)), 600))
LARGE = [Message({}, bytes([letter]) * 400_000, None) for letter in b"abcde"]
BEHIND = 15671
"""Where the broker serves, behind the proxies that stand on the port which clients know."""
HUBS = ("anywhere", "by-twin", "structured", "poisoned", "large", "empty")


@dataclass
class Cloud:
    """A hub namespace and a bus, an identity that may only send and one that may only read."""

    directory: Directory
    endpoint: IdentityEndpoint
    hubs: Namespace
    bus: Namespace
    ca_file: str
    before_bus: Proxy
    sender: ManagedIdentityCredential = field(init=False)
    auditor: ManagedIdentityCredential = field(init=False)

    def identity(self, app: str) -> ManagedIdentityCredential:
        if self.directory.identity_of(app) is None:
            self.directory.register(app, app=app, system_assigned=True)
        settings = self.endpoint.settings(app)
        return managed_identity(settings["IDENTITY_ENDPOINT"], settings["IDENTITY_HEADER"])

    def may(self, app: str, role: str, scope: str) -> None:
        principal = self.directory.principal(app)
        self.directory.grant(principal.object_id, ROLE_IDS[role], scope)

    @property
    def bus_access(self) -> Access:
        return Access(self.bus.address, self.auditor, self.ca_file)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    block = free_block()
    hubs = Namespace(
        "ingress",
        "eventhubs",
        f"{block}.2",
        tuple(Hub(name, 4, ("$Default", "audit")) for name in HUBS),
    )
    entities = (
        Queue("plain"),
        Queue("sessions", session=True),
        Queue("trickling"),
        Queue("trickling-sessions", session=True),
        Topic("topic", (Subscription("all"), Subscription("by-session", session=True))),
    )
    bus = Namespace("operations", "servicebus", f"{block}.3", entities)
    tls = issue(tmp_path_factory.mktemp("tls"), [hubs.address, bus.address])
    directory = Directory()
    endpoint = IdentityEndpoint(directory)
    broker = Broker(directory, (hubs, bus), tls, port=BEHIND)
    before_hubs, before_bus = (
        Proxy(f"the proxy before {each.name}", (each.address, BEHIND), port=AMQPS_PORT)
        for each in (hubs, bus)
    )
    parts = (endpoint, broker, before_hubs, before_bus)
    for part in parts:
        await part.start()
    cloud = Cloud(directory, endpoint, hubs, bus, str(tls.ca_file), before_bus)
    async with (
        cloud.identity("twins") as cloud.sender,
        cloud.identity("auditor") as cloud.auditor,
    ):
        cloud.may("twins", "Azure Event Hubs Data Sender", hubs.resource_id)
        cloud.may("twins", "Azure Service Bus Data Sender", bus.resource_id)
        cloud.may("auditor", "Azure Event Hubs Data Receiver", hubs.resource_id)
        cloud.may("auditor", "Azure Service Bus Data Receiver", bus.resource_id)
        yield cloud
    for part in reversed(parts):
        await part.stop()


async def send_everywhere(cloud: Cloud) -> int:
    """Send to every hub in its own manner; return how many the first took."""

    def sender(hub: str, **options: object) -> Sender:
        return Sender(cloud.hubs.address, hub, cloud.sender, cloud.ca_file, **options)  # type: ignore[arg-type]

    async with (
        sender("anywhere") as anywhere,
        sender("by-twin", place=by_twin) as keyed,
        sender(
            "structured", place=on_partition("2"), render=Notification.as_structured
        ) as structured,
        sender("poisoned", place=on_partition("0")) as poisoned,
        sender("large") as large,
    ):
        sent = await anywhere.send(NOTIFICATIONS)
        await keyed.send(NOTIFICATIONS)
        await structured.send(NOTIFICATIONS, rate=20_000)
        await poisoned.send(NOTIFICATIONS[:1])
        await poisoned.send_messages(POISON.values(), Place("0"))
        await poisoned.send(NOTIFICATIONS[1:2])
        await large.send_messages(LARGE, Place("1"))
    return sent


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hubs(cloud: Cloud) -> dict[str, list[Received]]:
    """What the audit reads out of every hub after the plant has sent."""
    assert await send_everywhere(cloud) == len(NOTIFICATIONS)
    access = Access(cloud.hubs.address, cloud.auditor, cloud.ca_file)
    read = await asyncio.gather(*(read_hub(access, hub, "audit") for hub in HUBS))
    return dict(zip(HUBS, read, strict=True))


def keys(received: list[Received]) -> list[tuple[str, str]]:
    return [event.key for event in map(observe, received) if event is not None]


async def test_what_the_plant_sends_is_read_back_byte_for_byte(
    hubs: dict[str, list[Received]],
) -> None:
    sent = {n.key: n.as_amqp() for n in NOTIFICATIONS}
    assert len(hubs["anywhere"]) == 600
    for message in hubs["anywhere"]:
        (key,) = keys([message])
        assert sent[key] == Message(
            message.properties,  # type: ignore[arg-type] - equal only if all are text
            message.body,
            message.content_type,
        )


async def test_without_a_place_the_service_spreads_the_batches_each_in_order(
    hubs: dict[str, list[Received]],
) -> None:
    order = {n.key: position for position, n in enumerate(NOTIFICATIONS)}
    lanes = defaultdict(list)
    for message in hubs["anywhere"]:
        lanes[message.stream] += [order[key] for key in keys([message])]
    assert len(lanes) > 1
    assert all(sorted(lane) == lane for lane in lanes.values())


async def test_by_twin_keeps_a_twin_on_one_partition_in_order(
    hubs: dict[str, list[Received]],
) -> None:
    events = defaultdict(list)
    for message in hubs["by-twin"]:
        event = observe(message)
        assert event is not None
        events[message.stream, event.twin].append(event.key)
    sent: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for notification in NOTIFICATIONS:
        sent[notification.twin_id].append(notification.key)
    assert len({partition for partition, _ in events}) > 1
    assert sent == {twin: read for (_, twin), read in events.items()}


async def test_on_a_partition_everything_keeps_its_order(
    hubs: dict[str, list[Received]],
) -> None:
    assert {"2"} == {message.stream for message in hubs["structured"]}
    assert [n.key for n in NOTIFICATIONS] == keys(hubs["structured"])


async def test_malformed_messages_can_be_sent_among_events(
    hubs: dict[str, list[Received]],
) -> None:
    received = hubs["poisoned"]
    assert [n.key for n in NOTIFICATIONS[:2]] == keys(received)
    assert [m.body for m in POISON.values()] == [m.body for m in received[1:-1]]


async def test_a_batch_that_is_full_is_followed_by_another(
    hubs: dict[str, list[Received]],
) -> None:
    assert [message.body for message in LARGE] == [message.body for message in hubs["large"]]


async def test_an_empty_hub_has_nothing(hubs: dict[str, list[Received]]) -> None:
    assert hubs["empty"] == []


async def test_who_may_do_nothing_is_told_so(cloud: Cloud) -> None:
    async with cloud.identity("stranger") as stranger:
        with pytest.raises(EventHubError, match=r"[Uu]nauthorized"):
            await read_hub(Access(cloud.hubs.address, stranger, cloud.ca_file), "large")


def bus_message(number: int, session: str | None) -> ServiceBusMessage:
    return ServiceBusMessage(
        f"body {number}".encode(),
        application_properties={"cloudEvents:id": str(number)},
        content_type="text/plain",
        message_id=str(number),
        session_id=session,
    )


async def fill(cloud: Cloud, entity: str, messages: list[ServiceBusMessage]) -> None:
    client = ServiceBusClient(
        cloud.bus.address,
        cloud.sender,
        connection_verify=cloud.ca_file,
        transport_type=TransportType.Amqp,
    )

    def sender() -> ServiceBusSender:
        is_topic = entity == "topic"
        return client.get_topic_sender(entity) if is_topic else client.get_queue_sender(entity)

    async with client, sender() as sending:
        await sending.send_messages(messages)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bus(cloud: Cloud) -> dict[str, list[Received]]:
    """What the audit takes out of queues and subscriptions that were filled before."""
    await asyncio.gather(
        fill(cloud, "plain", [bus_message(n, None) for n in range(700)]),
        fill(cloud, "sessions", [bus_message(n, f"s{n % 15}") for n in range(300)]),
        fill(cloud, "topic", [bus_message(n, f"s{n % 3}") for n in range(30)]),
    )
    access = cloud.bus_access
    reads = {
        "plain": read_queue(access, "plain"),
        "sessions": read_queue(access, "sessions", session=True),
        "all": read_subscription(access, "topic", "all"),
        "by-session": read_subscription(access, "topic", "by-session", session=True),
    }
    return dict(zip(reads, await asyncio.gather(*reads.values()), strict=True))


async def test_a_queue_is_read_to_its_end_in_order(bus: dict[str, list[Received]]) -> None:
    received = bus["plain"]
    assert [str(number) for number in range(700)] == [m.message_id for m in received]
    assert received[7] == Received("", {"cloudEvents:id": "7"}, b"body 7", "text/plain", "7")


async def test_every_session_of_a_queue_is_read_in_order(
    bus: dict[str, list[Received]],
) -> None:
    sessions = defaultdict(list)
    for message in bus["sessions"]:
        sessions[message.stream].append(int(message.message_id or -1))
    assert sessions == {f"s{n}": list(range(n, 300, 15)) for n in range(15)}


async def test_a_topics_subscriptions_are_read_to_their_ends(
    bus: dict[str, list[Received]],
) -> None:
    assert Counter(m.stream for m in bus["all"]) == {"": 30}
    assert Counter(m.stream for m in bus["by-session"]) == {"s0": 10, "s1": 10, "s2": 10}


@pytest.mark.parametrize("session", [False, True], ids=["queue", "session"])
async def test_what_trickles_in_is_read_too(cloud: Cloud, *, session: bool) -> None:
    """A receiver that deletes owns what was sent to it, also what has not arrived yet."""
    queue = "trickling-sessions" if session else "trickling"
    numbers = [str(number) for number in range(60)]
    await fill(cloud, queue, [bus_message(int(n), "s" if session else None) for n in numbers])
    cloud.before_bus.add(Slicer(size=2_000, seconds=0.3), [Way.DOWN])
    try:
        received = await read_queue(cloud.bus_access, queue, session=session)
    finally:
        cloud.before_bus.clear()

    assert numbers == [message.message_id for message in received]
