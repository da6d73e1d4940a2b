"""What only Azure knows, made up: the same for the same resource.

So who holds which role, and where a setting leads, can be compared.
"""

from __future__ import annotations

from typing import Any

from tests.infra.bicep import functions

SUBSCRIPTION = "/subscriptions/00000000-1111-2222-3333-444444444444"
TENANT = "55555555-6666-7777-8888-999999999999"
DEPLOYER = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
LOCATION = "westeurope"


def known(kind: str, resource_id: str, identity: str | None, path: str) -> Any:
    """Return what Azure would tell of a resource; `None` where that is not made up here.

    Args:
        kind: its type.
        resource_id: its id.
        identity: the type of its identity; `None` of a resource that is there already.
        path: of the member.
    """
    short = resource_id.rpartition("/")[2]
    address = f"https://{short}.{{}}.core.windows.net/"
    made_up: dict[tuple[str, str], Any] = {
        ("microsoft.managedidentity/userassignedidentities", "properties.principalId"): (
            principal_of(resource_id)
        ),
        ("microsoft.managedidentity/userassignedidentities", "properties.clientId"): (
            client_of(resource_id)
        ),
        ("microsoft.digitaltwins/digitaltwinsinstances", "properties.hostName"): (
            f"{short}.api.weu.digitaltwins.azure.net"
        ),
        ("microsoft.insights/components", "properties.ConnectionString"): (
            f"InstrumentationKey={functions.guid(resource_id)};IngestionEndpoint="
            "https://westeurope-1.in.applicationinsights.azure.com/"
        ),
        ("microsoft.web/sites", "properties.defaultHostName"): f"{short}.azurewebsites.net",
        ("microsoft.eventhub/namespaces", "properties.serviceBusEndpoint"): (
            f"https://{short}.servicebus.windows.net:443/"
        ),
        ("microsoft.servicebus/namespaces", "properties.serviceBusEndpoint"): (
            f"https://{short}.servicebus.windows.net:443/"
        ),
        ("microsoft.eventgrid/topics", "properties.endpoint"): (
            f"https://{short}.westeurope-1.eventgrid.azure.net/api/events"
        ),
        **{
            ("microsoft.storage/storageaccounts", f"properties.primaryEndpoints.{service}"): (
                address.format(service)
            )
            for service in ("blob", "queue", "table", "file", "dfs")
        },
    }
    if path == "identity.principalId":
        is_there = identity is None or "SystemAssigned" in identity
        return principal_of(resource_id) if is_there else None
    if path in {"identity.tenantId", "properties.tenantId"}:
        return TENANT
    return made_up.get((kind.lower(), path))


def principal_of(resource_id: str) -> str:
    """Return the object id that is made up for an identity."""
    return functions.guid(resource_id.lower(), "principal")


def client_of(resource_id: str) -> str:
    """Return the client id that is made up for an identity."""
    return functions.guid(resource_id.lower(), "client")
