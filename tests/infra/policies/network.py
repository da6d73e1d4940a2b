"""Every way leads through the network, and every name to its private address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import pairwise
from typing import Any

from relay.clouds import PUBLIC
from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.deployment import Deployment
from tests.infra.bicep.nodes import Finding
from tests.infra.policies.policy import policy
from tests.infra.policies.settings import needs_in
from tests.infra.project import Project

ENDPOINT = "Microsoft.Network/privateEndpoints"
ZONE = "Microsoft.Network/privateDnsZones"
SERVICE_BUS_ZONE = "privatelink.servicebus.windows.net"
GROUPS = {
    "Microsoft.EventHub/namespaces": {"namespace": {SERVICE_BUS_ZONE}},
    "Microsoft.ServiceBus/namespaces": {"namespace": {SERVICE_BUS_ZONE}},
    "Microsoft.Storage/storageAccounts": {
        "blob": {"privatelink.blob.core.windows.net"},
        "queue": {"privatelink.queue.core.windows.net"},
        "table": {"privatelink.table.core.windows.net"},
    },
    "Microsoft.DigitalTwins/digitalTwinsInstances": {
        "API": {"privatelink.digitaltwins.azure.net"}
    },
    "Microsoft.Web/sites": {"sites": {"privatelink.azurewebsites.net"}},
    "Microsoft.Insights/privateLinkScopes": {
        "azuremonitor": {
            "privatelink.monitor.azure.com",
            "privatelink.oms.opinsights.azure.com",
            "privatelink.ods.opinsights.azure.com",
            "privatelink.agentsvc.azure-automation.net",
            "privatelink.blob.core.windows.net",
        }
    },
}
"""What a private endpoint may lead to, by which sub-resource, and the zones of its names.

Source: MicrosoftDocs/azure-docs, private-link/private-endpoint-dns.md.
"""

ZONES = {zone for groups in GROUPS.values() for zones in groups.values() for zone in zones}


def _kind_of(resource_id: str) -> str:
    _, _, below = resource_id.rpartition("/providers/")
    return "/".join(below.split("/")[:2])


def _leads_to(endpoint: Deployed) -> Iterator[tuple[str, str]]:
    """Yield what a private endpoint connects: resource id and sub-resource."""
    for each in endpoint.get("properties.privateLinkServiceConnections", []):
        told = each.get("properties", {})
        for group in told.get("groupIds", []) or [""]:
            yield str(told.get("privateLinkServiceId")), group


def _zones_of(deployment: Deployment, endpoint: Deployed) -> list[str]:
    """Return the ids of the zones that an endpoint's address is written into."""
    return [
        str(config.get("properties", {}).get("privateDnsZoneId"))
        for group in deployment.of(f"{ENDPOINT}/privateDnsZoneGroups")
        if group.id.startswith(f"{endpoint.id}/")
        for config in group.get("properties.privateDnsZoneConfigs", [])
    ]


@policy("Every private endpoint has the zones of what it leads to, and no others")
def endpoint_names(project: Project) -> Iterator[Finding]:
    for deployment, each in project.each(ENDPOINT):
        zones = {zone.rpartition("/")[2] for zone in _zones_of(deployment, each)}
        wanted: set[str] = set()
        links = each.get("properties.privateLinkServiceConnections", [])
        if not all(link.get("name") for link in links):
            yield Finding(each.at, f"{each.name} has a connection without a name")
        for target, group in _leads_to(each):
            known = GROUPS.get(_kind_of(target), {})
            if group not in known:
                what = f"{each.name}: {_kind_of(target)} has no sub-resource {group!r}"
                yield Finding(each.at, what)
            wanted |= known.get(group, set())
        if zones != wanted:
            what = f"{each.name}: its zones are {sorted(zones)}, not {sorted(wanted)}"
            yield Finding(each.at, what)


@policy(
    "Every zone is known, there once, linked to the network, and there before its endpoints"
)
def zones(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        found = deployment.of(ZONE)
        linked = {each.id.partition("/virtualNetworkLinks/")[0] for each in _links(deployment)}
        for each in found:
            if each.name not in ZONES:
                yield Finding(each.at, f"{each.name} is no zone of what is reached here")
            if each.id not in linked:
                yield Finding(each.at, f"{each.name} is not linked to the network")
        ids = {each.id: each for each in found}
        ours = {each.id.partition("/privateDnsZones/")[0] for each in found}
        for group in deployment.of(f"{ENDPOINT}/privateDnsZoneGroups"):
            for zone in _zones_of_group(group):
                if zone in ids and not deployment.waits_for(group, ids[zone]):
                    yield Finding(group.at, f"{group.name} does not wait for its zone")
                elif zone.partition("/privateDnsZones/")[0] in ours and zone not in ids:
                    yield Finding(group.at, f"{group.name}: nothing makes {zone}")
        if found and [each.name for each in found].count(SERVICE_BUS_ZONE) != 1:
            what = f"Event Hubs and Service Bus share one {SERVICE_BUS_ZONE}"
            yield Finding(found[0].at, what)


def _zones_of_group(group: Deployed) -> Iterator[str]:
    for config in group.get("properties.privateDnsZoneConfigs", []):
        yield str(config["properties"]["privateDnsZoneId"])


def _links(deployment: Deployment) -> Iterator[Deployed]:
    for each in deployment.of(f"{ZONE}/virtualNetworkLinks"):
        network = str(each.get("properties.virtualNetwork.id"))
        subnets = {_subnet_of(endpoint) for endpoint in deployment.of(ENDPOINT)}
        is_theirs = any(subnet.startswith(f"{network}/subnets/") for subnet in subnets)
        if is_theirs and each.get("properties.registrationEnabled") is False:
            yield each


def _subnet_of(endpoint: Deployed) -> str:
    return str(endpoint.get("properties.subnet.id"))


@policy("Whatever the relay must reach has a private endpoint, and so has all that is locked")
def reached(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        ends = {
            (target.lower(), group)
            for endpoint in deployment.of(ENDPOINT)
            for target, group in _leads_to(endpoint)
        }
        at = next(iter(deployment.files.values())).declarations[0].at
        for need in needs_in(project, deployment):
            wanted = (need.resource.resource_id.lower(), need.resource.private_link_group)
            if wanted not in ends:
                yield Finding(at, f"{need.subject} has no private endpoint")
        for kind, group in _CLOSED.items():
            for each in deployment.of(kind):
                closed = each.get("properties.publicNetworkAccess") == "Disabled"
                if closed and (each.id.lower(), group) not in ends:
                    yield Finding(each.at, f"{each.name} is closed and has no endpoint")


_CLOSED = {
    "Microsoft.DigitalTwins/digitalTwinsInstances": "API",
    "Microsoft.EventHub/namespaces": "namespace",
    "Microsoft.ServiceBus/namespaces": "namespace",
    "Microsoft.Storage/storageAccounts": "blob",
    "Microsoft.Web/sites": "sites",
}


@policy("Telemetry goes through the private link scope, which component and workspace are in")
def monitor_scope(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        inside = {
            str(each.get("properties.linkedResourceId"))
            for each in deployment.of("Microsoft.Insights/privateLinkScopes/scopedResources")
        }
        for kind in (
            "Microsoft.Insights/components",
            "Microsoft.OperationalInsights/workspaces",
        ):
            for each in deployment.of(kind):
                if each.id not in inside:
                    yield Finding(each.at, f"{each.name} is in no private link scope")
        members = deployment.of("Microsoft.Insights/privateLinkScopes/scopedResources")
        for first, second in pairwise(members):
            if not deployment.waits_for(second, first):
                yield Finding(second.at, "a scope takes one member at a time")


@policy("Subnets lie in their network, apart from each other, and are large enough")
def addresses(project: Project) -> Iterator[Finding]:
    for deployment, network in project.each("Microsoft.Network/virtualNetworks"):
        spaces = network.get("properties.addressSpace.addressPrefixes", [])
        taken: list[IPv4Network] = []
        for where, subnet in _subnets(deployment).items():
            addresses_of = IPv4Network(subnet.get("addressPrefix", "0.0.0.0/32"))
            if not any(addresses_of.subnet_of(IPv4Network(space)) for space in spaces):
                yield Finding(network.at, f"{where.rpartition('/')[2]} lies outside")
            if any(addresses_of.overlaps(other) for other in taken):
                yield Finding(network.at, f"{where.rpartition('/')[2]} overlaps another")
            if addresses_of.prefixlen > _SMALLEST:
                yield Finding(network.at, f"{where.rpartition('/')[2]} is too small")
            taken.append(addresses_of)


_SMALLEST = 26
"""Flex Consumption takes /27, and recommends more for more instances."""


@policy("The app's subnet is delegated to Microsoft.App/environments, and holds no endpoint")
def delegation(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        for site in deployment.of("Microsoft.Web/sites"):
            subnet_id = str(site.get("properties.virtualNetworkSubnetId", ""))
            if not subnet_id:
                yield Finding(site.at, f"{site.name} is not in the network")
            if any(_subnet_of(each) == subnet_id for each in deployment.of(ENDPOINT)):
                yield Finding(site.at, "the app's subnet holds private endpoints")
            for where in {subnet_id, *map(_subnet_of, deployment.of(ENDPOINT))}:
                network = deployment.by_id(where.partition("/subnets/")[0])
                if network is not None and where not in _subnets(deployment):
                    yield Finding(network.at, f"the network has no {where.rpartition('/')[2]}")
            subnet = _subnets(deployment).get(subnet_id)
            if subnet is None:
                continue
            names = [
                each.get("properties", {}).get("serviceName")
                for each in subnet.get("delegations", [])
            ]
            if names != ["Microsoft.App/environments"]:
                yield Finding(site.at, f"the app's subnet is delegated to {names}")


def _subnets(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return the properties of subnets by their ids, declared in their network or not."""
    kind = "Microsoft.Network/virtualNetworks"
    apart = {each.id: each.get("properties", {}) for each in deployment.of(f"{kind}/subnets")}
    return apart | {
        f"{network.id}/subnets/{subnet.get('name')}": subnet.get("properties", {})
        for network in deployment.of(kind)
        for subnet in network.get("properties.subnets", [])
    }


_RULE = {
    "direction": r"Inbound|Outbound",
    "access": r"Allow|Deny",
    "protocol": r"Tcp|Udp|\*",
    "priority": r"[1-9]\d{2,3}",
    "sourcePortRange": r"\*",
    "sourceAddressPrefix": r"\*|VirtualNetwork",
    "destinationAddressPrefix": r"\*|VirtualNetwork|AzureActiveDirectory|Internet",
}
"""What members of a security rule may say."""


@policy("Security groups say whole rules, stand at the subnets, and let through what is needed")
def security_groups(project: Project) -> Iterator[Finding]:
    kind = "Microsoft.Network/networkSecurityGroups"
    for deployment in project.deployments.values():
        attached = {
            subnet.get("networkSecurityGroup", {}).get("id"): subnet
            for subnet in _subnets(deployment).values()
        }
        for each in deployment.of(kind):
            for what in _wrong_rules(each.get("properties.securityRules", [])):
                yield Finding(each.at, f"{each.name}: {what}")
            if each.id not in attached:
                yield Finding(each.at, f"{each.name} stands at no subnet")
                continue
            subnet = attached[each.id]
            if not subnet.get("delegations"):
                if subnet.get("privateEndpointNetworkPolicies") != "Enabled":
                    yield Finding(each.at, f"{each.name} does not count for endpoints")
                if not {"443", "5671"} <= _let_in(each.get("properties.securityRules", [])):
                    yield Finding(each.at, f"{each.name} shuts AMQP or HTTPS out")


def _wrong_rules(rules: list[dict[str, Any]]) -> Iterator[str]:
    taken: set[tuple[Any, Any]] = set()
    for rule in rules:
        told = rule.get("properties", {})
        place = told.get("direction"), told.get("priority")
        if not rule.get("name") or place in taken:
            yield f"a rule without a name, or with another's priority: {place}"
        taken.add(place)
        for name, words in _RULE.items():
            if not re.fullmatch(words, str(told.get(name))):
                yield f"{rule.get('name')}: {name} is {told.get(name)!r}"
        ports = told.get("destinationPortRanges") or [told.get("destinationPortRange")]
        if not all(re.fullmatch(r"\*|\d{1,5}(-\d{1,5})?", str(port)) for port in ports):
            yield f"{rule.get('name')}: ports are {ports}"


def _let_in(rules: list[dict[str, Any]]) -> set[str]:
    return {
        port
        for rule in rules
        for port in rule.get("properties", {}).get("destinationPortRanges", [])
        if rule["properties"].get("access") == "Allow"
        and rule["properties"].get("direction") == "Inbound"
    }


assert PUBLIC.messaging_zone == SERVICE_BUS_ZONE
