"""What a destination is to Azure Resource Manager, and so to role assignments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.refusals import EVENT_HUBS_SENDER, SERVICE_BUS_SENDER, Resource
from relay.routing import Destination, Kind

if TYPE_CHECKING:
    from relay.settings import Connection

_EVENT_HUBS: Final = "https://eventhubs.azure.net/"
_SERVICE_BUS: Final = "https://servicebus.azure.net/"

_PATHS: Final = {Kind.EVENT_HUB: "eventhubs", Kind.QUEUE: "queues", Kind.TOPIC: "topics"}


def resource_of(destination: Destination, connection: Connection) -> Resource:
    """Return the entity as the resource that the relay needs its role on."""
    is_hub = destination.kind is Kind.EVENT_HUB
    account = connection.namespace.partition(".")[0]
    if connection.resource_id:
        account = connection.resource_id.rpartition("/")[2]
    return Resource(
        label=f"{account}/{destination.entity}",
        audience=_EVENT_HUBS if is_hub else _SERVICE_BUS,
        role=EVENT_HUBS_SENDER if is_hub else SERVICE_BUS_SENDER,
        provider=f"Microsoft.{'EventHub' if is_hub else 'ServiceBus'}/namespaces",
        account=account,
        path=f"/{_PATHS[destination.kind]}/{destination.entity}",
        resource_id=connection.resource_id,
    )
