"""The templates can be read, calculated and understood by Azure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.infra.bicep import shapes
from tests.infra.bicep.nodes import Finding
from tests.infra.bicep.static import static_findings
from tests.infra.policies.policy import policy
from tests.infra.project import Project

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


@policy("What one resource needs of another is deployed before it")
def order(project: Project) -> Iterator[Finding]:
    """Names made of texts tell the deployment nothing: `existing` waits for nobody."""
    for deployment in project.deployments.values():
        ids = {each.id.lower(): each for each in deployment.resources}
        for each in deployment.resources:
            above = [each.scope.lower(), each.id.lower().rpartition("/")[0].rpartition("/")[0]]
            for resource_id in above:
                needed = ids.get(resource_id)
                is_waited = needed is None or deployment.waits_for(each, needed)
                if needed is not None and not is_waited:
                    yield Finding(each.at, f"{each.name} does not wait for {needed.name}")
