"""Where faults are injected: one way in, a faulted destination and a healthy one beside it.

The two destinations share neither namespace nor identity, so that a fault of one is no fault
of the other: what the healthy route suffers, it suffers in the relay.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lab.faults.entrance import GROUPS, PLANT, RELAY, Ingress, entrance
from lab.identity.roles import storage_scope
from lab.messaging.model import Hub, Namespace, Queue
from lab.plan import (
    ACCOUNT,
    DEAD_LETTERS,
    HOST_CONTAINER,
    App,
    BlobConnection,
    Connection,
    Grant,
    Plan,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.faults.entrance import Entrance

FAULTED: Final = "faulted"
HEALTHY: Final = "healthy"
HEALTHY_NAMESPACE: Final = "archive"
HEALTHY_HUB: Final = "everything"
QUEUE_BYTES: Final = 256 * 1024
"""What a message may have in Service Bus' standard tier."""

_HUB_SENDER: Final = "Azure Event Hubs Data Sender"
_HUB_RECEIVER: Final = "Azure Event Hubs Data Receiver"
_BUS_SENDER: Final = "Azure Service Bus Data Sender"
_BUS_RECEIVER: Final = "Azure Service Bus Data Receiver"


class Kind(StrEnum):
    """Kinds of destinations."""

    EVENT_HUB = "Event Hub"
    QUEUE = "Service Bus queue"


@dataclass(frozen=True, slots=True)
class Target:
    """The destination that is faulted.

    Attributes:
        identity: the name of the identity by which the relay sends there, and nowhere else.
        role: what that identity needs there.
    """

    kind: Kind
    namespace: str
    entity: str
    identity: str
    role: str

    @property
    def scope(self) -> str:
        """Its name as the control surface takes scopes."""
        return f"{self.namespace}/{self.entity}"


TARGETS: Final = {
    Kind.EVENT_HUB: Target(
        Kind.EVENT_HUB, "analytics", "twin-changes", "relay-analytics", _HUB_SENDER
    ),
    Kind.QUEUE: Target(Kind.QUEUE, "operations", "alarms", "relay-operations", _BUS_SENDER),
}

DESTINATIONS: Final = {
    Ingress.SESSIONS: Kind.QUEUE,
    Ingress.SUBSCRIPTION: Kind.EVENT_HUB,
    Ingress.EVENT_GRID: Kind.EVENT_HUB,
    Ingress.WEBHOOK: Kind.QUEUE,
}
"""The kind that is faulted where events do not come in by an Event Hub."""


def routes(target: Target) -> str:
    """Return the routes' setting: all events to both destinations."""
    member = "eventHub" if target.kind is Kind.EVENT_HUB else "queue"
    faulted: dict[str, object] = {"connection": "FAULTED", member: target.entity}
    if target.kind is Kind.QUEUE:
        faulted["session"] = True
    healthy = {"connection": "HEALTHY", "eventHub": HEALTHY_HUB}
    destinations = {FAULTED: faulted, HEALTHY: healthy}
    return json.dumps(
        [
            {"name": name, "filter": "true", "destination": destination}
            for name, destination in destinations.items()
        ]
    )


def plan(block: str, target: Target, ingress: Ingress = Ingress.EVENT_HUB) -> Plan:
    """Return what the local Azure of one case holds.

    Args:
        block: the beginning of the namespaces' addresses, such as `127.0.0`.
        target: the destination that is to be faulted.
        ingress: the way in.
    """
    way_in = entrance(ingress, f"{block}.2")
    archive = Namespace(
        HEALTHY_NAMESPACE,
        "eventhubs",
        f"{block}.3",
        (Hub(HEALTHY_HUB, consumer_groups=GROUPS),),
    )
    faulted = _namespace(target, f"{block}.4")
    return Plan(
        apps=(_relay(target, way_in), App(PLANT), App("auditor")),
        namespaces=(*way_in.namespaces, archive, faulted),
        topics=way_in.topics,
        grants=(
            *way_in.grants,
            *_relay_grants(archive, faulted, target),
            *_audit_grants(*way_in.namespaces, archive, faulted),
        ),
        containers=(DEAD_LETTERS, HOST_CONTAINER),
    )


def _namespace(target: Target, address: str) -> Namespace:
    if target.kind is Kind.EVENT_HUB:
        hub = Hub(target.entity, consumer_groups=GROUPS)
        return Namespace(target.namespace, "eventhubs", address, (hub,))
    queue = Queue(target.entity, session=True, max_message_bytes=QUEUE_BYTES)
    return Namespace(target.namespace, "servicebus", address, (queue,))


def _relay(target: Target, way_in: Entrance) -> App:
    return App(
        RELAY,
        user_assigned=(target.identity,),
        connections=(
            *way_in.connections,
            Connection("HEALTHY", HEALTHY_NAMESPACE),
            Connection("FAULTED", target.namespace, target.identity),
        ),
        blobs=(
            BlobConnection("DEAD_LETTERS", DEAD_LETTERS),
            BlobConnection("AzureWebJobsStorage"),
        ),
        settings=(*way_in.settings, ("RELAY_ROUTES", routes(target))),
    )


def _relay_grants(archive: Namespace, faulted: Namespace, target: Target) -> Iterable[Grant]:
    yield Grant(RELAY, _HUB_SENDER, archive.scope("eventhubs", HEALTHY_HUB))
    below = "eventhubs" if target.kind is Kind.EVENT_HUB else "queues"
    yield Grant(target.identity, target.role, faulted.scope(below, target.entity))
    yield Grant(RELAY, "Storage Blob Data Contributor", storage_scope(ACCOUNT, DEAD_LETTERS))
    yield Grant(RELAY, "Storage Blob Data Owner", storage_scope(ACCOUNT, HOST_CONTAINER))


def _audit_grants(*namespaces: Namespace) -> Iterable[Grant]:
    for namespace in namespaces:
        role = _HUB_RECEIVER if namespace.service == "eventhubs" else _BUS_RECEIVER
        yield Grant("auditor", role, namespace.resource_id)
    yield Grant("auditor", "Storage Blob Data Reader", storage_scope(ACCOUNT))
