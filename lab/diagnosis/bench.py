"""A local Azure with all paths that the relay has or may have, and settings that name them."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lab.identity.roles import RESOURCE_GROUP, storage_scope
from lab.local_azure import LocalAzure
from lab.messaging.model import Hub, Namespace, Queue, Subscription, Topic
from lab.plan import ACCOUNT, App, Grant, Plan, free_block
from relay import filters
from relay.operations.examination import Examination
from relay.operations.reaching import resolve
from relay.routing import Destination, Kind, Route
from relay.settings import (
    Connection,
    Container,
    Ingress,
    ServiceBusIngress,
    Settings,
    WaysIn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from lab.messaging.switches import Switches
    from relay.operations.checks import Report
    from relay.operations.reaching import Resolve

HUBS: Final = "hubs"
BUS: Final = "bus"
CONTAINER: Final = "dead-letters"
WITNESS: Final = "route witness"
"""A route of the app's own identity that is always well: it shows who else there is."""

PATHS: Final = {
    "Event Hubs, send": "route hub",
    "Event Hubs, listen": "ingress hub hub",
    "Service Bus, send to a queue": "route queue",
    "Service Bus, send to a topic": "route topic",
    "Service Bus, listen to a queue": "ingress queue queue",
    "Service Bus, listen to a subscription": "ingress subscription of topic",
    "Storage, write": "dead letters",
}
"""The paths by name, and the doctor's subject for each."""

_SENDERS: Final = ("Azure Event Hubs Data Sender", "Azure Service Bus Data Sender")
_RECEIVERS: Final = ("Azure Event Hubs Data Receiver", "Azure Service Bus Data Receiver")


@dataclass(frozen=True, slots=True)
class Told:
    """What the doctor is told other than usual.

    Attributes:
        client_id: of the identity that every path uses; `""` for the app's own.
        host: in place of the namespaces' and the account's.
        uri: the Blob service's address, in place of the true one.
        container: in place of the true one.
        trusts: whether it knows the lab's authority.
        resolve: how names are resolved.
    """

    client_id: str = ""
    host: str = ""
    uri: str = ""
    container: str = CONTAINER
    trusts: bool = True
    resolve: Resolve = resolve


@dataclass(frozen=True, slots=True)
class _EveryWayIn(WaysIn):
    """A queue and a subscription at once, which one relay's settings can't name."""

    further: Ingress | None = None

    @property
    def entities(self) -> tuple[Ingress, ...]:
        """All of them."""
        named = WaysIn(self.event_hub, self.service_bus).entities
        return (*named, self.further) if self.further else named


class Bench:
    """A running local Azure and the doctor.

    Attributes:
        azure: the local Azure.
        block: the beginning of its addresses.
    """

    def __init__(self, azure: LocalAzure, block: str) -> None:
        self.azure = azure
        self.block = block

    async def examine(self, told: Told) -> Report:
        """Let the doctor examine every path."""
        return await Examination(self.settings(told), resolve=told.resolve).run()

    def grants(self) -> Iterator[Grant]:
        """Yield the roles that the paths need, each at its narrowest scope."""
        return _grants("relay", *self.azure.plan.namespaces)

    def entities(self) -> Iterator[tuple[str, str]]:
        """Yield namespace and entity of every path."""
        yield from ((HUBS, "hub"), (BUS, "queue"), (BUS, "topic"))

    def settings(self, told: Told) -> Settings:
        """Return what names every path, told so."""
        hubs, bus = (self._connection(name, told) for name in (HUBS, BUS))
        storage = self.azure.storage
        own = replace(self._connection(HUBS, Told()), name="OWN")
        return Settings(
            routes=(
                _route("hub", Destination("HUBS", Kind.EVENT_HUB, "hub")),
                _route("queue", Destination("BUS", Kind.QUEUE, "queue")),
                _route("topic", Destination("BUS", Kind.TOPIC, "topic")),
                _route("witness", Destination("OWN", Kind.EVENT_HUB, "witness")),
            ),
            connections={"HUBS": hubs, "BUS": bus, "OWN": own},
            dead_letters=Container(
                told.uri or storage.url,
                told.container,
                told.client_id,
                storage.resource_id,
            ),
            ca_file=str(self.azure.tls.ca_file) if told.trusts else None,
            ways_in=_EveryWayIn(
                event_hub=Ingress(hubs, Kind.EVENT_HUB, "hub", "$Default"),
                service_bus=ServiceBusIngress(Ingress(bus, Kind.QUEUE, "queue")),
                further=Ingress(bus, Kind.TOPIC, "topic", "relay"),
            ),
            management=self.azure.management.url,
        )

    def _connection(self, name: str, told: Told) -> Connection:
        namespace = self.azure.namespace(name)
        return Connection(
            name.upper(),
            told.host or namespace.address,
            told.client_id,
            resource_id=namespace.resource_id,
        )


@asynccontextmanager
async def a_bench(state_dir: Path, switches: Switches | None = None) -> AsyncIterator[Bench]:
    """Run a local Azure in which every path is well, and be the app that has its identities."""
    block = free_block()
    azure = LocalAzure(_plan(block), state_dir, switches=switches)
    before = dict(os.environ)
    async with azure:
        for name in (HUBS, BUS):
            azure.control.except_trusted_services(name)
        os.environ.update(azure.access("relay"))
        try:
            yield Bench(azure, block)
        finally:
            os.environ.clear()
            os.environ.update(before)


def _plan(block: str) -> Plan:
    hubs = Namespace(HUBS, "eventhubs", f"{block}.2", (Hub("hub"), Hub("witness")))
    topic = Topic("topic", (Subscription("relay"),))
    bus = Namespace(BUS, "servicebus", f"{block}.3", (Queue("queue"), topic))
    witness = Grant("relay", _SENDERS[0], hubs.scope("eventhubs", "witness"))
    return Plan(
        apps=(App("relay", user_assigned=("relay-other",)),),
        namespaces=(hubs, bus),
        grants=(
            *_grants("relay", hubs, bus),
            witness,
            *(Grant(who, "Reader", RESOURCE_GROUP) for who in ("relay", "relay-other")),
        ),
        containers=(CONTAINER,),
    )


def _grants(who: str, hubs: Namespace, bus: Namespace) -> Iterator[Grant]:
    for kind, namespace, segments in (
        (0, hubs, ("eventhubs", "hub")),
        (1, bus, ("queues", "queue")),
        (1, bus, ("topics", "topic")),
    ):
        yield Grant(who, _SENDERS[kind], namespace.scope(*segments))
        below = ("subscriptions", "relay") if segments[0] == "topics" else ()
        yield Grant(who, _RECEIVERS[kind], namespace.scope(*segments, *below))
    scope = storage_scope(ACCOUNT, CONTAINER)
    yield Grant(who, "Storage Blob Data Contributor", scope)


def _route(name: str, destination: Destination) -> Route:
    return Route(name, filters.compile("true"), destination)
