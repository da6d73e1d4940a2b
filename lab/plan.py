"""What a local Azure holds, as a value: apps, namespaces, roles, containers. The plant's."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.event_grid.model import Topic as EventGridTopic
from lab.identity.roles import storage_scope
from lab.messaging.model import Hub, Namespace, Queue, Subscription, Topic

if TYPE_CHECKING:
    from collections.abc import Iterable

AMQPS_PORT: Final = 5671

ACCOUNT: Final = "twinrelaylab"
DEAD_LETTERS: Final = "dead-letters"
EVENT_GRID_DEAD_LETTERS: Final = "event-grid-dead-letters"
"""What Event Grid could not deliver to a webhook."""
HOST_CONTAINER: Final = "azure-webjobs-eventhub"
"""Where the Functions host keeps its checkpoints."""
HOST_CONTAINERS: Final = (HOST_CONTAINER, "azure-webjobs-hosts", "azure-webjobs-secrets")
"""All that the Functions host keeps: checkpoints, its locks and timers, and its keys."""

_BLOCKS_TRIED: Final = 50


@dataclass(frozen=True, slots=True)
class Connection:
    """An app's settings for a namespace: `<NAME>__fullyQualifiedNamespace` and so on.

    Attributes:
        name: the settings' prefix.
        namespace: the namespace's name in the plan.
        identity: the user-assigned identity to use; `""` for the app's own.
    """

    name: str
    namespace: str
    identity: str = ""


@dataclass(frozen=True, slots=True)
class BlobConnection:
    """An app's settings for the storage account: `<NAME>__blobServiceUri` and so on.

    Attributes:
        name: the settings' prefix.
        container: what `<NAME>_CONTAINER` says; `""` for no such setting.
    """

    name: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class TopicConnection:
    """An app's settings for an Event Grid topic: `<NAME>__topicEndpointUri` and so on.

    Attributes:
        name: the settings' prefix.
        topic: the topic's name in the plan.
    """

    name: str
    topic: str


@dataclass(frozen=True, slots=True)
class App:
    """A compute resource that holds identities.

    Attributes:
        name: its name, and that of its system-assigned identity.
        user_assigned: the names of the other identities that it holds.
        connections: the namespaces that it knows.
        blobs: in what roles it knows the storage account.
        topics: the Event Grid topics that it publishes to.
        settings: further settings, by name.
    """

    name: str
    user_assigned: tuple[str, ...] = ()
    connections: tuple[Connection, ...] = ()
    blobs: tuple[BlobConnection, ...] = ()
    topics: tuple[TopicConnection, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A role assignment: identity and role by name, scope by resource id."""

    identity: str
    role: str
    scope: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a local Azure starts with.

    Subscriptions of Event Grid topics are not part of it: they need a webhook that answers.
    """

    apps: tuple[App, ...]
    namespaces: tuple[Namespace, ...] = ()
    topics: tuple[EventGridTopic, ...] = ()
    grants: tuple[Grant, ...] = ()
    containers: tuple[str, ...] = ()
    account: str = ACCOUNT


def free_block() -> str:
    """Return the beginning of loopback addresses that nobody serves AMQP on, such as 127.8.9.

    AMQP's port is always 5671, so labs that run side by side differ in their addresses.

    Raises:
        OSError: none was found, as on systems where only 127.0.0.1 can be bound.
    """
    for _ in range(_BLOCKS_TRIED):
        block = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}"  # noqa: S311 - no secret
        if _is_free(f"{block}.2"):
            return block
    raise OSError(
        f"no loopback address is free for port {AMQPS_PORT}; this needs Linux, where all of "
        "127.0.0.0/8 can be bound"
    )


def plant_plan(block: str) -> Plan:
    """Return the plan of the plant: what the demo and `lab up` run.

    Twin events come in by the namespace `ingress`, or by an Event Grid topic, and go out to
    `analytics` and `operations`.
    Every app has the narrowest roles that its job allows.

    Args:
        block: the beginning of the namespaces' addresses, such as `127.0.0`.
    """
    ingress = Namespace(
        "ingress",
        "eventhubs",
        f"{block}.2",
        (Hub("twin-events", consumer_groups=("$Default", "relay", "audit")),),
    )
    analytics = Namespace(
        "analytics",
        "eventhubs",
        f"{block}.3",
        (
            Hub("twin-changes", consumer_groups=("$Default", "audit")),
            Hub("telemetry", consumer_groups=("$Default", "audit")),
        ),
    )
    operations = Namespace(
        "operations",
        "servicebus",
        f"{block}.4",
        (
            Queue("alarms", session=True),
            Topic("lifecycle", (Subscription("audit", session=True),)),
        ),
    )
    return Plan(
        apps=(_RELAY, _DIGITAL_TWINS, _AUDITOR),
        namespaces=(ingress, analytics, operations),
        topics=_TOPICS,
        grants=(
            *_relay_grants(ingress, analytics, operations),
            Grant("digital-twins", _HUB_SENDER, ingress.scope("eventhubs", "twin-events")),
            *_topic_grants(),
            *_audit_grants(ingress, analytics, operations),
        ),
        containers=(DEAD_LETTERS, EVENT_GRID_DEAD_LETTERS, *HOST_CONTAINERS),
    )


_HUB_SENDER: Final = "Azure Event Hubs Data Sender"
_HUB_RECEIVER: Final = "Azure Event Hubs Data Receiver"
_BUS_SENDER: Final = "Azure Service Bus Data Sender"
_BUS_RECEIVER: Final = "Azure Service Bus Data Receiver"

_TOPICS: Final = (
    EventGridTopic("plant-a", "EventGridSchema"),
    EventGridTopic("plant-a-cloud-events", "CloudEventSchemaV1_0"),
)

_RELAY: Final = App(
    "relay",
    user_assigned=("relay-operations",),
    connections=(
        Connection("INGRESS", "ingress"),
        Connection("ANALYTICS", "analytics"),
        Connection("OPERATIONS", "operations", "relay-operations"),
    ),
    blobs=(BlobConnection("DEAD_LETTERS", DEAD_LETTERS), BlobConnection("AzureWebJobsStorage")),
    settings=(("INGRESS_EVENT_HUB", "twin-events"), ("INGRESS_CONSUMER_GROUP", "relay")),
)
_DIGITAL_TWINS: Final = App(
    "digital-twins",
    connections=(Connection("INGRESS", "ingress"),),
    topics=(
        TopicConnection("TOPIC", "plant-a"),
        TopicConnection("CLOUD_EVENTS_TOPIC", "plant-a-cloud-events"),
    ),
    settings=(("INGRESS_EVENT_HUB", "twin-events"),),
)
_AUDITOR: Final = App(
    "auditor",
    connections=(
        Connection("INGRESS", "ingress"),
        Connection("ANALYTICS", "analytics"),
        Connection("OPERATIONS", "operations"),
    ),
    blobs=(BlobConnection("DEAD_LETTERS", DEAD_LETTERS),),
)


def _relay_grants(
    ingress: Namespace, analytics: Namespace, operations: Namespace
) -> Iterable[Grant]:
    yield Grant("relay", _HUB_RECEIVER, ingress.scope("eventhubs", "twin-events"))
    for hub in analytics.entities:
        yield Grant("relay", _HUB_SENDER, analytics.scope("eventhubs", hub.name))
    yield Grant("relay-operations", _BUS_SENDER, operations.scope("queues", "alarms"))
    yield Grant("relay-operations", _BUS_SENDER, operations.scope("topics", "lifecycle"))
    yield Grant("relay", "Storage Blob Data Contributor", storage_scope(ACCOUNT, DEAD_LETTERS))
    # In Azure the host's account is often one of its own, with the role on all of it. Here it
    # is the dead letters' too, and a role on all of it would hide that they were refused.
    for container in HOST_CONTAINERS:
        yield Grant("relay", "Storage Blob Data Owner", storage_scope(ACCOUNT, container))


def _topic_grants() -> Iterable[Grant]:
    """Azure Digital Twins itself can only use a topic's key; the lab knows no keys."""
    for topic in _TOPICS:
        yield Grant("digital-twins", "EventGrid Data Sender", topic.resource_id)
        scope = storage_scope(ACCOUNT, EVENT_GRID_DEAD_LETTERS)
        yield Grant(topic.name, "Storage Blob Data Contributor", scope)


def _audit_grants(*namespaces: Namespace) -> Iterable[Grant]:
    """The auditor reads everything: it counts what arrived."""
    for namespace in namespaces:
        receiver = _HUB_RECEIVER if namespace.service == "eventhubs" else _BUS_RECEIVER
        yield Grant("auditor", receiver, namespace.resource_id)
    yield Grant("auditor", "Storage Blob Data Reader", storage_scope(ACCOUNT))


def _is_free(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, AMQPS_PORT))
        except OSError:
            return False
        return True
