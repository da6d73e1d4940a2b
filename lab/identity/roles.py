"""The data roles of the services, *Reader*, *Contributor* and *Owner*, and their scopes.

The ids are those of Azure's built-in roles. The services keep apart: no Event Hubs role opens a
Service Bus entity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RESOURCE_GROUP: Final = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/twin-relay-lab"
)
"""Where everything in the lab lives: the beginning of every resource id."""


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role.

    Attributes:
        id: its GUID, the same in every tenant.
        name: what the portal shows.
        actions: what it allows, as `service/verb`.
    """

    id: str
    name: str
    actions: frozenset[str]


def _role(guid: str, name: str, *actions: str) -> Role:
    return Role(guid, name, frozenset(actions))


ROLES: Final = (
    _role(
        "2b629674-e913-4c01-ae53-ef4638d8f975", "Azure Event Hubs Data Sender", "eventhubs/send"
    ),
    _role(
        "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
        "Azure Event Hubs Data Receiver",
        "eventhubs/listen",
    ),
    _role(
        "f526a384-b230-433a-b45c-95f59c4a2dec",
        "Azure Event Hubs Data Owner",
        "eventhubs/send",
        "eventhubs/listen",
        "eventhubs/manage",
    ),
    _role(
        "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
        "Azure Service Bus Data Sender",
        "servicebus/send",
    ),
    _role(
        "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
        "Azure Service Bus Data Receiver",
        "servicebus/listen",
    ),
    _role(
        "090c5cfd-751d-490a-894a-3ce6f1109419",
        "Azure Service Bus Data Owner",
        "servicebus/send",
        "servicebus/listen",
        "servicebus/manage",
    ),
    _role("d5a91429-5739-47e2-a06b-3470a27159e7", "EventGrid Data Sender", "eventgrid/send"),
    _role("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "Storage Blob Data Reader", "blob/read"),
    _role(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Storage Blob Data Contributor",
        "blob/read",
        "blob/write",
    ),
    _role(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Storage Blob Data Owner",
        "blob/read",
        "blob/write",
        "blob/own",
    ),
    # Roles over resources, not over data: *Owner* sends and reads nothing.
    _role("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", "management/read"),
    _role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        "management/read",
        "management/write",
    ),
    _role(
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        "Owner",
        "management/read",
        "management/write",
        "management/assign",
    ),
    _role(
        "d57506d4-4c8d-48b1-8587-93c323f6a5a3",
        "Azure Digital Twins Data Reader",
        "digitaltwins/read",
        "eventroutes/read",
    ),
    _role(
        "bcd981a7-7f74-457b-83e1-cceb9e632ffe",
        "Azure Digital Twins Data Owner",
        "digitaltwins/read",
        "digitaltwins/write",
        "eventroutes/read",
        "eventroutes/write",
    ),
)


def role(wanted: str) -> Role | None:
    """Find a role by GUID or name, without case."""
    return next(
        (each for each in ROLES if wanted.lower() in {each.id, each.name.lower()}), None
    )


def storage_scope(account: str, container: str = "") -> str:
    """Return the resource id of a storage account, or of a container in it."""
    scope = f"{RESOURCE_GROUP}/providers/Microsoft.Storage/storageAccounts/{account}"
    return f"{scope}/blobServices/default/containers/{container}" if container else scope


def covers(scope: str, resource: str) -> bool:
    """Tell whether an assignment on `scope` holds for `resource`: itself or anything below."""
    above, below = _path(scope), _path(resource)
    return below == above or below.startswith(above + "/")


def _path(resource_id: str) -> str:
    return resource_id.rstrip("/").lower()
