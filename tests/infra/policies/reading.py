"""The templates can be read, calculated and understood by Azure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.infra.bicep import shapes
from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.deployment import Deployment
from tests.infra.bicep.nodes import Finding
from tests.infra.bicep.static import static_findings
from tests.infra.policies.policy import policy
from tests.infra.project import ENVIRONMENT, Project, is_theirs

VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.DigitalTwins": "2023-01-31",
    "Microsoft.EventHub": "2024-01-01",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.Insights/metricAlerts": "2018-03-01",
    "Microsoft.Insights/privateLinkScopes": "2021-07-01-preview",
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.ManagedIdentity": "2024-11-30",
    "Microsoft.Network/networkSecurityGroups": "2025-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-05-01",
    "Microsoft.Network/virtualNetworks": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2024-03-01",
    "Microsoft.ServiceBus": "2024-01-01",
    "Microsoft.Storage": "2025-06-01",
    "Microsoft.Web": "2024-11-01",
}
"""The version of each provider or type that the templates were written and looked through for.

All stand in Azure/azure-resource-manager-schemas (August 2026). A newer one is another set of
names: look at what it changed, then change it here.
"""


@policy("Every file parses, and every name, function and number of arguments is known")
def syntax(project: Project) -> Iterator[Finding]:
    for file in project.bicep:
        yield from file.findings
        yield from (each for each in static_findings(file) if "not used" not in each.what)


@policy("No parameter, variable or reference stands there for nothing")
def unused(project: Project) -> Iterator[Finding]:
    for file in project.bicep:
        yield from (each for each in static_findings(file) if "not used" in each.what)


@policy("Every value can be calculated, and every module gets the parameters that it takes")
def values(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        yield from deployment.findings


@policy("Every module is called by something")
def modules(project: Project) -> Iterator[Finding]:
    called = {path for each in project.deployments.values() for path in each.files}
    for file in project.bicep:
        if file.path not in called:
            yield Finding(file.declarations[0].at, f"nothing deploys {file.path}")


@policy("Every member of a resource is one that Azure knows, of its kind and among its words")
def shape(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        for each in deployment.resources:
            name = str(each.body["name"])
            for what in shapes.wrong(each.type, name, each.body):
                yield Finding(each.at, f"{each.name}: {what}")


@policy("Every API version is the one that the templates were written for")
def versions(project: Project) -> Iterator[Finding]:
    for file in project.bicep:
        for each in file.of("resource"):
            known = next(
                (
                    version
                    for prefix, version in VERSIONS.items()
                    if f"{each.type}/".startswith(f"{prefix}/")
                ),
                "",
            )
            if each.version != known:
                what = f"{each.type}@{each.version}: {known or 'no version'} is known"
                yield Finding(each.at, what)


_ID = re.compile(r"/subscriptions/[^/\s]+/resourceGroups/[^\s,;?]+", re.IGNORECASE)


def _named_in(value: Any) -> Iterator[str]:
    """Yield every resource id that stands in a body, as a value or a member's name."""
    if isinstance(value, str):
        yield from _ID.findall(value)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _ID.findall(name)
            yield from _named_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named_in(each)


def _target(deployment: Deployment, resource_id: str) -> Deployed | None:
    """Return what an id means; a part of a resource, such as a subnet, is the resource."""
    while "/providers/" in resource_id:
        found = deployment.by_id(resource_id)
        if found is not None:
            return found
        resource_id = resource_id.rpartition("/")[0].rpartition("/")[0]
    return None


@policy("What a resource names, extends or stands in is made here or is there already")
def references(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        named = [(each.at, found) for each in deployment.resources for found in _all(each)]
        for at, resource_id in [*named, *deployment.references]:
            is_group = "/providers/" not in resource_id
            if is_theirs(resource_id) or (is_group and deployment.by_id(resource_id)):
                continue
            if _target(deployment, resource_id) is None:
                yield Finding(
                    at, f"nothing makes {resource_id.partition('/resourceGroups/')[2]}"
                )


def _all(resource: Deployed) -> Iterator[str]:
    yield from _named_in(resource.body)
    if "/resourceGroups/" in resource.scope:
        yield resource.scope


@policy("What one resource needs of another is deployed before it")
def order(project: Project) -> Iterator[Finding]:
    """Names made of texts tell the deployment nothing: `existing` waits for nobody."""
    for deployment in project.deployments.values():
        for each in deployment.resources:
            above = each.id.rpartition("/")[0].rpartition("/")[0]
            named = set() if each.name.endswith("/appsettings") else set(_named_in(each.body))
            for resource_id in named | {each.scope, above}:
                needed = _target(deployment, resource_id)
                is_other = needed is not None and needed.node != each.node
                if needed and is_other and not deployment.waits_for(each, needed):
                    yield Finding(each.at, f"{each.name} does not wait for {needed.name}")


GLOBAL = {
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/privateLinkScopes",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
}
"""Types that are in no region. Children and extensions have no place of their own."""

_PLACELESS = {
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Insights/diagnosticSettings",
}


@policy("Everything is where it is asked to be, and in no region what is in none")
def places(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        for each in deployment.resources:
            is_child = each.type.count("/") > 1 and each.type not in GLOBAL
            usual = "global" if each.type in GLOBAL else ENVIRONMENT["AZURE_LOCATION"]
            wanted = None if is_child or each.type in _PLACELESS else usual
            if each.get("location") != wanted:
                yield Finding(
                    each.at, f"{each.name} is in {each.get('location')}, not {wanted}"
                )
