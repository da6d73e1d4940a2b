"""What ingresses, destinations and containers are to Azure, and so to role assignments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.clouds import EVENT_HUBS, SERVICE_BUS, STORAGE
from relay.refusals import (
    BLOB_CONTRIBUTOR,
    BLOB_OWNER,
    EVENT_HUBS_RECEIVER,
    EVENT_HUBS_SENDER,
    SERVICE_BUS_RECEIVER,
    SERVICE_BUS_SENDER,
    Resource,
    Role,
)
from relay.routing import Destination, Kind

if TYPE_CHECKING:
    from relay.settings import Connection, Container, Ingress

EVENT_HUBS_PROVIDER: Final = "Microsoft.EventHub/namespaces"
SERVICE_BUS_PROVIDER: Final = "Microsoft.ServiceBus/namespaces"
STORAGE_PROVIDER: Final = "Microsoft.Storage/storageAccounts"

_PATHS: Final = {Kind.EVENT_HUB: "eventhubs", Kind.QUEUE: "queues", Kind.TOPIC: "topics"}


def resource_of(destination: Destination, connection: Connection) -> Resource:
    """Return the entity as the resource that the relay needs its role on."""
    is_hub = destination.kind is Kind.EVENT_HUB
    role = EVENT_HUBS_SENDER if is_hub else SERVICE_BUS_SENDER
    return _entity(destination.kind, destination.entity, connection, role)


def resource_of_ingress(ingress: Ingress) -> Resource:
    """Return where events come in as the resource that the relay needs its role on.

    Of a topic it is the subscription: a role on the topic alone lets nobody receive.
    """
    is_hub = ingress.kind is Kind.EVENT_HUB
    role = EVENT_HUBS_RECEIVER if is_hub else SERVICE_BUS_RECEIVER
    entity = ingress.entity
    if ingress.kind is Kind.TOPIC:
        entity = f"{entity}/subscriptions/{ingress.group}"
    return _entity(ingress.kind, entity, ingress.connection, role)


def resource_of_container(container: Container) -> Resource:
    """Return a container, or an account's whole Blob service where it names none."""
    account = container.service_uri.removeprefix("https://").rstrip("/")
    account = account.rpartition("/")[2].partition(".")[0]
    if container.resource_id:
        account = container.resource_id.rpartition("/")[2]
    below = f"/blobServices/default/containers/{container.name}" if container.name else ""
    return Resource(
        label=f"{account}/{container.name}" if container.name else account,
        audience=STORAGE,
        role=BLOB_CONTRIBUTOR if container.name else BLOB_OWNER,
        provider=STORAGE_PROVIDER,
        account=account,
        path=below,
        resource_id=container.resource_id,
    )


def _entity(kind: Kind, entity: str, connection: Connection, role: Role) -> Resource:
    account = connection.namespace.partition(".")[0]
    if connection.resource_id:
        account = connection.resource_id.rpartition("/")[2]
    is_hub = kind is Kind.EVENT_HUB
    return Resource(
        label=f"{account}/{entity}",
        audience=EVENT_HUBS if is_hub else SERVICE_BUS,
        role=role,
        provider=EVENT_HUBS_PROVIDER if is_hub else SERVICE_BUS_PROVIDER,
        account=account,
        path=f"/{_PATHS[kind]}/{entity}",
        resource_id=connection.resource_id,
    )
