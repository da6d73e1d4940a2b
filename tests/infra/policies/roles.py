"""Who may do what: all that is needed, nothing more, each at its narrowest scope."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from relay.refusals import (
    BLOB_CONTRIBUTOR,
    BLOB_OWNER,
    EVENT_HUBS_RECEIVER,
    EVENT_HUBS_SENDER,
    METRICS_PUBLISHER,
    SERVICE_BUS_RECEIVER,
    SERVICE_BUS_SENDER,
    TWINS_OWNER,
)
from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.deployment import Deployment
from tests.infra.bicep.made_up import SUBSCRIPTION, client_of, principal_of
from tests.infra.bicep.nodes import Finding, Place
from tests.infra.policies.policy import policy
from tests.infra.policies.settings import needs_in, settings_of
from tests.infra.project import ENVIRONMENT, MAIN, Project, line_of

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TWINS = "Microsoft.DigitalTwins/digitalTwinsInstances"
ROLES = {
    role.id: role
    for role in (
        BLOB_CONTRIBUTOR,
        BLOB_OWNER,
        EVENT_HUBS_RECEIVER,
        EVENT_HUBS_SENDER,
        METRICS_PUBLISHER,
        SERVICE_BUS_RECEIVER,
        SERVICE_BUS_SENDER,
        TWINS_OWNER,
    )
}
"""Roles that may be assigned at all; ids from MicrosoftDocs/azure-docs, built-in-roles."""

OWNERS = {
    BLOB_OWNER.id: "Microsoft.Storage/storageAccounts",
    TWINS_OWNER.id: _TWINS,
}
"""Roles that rule over all of something, and over what alone."""


@dataclass(frozen=True)
class Grant:
    """That somebody holds a role somewhere."""

    who: str
    role: str
    scope: str


@policy("Roles are assigned by their GUIDs, each beside its name, and on single resources only")
def role_names(project: Project) -> Iterator[Finding]:
    for file in project.bicep:
        for number, line in enumerate(file.text.splitlines(), 1):
            for guid in _GUID.findall(line.partition("//")[0]):
                role = ROLES.get(guid)
                at = Place(file.path, number)
                if role is None:
                    yield Finding(at, f"{guid} is no role that may be assigned")
                elif role.name not in file.text:
                    yield Finding(at, f"{guid} is {role.name}, and the file does not say so")
    for _, each in project.each(ASSIGNMENT):
        told = str(each.get("properties.roleDefinitionId"))
        above, _, guid = told.rpartition("/")
        kind = "/providers/Microsoft.Authorization/roleDefinitions"
        if above != SUBSCRIPTION + kind or not _GUID.fullmatch(guid):
            yield Finding(each.at, f"{told} is no role's id")
        if "/providers/" not in each.scope:
            yield Finding(each.at, f"a role for all of {each.scope.rpartition('/')[2]}")
        if not _GUID.fullmatch(str(each.body["name"])):
            yield Finding(each.at, "its name is no GUID")


@policy(
    "No role rules over more than it must: Owners are for the host's account and who deploys"
)
def role_owners(project: Project) -> Iterator[Finding]:
    for deployment, each in project.each(ASSIGNMENT):
        role = str(each.get("properties.roleDefinitionId")).rpartition("/")[2]
        kind = OWNERS.get(role)
        if kind is None:
            continue
        _, _, below = each.scope.rpartition("/providers/")
        if "/".join(below.split("/")[:2]) != kind or below.count("/") != kind.count("/") + 1:
            yield Finding(each.at, f"{ROLES[role].name} on {below}")
        hosts = settings_of(deployment).get("AzureWebJobsStorage__resourceId")
        if role == BLOB_OWNER.id and each.scope != hosts:
            yield Finding(each.at, f"{ROLES[role].name} on what is not the host's account")


@policy("Every role that the relay's code needs is assigned, and none more")
def role_assignments(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        wanted = set(_wanted(project, deployment))
        given = {_given(each): each for each in deployment.of(ASSIGNMENT)}
        at = line_of(project, MAIN, "param")
        for each in sorted(wanted - given.keys(), key=str):
            yield Finding(at, f"nobody grants {_told(each)}")
        for extra in sorted(given.keys() - wanted, key=str):
            yield Finding(given[extra].at, f"nothing needs {_told(extra)}")


@policy("Each assignment says of whom it is: an identity, or who deploys")
def role_principals(project: Project) -> Iterator[Finding]:
    for deployment, each in project.each(ASSIGNMENT):
        is_deployer = each.get("properties.principalId") == ENVIRONMENT["AZURE_PRINCIPAL_ID"]
        kinds = {"User", "Group", "ServicePrincipal"} if is_deployer else {"ServicePrincipal"}
        if each.get("properties.principalType") not in kinds:
            told = each.get("properties.principalType")
            yield Finding(each.at, f"principalType is {told!r}, not one of {sorted(kinds)}")
        if each.get("properties.principalId") not in _people(deployment):
            yield Finding(each.at, "it is for nobody that is known here")


def _given(assigned: Deployed) -> Grant:
    role = str(assigned.get("properties.roleDefinitionId")).rpartition("/")[2]
    who = str(assigned.get("properties.principalId"))
    return Grant(who, role, assigned.scope.lower())


def _told(grant: Grant) -> str:
    role = ROLES.get(grant.role)
    return f"{role.name if role else grant.role} on {grant.scope.partition('/providers/')[2]}"


def _people(deployment: Deployment) -> set[str]:
    twins = {
        each.id.rpartition("/endpoints/")[0] for each in deployment.of(f"{_TWINS}/endpoints")
    }
    identities = {
        each.id for each in deployment.of("Microsoft.ManagedIdentity/userAssignedIdentities")
    }
    return {principal_of(each) for each in twins | identities} | {
        ENVIRONMENT["AZURE_PRINCIPAL_ID"]
    }


def _wanted(project: Project, deployment: Deployment) -> Iterator[Grant]:
    """Yield what the relay's own code says that it needs, and what is needed around it."""
    identities = deployment.of("Microsoft.ManagedIdentity/userAssignedIdentities")
    principals = {client_of(each.id): principal_of(each.id) for each in identities}
    for need in needs_in(project, deployment):
        who = principals.get(need.identity.client_id, f"unknown {need.identity.name}")
        yield Grant(who, need.resource.role.id, need.resource.scope.lower())
    told = settings_of(deployment).get("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "")
    writer = principals.get(
        dict(part.split("=") for part in told.split(";")).get("ClientId", "")
    )
    for component in deployment.of("Microsoft.Insights/components"):
        yield Grant(writer or "nobody", METRICS_PUBLISHER.id, component.id.lower())
    for endpoint in deployment.of(f"{_TWINS}/endpoints"):
        yield from _around_twins(deployment, endpoint, principals)


def _around_twins(
    deployment: Deployment, endpoint: Deployed, principals: dict[str, str]
) -> Iterator[Grant]:
    """Yield what Azure Digital Twins, who deploys and who redrives its dead letters need."""
    instance = endpoint.id.rpartition("/endpoints/")[0]
    settings = settings_of(deployment)
    hub = f"{settings.get('INGRESS__resourceId')}/eventhubs/{settings.get('INGRESS_EVENT_HUB')}"
    yield Grant(principal_of(instance), EVENT_HUBS_SENDER.id, hub.lower())
    yield Grant(ENVIRONMENT["AZURE_PRINCIPAL_ID"], TWINS_OWNER.id, instance.lower())
    uri = str(endpoint.get("properties.deadLetterUri") or "")
    host, _, container = uri.removeprefix("https://").partition("/")
    for account in deployment.of("Microsoft.Storage/storageAccounts"):
        if account.name == host.partition(".")[0]:
            scope = f"{account.id}/blobServices/default/containers/{container}".lower()
            yield Grant(principal_of(instance), BLOB_CONTRIBUTOR.id, scope)
            for redriver in principals.values():
                yield Grant(redriver, BLOB_CONTRIBUTOR.id, scope)
