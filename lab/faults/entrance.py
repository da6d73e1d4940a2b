"""The ways in, as the local Azure holds them: what there is, who may use it, how it is set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lab.event_grid.model import Topic as EventGridTopic
from lab.event_grid.tokens import APP_ROLE
from lab.messaging.model import Hub, Namespace, Queue, Subscription, Topic
from lab.plan import Connection, Grant
from lab.twins.plant import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable

INGRESS: Final = "ingress"
ENTITY: Final = "twin-events"
SUBSCRIPTION: Final = "relay"
READERS: Final = "audit"
GROUPS: Final = ("$Default", "relay", READERS)
TOPIC: Final = "plant-a"
AUDIENCE: Final = "api://twin-relay"
PLANT: Final = "digital-twins"
RELAY: Final = "relay"

_DELIVERIES: Final = 1000
"""An entity that gives up only after an outage: what is abandoned comes again at once."""


class Ingress(StrEnum):
    """Ways in."""

    EVENT_HUB = "Event Hub"
    SESSIONS = "Service Bus queue with sessions"
    SUBSCRIPTION = "Service Bus subscription"
    EVENT_GRID = "Event Grid trigger"
    WEBHOOK = "HTTP webhook with token"

    @property
    def is_ordered(self) -> bool:
        """Whether it brings events in an order that the relay promises to keep."""
        return self in {Ingress.EVENT_HUB, Ingress.SESSIONS}

    @property
    def is_event_grids(self) -> bool:
        """Whether an Event Grid topic delivers."""
        return self in {Ingress.EVENT_GRID, Ingress.WEBHOOK}

    @property
    def time_scale(self) -> float:
        """What pauses are multiplied by: of the host between sessions, of retry schedules."""
        return 1.0 if self is Ingress.EVENT_HUB else 0.01


_SETTINGS: Final = {
    Ingress.EVENT_HUB: {
        "INGRESS_EVENT_HUB": ENTITY,
        "INGRESS_CONSUMER_GROUP": "relay",
    },
    Ingress.SESSIONS: {
        "INGRESS_QUEUE": ENTITY,
        "INGRESS_SESSIONS": "true",
        "INGRESS_BATCHES": "true",
    },
    Ingress.SUBSCRIPTION: {
        "INGRESS_TOPIC": ENTITY,
        "INGRESS_SUBSCRIPTION": SUBSCRIPTION,
    },
    Ingress.EVENT_GRID: {
        "INGRESS_EVENT_GRID": "true",
        "INGRESS_EVENT_GRID_SOURCE": HOST,
    },
    Ingress.WEBHOOK: {
        "INGRESS_HTTP": "true",
        "INGRESS_HTTP_ROLE": APP_ROLE,
        "INGRESS_HTTP_ORIGINS": "eventgrid.azure.net",
    },
}


@dataclass(frozen=True, slots=True)
class Entrance:
    """What one way in needs.

    Attributes:
        ingress: which it is.
        namespaces: where its entity is; none where a topic delivers.
        topics: those that deliver.
        connections: the relay's.
        grants: the plant's and the relay's.
    """

    ingress: Ingress
    namespaces: tuple[Namespace, ...] = ()
    topics: tuple[EventGridTopic, ...] = ()
    connections: tuple[Connection, ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def settings(self) -> Iterable[tuple[str, str]]:
        """The relay's settings, as far as they are known before anything runs."""
        return _SETTINGS[self.ingress].items()


def entrance(ingress: Ingress, address: str) -> Entrance:
    """Return what a way in needs; its namespace has the address."""
    match ingress:
        case Ingress.EVENT_HUB:
            hub = Hub(ENTITY, consumer_groups=GROUPS)
            return _of_namespace(
                ingress, Namespace(INGRESS, "eventhubs", address, (hub,)), "Azure Event Hubs"
            )
        case Ingress.SESSIONS:
            queue = Queue(ENTITY, session=True, max_delivery_count=_DELIVERIES)
            return _of_namespace(
                ingress, Namespace(INGRESS, "servicebus", address, (queue,)), _SERVICE_BUS
            )
        case Ingress.SUBSCRIPTION:
            below = Subscription(SUBSCRIPTION, max_delivery_count=_DELIVERIES)
            topic = Topic(ENTITY, (below,))
            return _of_namespace(
                ingress, Namespace(INGRESS, "servicebus", address, (topic,)), _SERVICE_BUS
            )
        case Ingress.EVENT_GRID | Ingress.WEBHOOK:
            source = EventGridTopic(TOPIC)
            grant = Grant(PLANT, "EventGrid Data Sender", source.resource_id)
            return Entrance(ingress, topics=(source,), grants=(grant,))


_SERVICE_BUS: Final = "Azure Service Bus"
_CONNECTIONS: Final = {"eventhubs": INGRESS.upper(), "servicebus": "INGRESS_SERVICE_BUS"}


def _of_namespace(ingress: Ingress, namespace: Namespace, roles: str) -> Entrance:
    scope = namespace.resource_id
    if ingress is Ingress.EVENT_HUB:
        scope = namespace.scope("eventhubs", ENTITY)
    return Entrance(
        ingress,
        namespaces=(namespace,),
        connections=(Connection(_CONNECTIONS[namespace.service], INGRESS),),
        grants=(
            Grant(PLANT, f"{roles} Data Sender", namespace.resource_id),
            Grant(RELAY, f"{roles} Data Receiver", scope),
        ),
    )
