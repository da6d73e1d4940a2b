"""Where a probe reads: a hub by a consumer group, a queue, or a topic's subscription."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from relay.refusals import EVENT_HUBS_RECEIVER, SERVICE_BUS_RECEIVER, Resource
from relay.resources import resource_of
from relay.routing import Destination
from relay.routing import Kind as DestinationKind
from relay.settings import Connection

HOW: Final = (
    "hub:CONNECTION/HUB/CONSUMER-GROUP, queue:CONNECTION/QUEUE or "
    "subscription:CONNECTION/TOPIC/SUBSCRIPTION"
)


class Kind(StrEnum):
    """Kinds of places."""

    HUB = "hub"
    QUEUE = "queue"
    SUBSCRIPTION = "subscription"


class PlaceError(ValueError):
    """What was given names no place; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Something to read from.

    Attributes:
        connection: its namespace, and who reads.
        entity: the hub, the queue or the topic.
        reader: the consumer group or the subscription; `""` for a queue.
    """

    kind: Kind
    connection: Connection
    entity: str
    reader: str = ""

    def __str__(self) -> str:
        parts = (self.connection.name, self.entity, self.reader)
        return f"{self.kind}:{'/'.join(part for part in parts if part)}"

    @property
    def resource(self) -> Resource:
        """The entity, as the resource that reading asks a role on."""
        kind = {
            Kind.HUB: DestinationKind.EVENT_HUB,
            Kind.QUEUE: DestinationKind.QUEUE,
            Kind.SUBSCRIPTION: DestinationKind.TOPIC,
        }[self.kind]
        sending = resource_of(Destination("", kind, self.entity), self.connection)
        role = EVENT_HUBS_RECEIVER if self.kind is Kind.HUB else SERVICE_BUS_RECEIVER
        below = f"/subscriptions/{self.reader}" if self.kind is Kind.SUBSCRIPTION else ""
        return replace(sending, role=role, path=sending.path + below)


def parse(text: str) -> tuple[Kind, str, str, str]:
    """Return kind, connection, entity and reader.

    Raises:
        PlaceError: it names no place.
    """
    kind, _, rest = text.partition(":")
    parts = rest.split("/")
    if kind not in set(Kind) or not all(parts):
        raise PlaceError(f"{text!r} names no place to read from: give {HOW}")
    match Kind(kind), parts:
        case Kind.QUEUE, [connection, queue]:
            return Kind.QUEUE, connection, queue, ""
        case (Kind.HUB | Kind.SUBSCRIPTION) as found, [connection, entity, reader]:
            return found, connection, entity, reader
    raise PlaceError(f"{text!r} has {len(parts)} parts: give {HOW}")
