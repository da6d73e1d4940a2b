"""The function app can run, and what it stands on is of a kind that can carry it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.deployment import Deployment
from tests.infra.bicep.made_up import principal_of
from tests.infra.bicep.nodes import Finding
from tests.infra.policies.policy import policy
from tests.infra.project import SCENARIOS, Project

RUNTIME = {"name": "python", "version": "3.13"}
SKUS = {
    "Microsoft.EventHub/namespaces": {("Standard", "Standard"), ("Premium", "Premium")},
    "Microsoft.ServiceBus/namespaces": {("Premium", "Premium")},
    "Microsoft.Web/serverfarms": {("FC1", "FlexConsumption")},
}
"""Name and tier. Basic hubs and all but Premium of Service Bus have no private endpoints."""

CATEGORIES = {
    "Microsoft.DigitalTwins/digitalTwinsInstances": {"EventRoutesOperation"},
    "Microsoft.EventHub/namespaces": {
        "DiagnosticErrorLogs",
        "EventHubVNetConnectionEvent",
        "RuntimeAuditLogs",
    },
    "Microsoft.ServiceBus/namespaces": {
        "DiagnosticErrorLogs",
        "RuntimeAuditLogs",
        "VNetAndIPFilteringLogs",
    },
    "Microsoft.Storage/storageAccounts": {"StorageDelete", "StorageRead", "StorageWrite"},
}
"""Categories of logs that the queries ask; the shapes leave their names free.

Source: the pages on monitoring data of each service in MicrosoftDocs/azure-docs.
"""
FLEX_REFUSES = {"alwaysOn", "linuxFxVersion", "ftpsState", "netFrameworkVersion", "use32Bit"}
"""Source: MicrosoftDocs/azure-docs, flex-consumption-plan.md, deprecated properties."""

_SITE = "Microsoft.Web/sites"
_DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"


@policy("The app runs on Flex Consumption with the Python of the project, by its own identity")
def hosting(project: Project) -> Iterator[Finding]:
    for deployment, each in project.each(_SITE):
        config = each.get("properties.functionAppConfig", {})
        if each.get("kind") != "functionapp,linux":
            yield Finding(each.at, f"it is a {each.get('kind')}")
        if config.get("runtime") != RUNTIME:
            yield Finding(each.at, f"its runtime is {config.get('runtime')}, not {RUNTIME}")
        plan = deployment.by_id(str(each.get("properties.serverFarmId")))
        if plan is None or plan.get("properties.reserved") is not True:
            yield Finding(each.at, "its plan is missing, or not for Linux")
        for name in FLEX_REFUSES & set(each.get("properties.siteConfig", {})):
            yield Finding(each.at, f"Flex Consumption refuses {name}")
        if each.get("properties.siteConfig.appSettings") is not None:
            yield Finding(each.at, "settings stand in two places: sites/config replaces them")
        yield from _deployment(deployment, each)


@policy("The app starts when it may do all that it must, and reaches all that it needs")
def start(project: Project) -> Iterator[Finding]:
    for deployment, each in project.each(_SITE):
        for other in deployment.of("Microsoft.Authorization/roleAssignments"):
            is_mine = other.get("properties.principalId") in _principals(each)
            is_later = any(f"/{name}/" in other.scope for name in _of_twins(deployment))
            if is_mine and not is_later and not deployment.waits_for(each, other):
                yield Finding(each.at, f"{each.name} starts before it has a role")
        for other in deployment.of("Microsoft.Network/privateEndpoints"):
            if not (_leads_to_twins(other, each) or deployment.waits_for(each, other)):
                yield Finding(each.at, f"{each.name} starts before it reaches {other.name}")


@policy("Who may call the app is named, deployments come in apart, instances are as asked")
def callers(project: Project) -> Iterator[Finding]:
    for scenario, deployment in project.deployments.items():
        for each in deployment.of(_SITE):
            allowed = SCENARIOS[scenario].get("allowedCallers", [])
            rules = each.get("properties.siteConfig.ipSecurityRestrictions", [])
            if [rule.get("ipAddress") for rule in rules] != allowed:
                yield Finding(each.at, f"it answers {rules}, not {allowed}")
            for number, rule in enumerate(rules):
                told = rule.get("action"), rule.get("priority"), rule.get("tag", "Default")
                kind = "Default" if "/" in str(rule.get("ipAddress")) else "ServiceTag"
                if told != ("Allow", 100 + number, kind):
                    yield Finding(each.at, f"{rule.get('name')} says {told}")
            scm = [
                each.get(f"properties.siteConfig.scmIpSecurityRestrictions{name}")
                for name in ("UseMain", "DefaultAction")
            ]
            if scm != [False, "Allow"]:
                yield Finding(each.at, f"deployments are let in by {scm}: they show a token")
            ready = each.get("properties.functionAppConfig.scaleAndConcurrency.alwaysReady")
            count = SCENARIOS[scenario].get("alwaysReady", 0)
            wanted = [{"name": "function:event_hub", "instanceCount": count}] if count else []
            if ready != wanted:
                yield Finding(each.at, f"always ready are {ready}, not {wanted}")


def _of_twins(deployment: Deployment) -> set[str]:
    """Return the accounts of Azure Digital Twins' own dead letters, redriven by hand only."""
    kind = "Microsoft.DigitalTwins/digitalTwinsInstances/endpoints"
    uris = (str(each.get("properties.deadLetterUri")) for each in deployment.of(kind))
    return {uri.removeprefix("https://").partition(".")[0] for uri in uris}


def _principals(app: Deployed) -> set[str]:
    return {principal_of(each) for each in app.get("identity.userAssignedIdentities", {})}


def _leads_to_twins(endpoint: Deployed, app: Deployed) -> bool:
    """Whether an endpoint is for people and for the app's own callers, not for the app."""
    (link,) = endpoint.get("properties.privateLinkServiceConnections")
    target = str(link["properties"]["privateLinkServiceId"])
    return "/digitalTwinsInstances/" in target or target == app.id


def _deployment(deployment: Deployment, each: Deployed) -> Iterator[Finding]:
    told = each.get("properties.functionAppConfig.deployment.storage", {})
    identity = told.get("authentication", {}).get("userAssignedIdentityResourceId")
    if each.get("identity.type") != "UserAssigned" or told.get("type") != "blobContainer":
        yield Finding(
            each.at, "it has no identity of its own, or its package is in no container"
        )
    if told.get("authentication", {}).get("type") != "UserAssignedIdentity":
        yield Finding(each.at, "its package is not fetched by an identity")
    if identity not in each.get("identity.userAssignedIdentities", {}):
        yield Finding(each.at, "its package is fetched by an identity that it has not")
    containers = {
        f"https://{one.name.partition('/')[0]}.blob.core.windows.net/{one.body['name']}"
        for one in deployment.of("Microsoft.Storage/storageAccounts/blobServices/containers")
    }
    if told.get("value") not in containers:
        yield Finding(each.at, f"nothing makes the container {told.get('value')}")


@policy("Every tier is one that private endpoints and the app can be had in")
def tiers(project: Project) -> Iterator[Finding]:
    for kind, known in SKUS.items():
        for _, each in project.each(kind):
            found = each.get("sku.name"), each.get("sku.tier")
            if found not in known:
                yield Finding(each.at, f"{each.name} is {found}, not one of {sorted(known)}")


UNWATCHED = {"infra/modules/host-storage.bicep": "checkpoints and the package, no events"}
"""Files whose resources tell nothing, and why."""


@policy("Who used which identity is logged where the tier can")
def audit(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        for each in deployment.of(_DIAGNOSTICS):
            namespace = deployment.by_id(each.scope)
            for log in each.get("properties.logs", []):
                if log.get("category") == "RuntimeAuditLogs" and namespace is not None:
                    can = namespace.get("sku.tier") == "Premium"
                    if log.get("enabled") is not can:
                        yield Finding(each.at, f"{namespace.name}: its audit is wrong")


@policy("Whatever events pass through tells the workspace of it, by categories that there are")
def diagnostics(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        watched = {each.scope: each for each in deployment.of(_DIAGNOSTICS)}
        for kind, known in CATEGORIES.items():
            for each in deployment.of(kind):
                found = watched.get(each.id) or watched.get(f"{each.id}/blobServices/default")
                if found is not None:
                    yield from _logged(found, known)
                elif each.at.path not in UNWATCHED:
                    yield Finding(each.at, f"{each.name} tells the workspace nothing")


def _logged(found: Deployed, known: set[str]) -> Iterator[Finding]:
    logs = found.get("properties.logs", [])
    for name in sorted({str(log.get("category")) for log in logs} - known):
        yield Finding(found.at, f"there is no category {name}")
    off = {str(log.get("category")) for log in logs if log.get("enabled") is not True}
    if not logs or off - {"RuntimeAuditLogs"}:
        yield Finding(found.at, f"it does not log {sorted(off) or 'anything'}")
    for metric in found.get("properties.metrics", []):
        if metric.get("category") != "AllMetrics" or metric.get("enabled") is not True:
            yield Finding(found.at, "it does not tell its metrics")
    if "/workspaces/" not in str(found.get("properties.workspaceId")):
        yield Finding(found.at, f"it leads to {found.get('properties.workspaceId')}")
    is_blob = found.scope.endswith("/blobServices/default")
    kind = found.get("properties.logAnalyticsDestinationType")
    if kind != (None if is_blob else "Dedicated"):
        yield Finding(found.at, f"its tables are {kind}: the queries ask for the service's")


@policy(
    "Names are as long and of the letters that Azure takes, and no two deployments share one"
)
def names(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        for each in deployment.resources:
            rule = NAMES.get(each.type)
            name = str(each.body["name"])
            if rule and not re.fullmatch(rule, name):
                yield Finding(each.at, f"{name!r} is no name for {each.type}")
        buses = deployment.of("Microsoft.EventHub/namespaces")
        buses += deployment.of("Microsoft.ServiceBus/namespaces")
        for each in buses:
            if [other.name for other in buses].count(each.name) > 1:
                yield Finding(
                    each.at, f"{each.name} is a hub's and a bus's name: both share DNS"
                )
        taken: set[tuple[str, str]] = set()
        for at, scope, name in deployment.modules:
            if (scope, name.lower()) in taken:
                yield Finding(at, f"{name!r} is the name of another deployment in its scope")
            taken.add((scope, name.lower()))
            if not re.fullmatch(r"[\w().-]{1,64}", name):
                yield Finding(at, f"{name!r} is no name for a deployment")


NAMES = {
    "Microsoft.Storage/storageAccounts/blobServices": "default",
    "Microsoft.Storage/storageAccounts/managementPolicies": "default",
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": "default",
    "Microsoft.EventHub/namespaces/networkRuleSets": "default",
    "Microsoft.ServiceBus/namespaces/networkRuleSets": "default",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.EventHub/namespaces": r"[A-Za-z](?!.*--)[A-Za-z0-9-]{4,48}[A-Za-z0-9]",
    "Microsoft.ServiceBus/namespaces": r"[A-Za-z](?!.*--)[A-Za-z0-9-]{4,48}[A-Za-z0-9]",
    "Microsoft.DigitalTwins/digitalTwinsInstances": r"[A-Za-z0-9][A-Za-z0-9-]{1,61}[A-Za-z0-9]",
    "Microsoft.DigitalTwins/digitalTwinsInstances/endpoints": (
        r"[A-Za-z0-9][A-Za-z0-9-]{0,47}[A-Za-z0-9]"
    ),
    "Microsoft.Web/sites": r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
    "Microsoft.Insights/workbooks": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "Microsoft.Resources/resourceGroups": r"[\w().-]{0,89}[\w()-]",
}
"""Source: MicrosoftDocs/azure-docs, resource-name-rules.md."""
