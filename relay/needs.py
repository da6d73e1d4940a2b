"""What the configuration asks of Azure: each ingress, destination and container, and by whom.

The doctor examines these, the roles and the security report list them; none of the three knows
kinds of ingresses or destinations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from relay.causes import Service
from relay.clouds import cloud_of
from relay.resources import resource_of, resource_of_container, resource_of_ingress
from relay.routing import Kind
from relay.settings import ManagedIdentity, Network, Transport

if TYPE_CHECKING:
    from relay.refusals import Resource
    from relay.settings import Connection, Container, Ingress, Settings

_AMQPS: Final = 5671
_HTTPS: Final = 443
_WORDS: Final = {
    Kind.EVENT_HUB: "hub",
    Kind.QUEUE: "queue",
    Kind.TOPIC: "subscription of",
}


class Act(StrEnum):
    """What the relay does there."""

    LISTEN = "listen"
    SEND = "send"
    STORE = "store"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that the relay must reach, and may do.

    Attributes:
        subject: what people call it: `ingress`, `route alarms`, `dead letters`.
        setting: the prefix of the settings that say where and by whom.
        act: what the relay does there.
        service: whose it is.
        resource: what it is to Azure, with the role that the act asks for.
        identity: by whom.
        host: the name to reach.
        port: the port to reach.
        network: whether the name must resolve to a private address.
        entity: the hub, queue, topic or container.
        group: the consumer group or subscription to listen by; else `""`.
        transport: how AMQP travels.
        address: the Blob service's address; else `""`.
        kind: what the entity is; `None` for a container.
    """

    subject: str
    setting: str
    act: Act
    service: Service
    resource: Resource
    identity: ManagedIdentity
    host: str
    port: int
    network: Network
    entity: str
    group: str = ""
    transport: Transport = Transport.AMQP
    address: str = ""
    kind: Kind | None = None

    @property
    def zone(self) -> str:
        """The private DNS zone of its name; `""` for a name of one's own."""
        cloud = cloud_of(self.host)
        if cloud is None:
            return ""
        return cloud.blob_zone if self.service is Service.STORAGE else cloud.messaging_zone


def needs_of(settings: Settings) -> tuple[Need, ...]:
    """Return everything that the relay itself must reach, in the order of the flow."""
    prefix = settings.prefix
    return tuple(replace(need, setting=prefix + need.setting) for need in _needs(settings))


def _needs(settings: Settings) -> tuple[Need, ...]:
    return (
        *(_of_ingress(ingress) for ingress in settings.ways_in.entities),
        *(
            _of_connection(
                f"route {route.name}",
                Act.SEND,
                route.destination.kind,
                settings.connections[route.destination.connection],
                resource_of(
                    route.destination, settings.connections[route.destination.connection]
                ),
                route.destination.entity,
            )
            for route in settings.routes
        ),
        _of_container("dead letters", "DEAD_LETTERS", Act.STORE, settings.dead_letters),
    )


def needs_of_the_host(settings: Settings) -> tuple[Need, ...]:
    """Return what the Functions host needs for itself, by the same identities."""
    if settings.host_storage is None:
        return ()
    container = settings.host_storage
    return (_of_container("host storage", "AzureWebJobsStorage", Act.HOST, container),)


def _of_ingress(ingress: Ingress) -> Need:
    resource = resource_of_ingress(ingress)
    return _of_connection(
        f"ingress {_WORDS[ingress.kind]} {ingress.entity}",
        Act.LISTEN,
        ingress.kind,
        ingress.connection,
        resource,
        ingress.entity,
        ingress.group,
    )


def _of_connection(
    subject: str,
    act: Act,
    kind: Kind,
    connection: Connection,
    resource: Resource,
    entity: str,
    group: str = "",
) -> Need:
    is_web = connection.transport is Transport.WEB_SOCKETS
    return Need(
        subject=subject,
        setting=connection.name,
        act=act,
        service=Service.EVENT_HUBS if kind is Kind.EVENT_HUB else Service.SERVICE_BUS,
        resource=resource,
        identity=connection.identity,
        host=connection.namespace,
        port=_HTTPS if is_web else _AMQPS,
        network=connection.network,
        entity=entity,
        group=group,
        transport=connection.transport,
        kind=kind,
    )


def _of_container(subject: str, setting: str, act: Act, container: Container) -> Need:
    host, _, port = _authority(container.service_uri).partition(":")
    return Need(
        subject=subject,
        setting=setting,
        act=act,
        service=Service.STORAGE,
        resource=resource_of_container(container),
        identity=container.identity,
        host=host,
        port=int(port) if port.isdecimal() else _HTTPS,
        network=container.network,
        entity=container.name,
        address=container.service_uri,
    )


def _authority(address: str) -> str:
    return address.removeprefix("https://").partition("/")[0]
