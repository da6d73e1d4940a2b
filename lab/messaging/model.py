"""What a namespace holds: the entities that Azure would show in its portal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

type Service = Literal["eventhubs", "servicebus"]

RESOURCE_GROUP: Final = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/twin-relay-lab"
)
MEBIBYTE: Final = 1024 * 1024

_PROVIDERS: Final[dict[Service, str]] = {
    "eventhubs": "Microsoft.EventHub",
    "servicebus": "Microsoft.ServiceBus",
}


@dataclass(frozen=True, slots=True)
class Hub:
    """An event hub.

    Attributes:
        name: its name, compared without case.
        partitions: how many partitions it has, for ever.
        consumer_groups: their names.
        retention_bytes: how much the whole hub keeps; the oldest events of a partition go
            when its share is full. Azure retains by time, a lab must not run out of memory.
    """

    name: str
    partitions: int = 4
    consumer_groups: tuple[str, ...] = ("$Default",)
    retention_bytes: int = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Queue:
    """A Service Bus queue.

    Attributes:
        name: its name, compared without case.
        session: whether every message needs a session id and receivers take sessions.
        lock_seconds: how long a message or a session stays locked.
        max_delivery_count: deliveries after which a message goes to the dead letters.
        duplicate_detection_seconds: how long a message id is remembered; 0 is never.
        default_ttl_seconds: how long a message lives that says nothing; 0 is for ever.
        dead_letter_expired: whether an expired message goes to the dead letters or vanishes.
        max_message_bytes: the largest message or batch it takes.
        max_size_bytes: how much it holds before it is full.
        partitioned: whether it refuses batches that belong into several partitions.
    """

    name: str
    session: bool = False
    lock_seconds: float = 60
    max_delivery_count: int = 10
    duplicate_detection_seconds: float = 0
    default_ttl_seconds: float = 0
    dead_letter_expired: bool = False
    max_message_bytes: int = MEBIBYTE
    max_size_bytes: int = 256 * MEBIBYTE
    partitioned: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic's subscription: a queue of its own that gets a copy of every message.

    Attributes are those of a `Queue`.
    """

    name: str
    session: bool = False
    lock_seconds: float = 60
    max_delivery_count: int = 10
    default_ttl_seconds: float = 0
    dead_letter_expired: bool = False
    max_size_bytes: int = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Topic:
    """A Service Bus topic.

    Attributes:
        name: its name, compared without case.
        subscriptions: who gets a copy of what is sent to it.
        duplicate_detection_seconds: how long a message id is remembered; 0 is never.
        default_ttl_seconds: how long a message lives that says nothing; 0 is for ever.
        max_message_bytes: the largest message or batch it takes.
    """

    name: str
    subscriptions: tuple[Subscription, ...] = ()
    duplicate_detection_seconds: float = 0
    default_ttl_seconds: float = 0
    max_message_bytes: int = MEBIBYTE


type Entity = Hub | Queue | Topic


@dataclass(frozen=True, slots=True)
class Namespace:
    """A messaging namespace.

    Attributes:
        name: its name in Azure Resource Manager.
        service: which of the two services it is.
        address: the address or host name it is served on, which clients give as
            `fully_qualified_namespace`.
        entities: hubs of an Event Hubs namespace, queues and topics of a Service Bus one.
    """

    name: str
    service: Service
    address: str
    entities: tuple[Entity, ...] = ()

    @property
    def resource_id(self) -> str:
        """The namespace's Azure Resource Manager id, a scope of role assignments."""
        return f"{RESOURCE_GROUP}/providers/{_PROVIDERS[self.service]}/namespaces/{self.name}"

    def scope(self, *segments: str) -> str:
        """Return the id of what is below: `scope("topics", "t", "subscriptions", "s")`."""
        return "/".join((self.resource_id, *segments))
