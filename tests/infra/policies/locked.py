"""Nothing takes a key, and nothing is reached but by the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from relay.settings.secrets import holds_secret
from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.nodes import Call, Finding, Place, parts
from tests.infra.policies.policy import policy
from tests.infra.project import Project

EVENT_HUBS = "Microsoft.EventHub/namespaces"
SERVICE_BUS = "Microsoft.ServiceBus/namespaces"
ACCOUNT = "Microsoft.Storage/storageAccounts"

REACHABLE = {
    "infra/modules/twins-dead-letters.bicep": (
        "Azure Digital Twins is no trusted service of Azure Storage, so that its own dead "
        "letters need an account that is reachable; it opens to identities only"
    ),
}
"""Files whose account the public network may reach, and why."""

BYPASSED = {
    "infra/modules/dead-letters.bicep": (
        "lifecycle management comes in as a trusted service, and deletes nothing without this"
    ),
}
"""Files whose account lets Azure's trusted services past its rules, and why.

Source: MicrosoftDocs/azure-docs, storage/blobs/lifecycle-management-overview.md.
"""

MUST: dict[str, dict[str, Any]] = {
    EVENT_HUBS: {
        "disableLocalAuth": True,
        "publicNetworkAccess": "Disabled",
        "minimumTlsVersion": "1.2",
    },
    f"{EVENT_HUBS}/networkRuleSets": {
        "publicNetworkAccess": "Disabled",
        "defaultAction": "Deny",
    },
    SERVICE_BUS: {
        "disableLocalAuth": True,
        "publicNetworkAccess": "Disabled",
        "minimumTlsVersion": "1.2",
    },
    f"{SERVICE_BUS}/networkRuleSets": {
        "publicNetworkAccess": "Disabled",
        "defaultAction": "Deny",
    },
    ACCOUNT: {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "isLocalUserEnabled": False,
        "allowCrossTenantReplication": False,
        "defaultToOAuthAuthentication": True,
        "supportsHttpsTrafficOnly": True,
        "minimumTlsVersion": "TLS1_2",
        "publicNetworkAccess": "Disabled",
        "networkAcls.defaultAction": "Deny",
    },
    f"{ACCOUNT}/blobServices/containers": {"publicAccess": "None"},
    "Microsoft.Insights/components": {
        "DisableLocalAuth": True,
        "publicNetworkAccessForIngestion": "Disabled",
    },
    "Microsoft.OperationalInsights/workspaces": {
        "features.disableLocalAuth": True,
        "publicNetworkAccessForIngestion": "Disabled",
    },
    "Microsoft.Web/sites": {
        "httpsOnly": True,
        "siteConfig.minTlsVersion": "1.2",
        "siteConfig.scmMinTlsVersion": "1.2",
        "siteConfig.ipSecurityRestrictionsDefaultAction": "Deny",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"allow": False},
}
"""What the properties of a type must say, in every scenario."""

BY_PARAMETER = {
    "Microsoft.DigitalTwins/digitalTwinsInstances": "publicNetworkAccess",
    "Microsoft.Web/sites": "publicNetworkAccess",
}
"""What a parameter locks behind the first deployment: closed in the scenario that is locked."""

_OPEN_FOR_REACHABLE = {"publicNetworkAccess", "networkAcls.defaultAction"}


@policy("Keys are off, public access is off and TLS is 1.2 wherever anything is kept or passes")
def locked(project: Project) -> Iterator[Finding]:
    for kind, must in MUST.items():
        for _, each in project.each(kind):
            for path, value in must.items():
                if each.at.path in REACHABLE and path in _OPEN_FOR_REACHABLE:
                    continue
                found = each.get(f"properties.{path}")
                if found != value or type(found) is not type(value):
                    yield Finding(each.at, f"{each.name}: {path} is {found!r}, not {value!r}")


@policy("Every namespace has its rule set, every app refuses passwords for its deployment")
def accompanied(project: Project) -> Iterator[Finding]:
    for deployment, each in project.each(EVENT_HUBS, SERVICE_BUS):
        if deployment.by_id(f"{each.id}/networkRuleSets/default") is None:
            yield Finding(each.at, f"{each.name} has no network rule set")
    for deployment, each in project.each("Microsoft.Web/sites"):
        for name in ("ftp", "scm"):
            below = f"{each.id}/basicPublishingCredentialsPolicies/{name}"
            if deployment.by_id(below) is None:
                yield Finding(each.at, f"{each.name} lets passwords in by {name}")


@policy("What is locked by a parameter is closed where the parameter says so")
def lockable(project: Project) -> Iterator[Finding]:
    deployment = project.deployments["all on and locked"]
    for kind, path in BY_PARAMETER.items():
        for scenario, each in project.each(kind):
            found, is_locked = each.get(f"properties.{path}"), scenario is deployment
            if found != ("Disabled" if is_locked else "Enabled"):
                yield Finding(each.at, f"{each.name}: {path} is {found!r}, locked: {is_locked}")
    for each in deployment.of("Microsoft.Network/networkSecurityGroups"):
        rules = each.get("properties.securityRules", [])
        outward = [
            rule["properties"]
            for rule in rules
            if rule["properties"].get("destinationAddressPrefix") == "Internet"
            and rule["properties"].get("direction") == "Outbound"
        ]
        if any(rule.get("access") != "Deny" for rule in outward):
            yield Finding(each.at, f"{each.name} lets the app out though it is to be locked")


_KEYS = re.compile(
    r"listKeys|listAccountSas|listServiceSas|connectionStringPrimaryKey|SharedAccessKey|"
    r"accessKey1|accountKey|primaryKey|deadLetterSecret|sasToken|AuthorizationRules|"
    r"instrumentationKey|clientSecret|publishing-?profile",
    re.IGNORECASE,
)
_INSIGHTS = re.compile(r"connectionString", re.IGNORECASE)
INSIGHTS_IN = {
    "infra/main.bicep",
    "infra/modules/component.bicep",
    "infra/modules/function-app.bicep",
}
"""Where the connection string of Application Insights may be handed on.

It opens nothing, once the component's local authentication is off.
"""


@policy("No key, SAS or connection string is asked for, handed on or written down")
def keyless(project: Project) -> Iterator[Finding]:
    for file in project.bicep:
        for each in file.declarations:
            for part in parts(each.value):
                if isinstance(part, Call) and part.function.startswith("list"):
                    yield Finding(part.at, f"{part.function} reads a secret")
    for path, text in project.files.items():
        if "/monitoring/" in path and path.endswith((".kql", ".json")):
            continue  # queries tell of keys that others use
        for number, line in enumerate(text.splitlines(), 1):
            code = line.partition("// ")[0] if path.endswith(".bicep") else line
            found = _KEYS.search(code) or (
                _INSIGHTS.search(code) if path not in INSIGHTS_IN else None
            )
            if found:
                yield Finding(Place(path, number), f"{found[0]} is a secret's name")
        if holds_secret(text):
            yield Finding(Place(path, 1), "it holds a secret")


@policy("A landing namespace lets trusted services in, and nothing else does")
def trusted_services(project: Project) -> Iterator[Finding]:
    kinds = (f"{EVENT_HUBS}/networkRuleSets", f"{SERVICE_BUS}/networkRuleSets")
    for deployment, each in project.each(*kinds):
        found = each.get("properties.trustedServiceAccessEnabled")
        wanted = _receives(deployment.of(f"{_TWINS}/endpoints"), each)
        if found is not wanted:
            what = f"{each.name}: trustedServiceAccessEnabled is {found!r}, not {wanted!r}"
            yield Finding(each.at, what)
    for _, each in project.each(ACCOUNT):
        wanted_of_it = "AzureServices" if each.at.path in BYPASSED else "None"
        if each.get("properties.networkAcls.bypass") != wanted_of_it:
            yield Finding(each.at, f"{each.name}: networkAcls.bypass is not {wanted_of_it}")


_TWINS = "Microsoft.DigitalTwins/digitalTwinsInstances"


def _receives(endpoints: list[Deployed], rules: Deployed) -> bool:
    """Whether an endpoint of Azure Digital Twins writes into the namespace of these rules."""
    namespace = rules.name.partition("/")[0]
    hosts = (str(each.get("properties.endpointUri", "")) for each in endpoints)
    return any(host.startswith(f"sb://{namespace}.") for host in hosts)
