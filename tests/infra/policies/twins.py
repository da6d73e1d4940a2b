"""Azure Digital Twins writes to the landing hub as itself, and may do so before it tries."""

from __future__ import annotations

from collections.abc import Iterator

from relay.refusals import BLOB_CONTRIBUTOR, EVENT_HUBS_SENDER
from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.deployment import Deployment
from tests.infra.bicep.made_up import principal_of
from tests.infra.bicep.nodes import Finding
from tests.infra.policies.policy import policy
from tests.infra.policies.roles import ASSIGNMENT
from tests.infra.policies.settings import settings_of
from tests.infra.project import Project

INSTANCE = "Microsoft.DigitalTwins/digitalTwinsInstances"


@policy("The instance has a system-assigned identity: only that one passes a firewall")
def twins_identity(project: Project) -> Iterator[Finding]:
    for _, each in project.each(INSTANCE):
        if each.get("identity.type") != "SystemAssigned":
            yield Finding(each.at, f"{each.name}: its identity is {each.get('identity.type')}")


@policy("Endpoints of Azure Digital Twins use its identity, and lead to the hub that is read")
def twins_endpoints(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        found = deployment.of(f"{INSTANCE}/endpoints")
        if not found:
            at = next(iter(deployment.files.values())).declarations[0].at
            yield Finding(at, "no endpoint of Azure Digital Twins is made")
        for each in found:
            yield from _of_endpoint(deployment, each)


def _of_endpoint(deployment: Deployment, each: Deployed) -> Iterator[Finding]:
    settings = settings_of(deployment)
    must = {
        "authenticationType": "IdentityBased",
        "endpointType": "EventHub",
        "identity.type": "SystemAssigned",
        "endpointUri": f"sb://{settings.get('INGRESS__fullyQualifiedNamespace')}/",
        "entityPath": settings.get("INGRESS_EVENT_HUB"),
    }
    for path, value in must.items():
        found = each.get(f"properties.{path}")
        if str(found).rstrip("/") != str(value).rstrip("/"):
            yield Finding(each.at, f"{each.name}: {path} is {found!r}, not {value!r}")
    holder = principal_of(each.id.rpartition("/endpoints/")[0])
    roles = [(EVENT_HUBS_SENDER, "/eventhubs/")]
    if each.get("properties.deadLetterUri"):
        roles.append((BLOB_CONTRIBUTOR, "/containers/"))
    for role, below in roles:
        given = [
            assigned
            for assigned in deployment.of(ASSIGNMENT)
            if assigned.get("properties.principalId") == holder
            and str(assigned.get("properties.roleDefinitionId")).endswith(role.id)
            and below in assigned.scope
        ]
        if not any(deployment.waits_for(each, assigned) for assigned in given):
            yield Finding(each.at, f"{each.name} does not wait for {role.name}")


@policy("What Azure Digital Twins can't deliver goes to an account of its own")
def twins_dead_letters(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        relays = settings_of(deployment).get("DEAD_LETTERS__blobServiceUri", "")
        for each in deployment.of(f"{INSTANCE}/endpoints"):
            uri = each.get("properties.deadLetterUri")
            if uri and (not str(uri).startswith("https://") or str(uri).startswith(relays)):
                yield Finding(each.at, f"{each.name}: its dead letters go to {uri}")
            account, _, container = str(uri or "").removeprefix("https://").partition("/")
            made = any(
                one.name == f"{account.partition('.')[0]}/default/{container}"
                for one in deployment.of(
                    "Microsoft.Storage/storageAccounts/blobServices/containers"
                )
            )
            if uri and not made:
                yield Finding(each.at, f"{each.name}: nothing makes the container of {uri}")
