"""Writes `shapes.json`: what Azure's resources may hold, out of the azure-mgmt packages.

The packages take 70 MB and know one version of each API; the tests need neither at hand. So
their names, kinds and words are written down, and this makes them anew: `make shapes`, which
installs `shapes.txt` into an environment of its own.
"""

from __future__ import annotations

import enum
import importlib
import json
import re
import types
import typing
from importlib.metadata import version
from pathlib import Path
from typing import Any

SHAPES = Path(__file__).with_name("shapes.json")
PACKAGES = {
    "applicationinsights": "azure.mgmt.applicationinsights.v2020_02_02.models",
    "workbooks": "azure.mgmt.applicationinsights.v2023_06_01.models",
    "authorization": "azure.mgmt.authorization.v2022_04_01.models",
    "digitaltwins": "azure.mgmt.digitaltwins.models",
    "eventhub": "azure.mgmt.eventhub.models",
    "loganalytics": "azure.mgmt.loganalytics.models",
    "monitor": "azure.mgmt.monitor.models",
    "msi": "azure.mgmt.msi.v2024_11_30.models",
    "network": "azure.mgmt.network.models",
    "privatedns": "azure.mgmt.privatedns.models",
    "resource": "azure.mgmt.resource.resources.models",
    "servicebus": "azure.mgmt.servicebus.models",
    "storage": "azure.mgmt.storage.models",
    "web": "azure.mgmt.web.models",
}
TYPES = {
    "Microsoft.Authorization/roleAssignments": "authorization.RoleAssignment",
    "Microsoft.DigitalTwins/digitalTwinsInstances": "digitaltwins.DigitalTwinsDescription",
    "Microsoft.DigitalTwins/digitalTwinsInstances/endpoints": (
        "digitaltwins.DigitalTwinsEndpointResource"
    ),
    "Microsoft.EventHub/namespaces": "eventhub.EHNamespace",
    "Microsoft.EventHub/namespaces/eventhubs": "eventhub.Eventhub",
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": "eventhub.ConsumerGroup",
    "Microsoft.EventHub/namespaces/networkRuleSets": "eventhub.NetworkRuleSet",
    "Microsoft.Insights/actionGroups": "monitor.ActionGroupResource",
    "Microsoft.Insights/components": "applicationinsights.ApplicationInsightsComponent",
    "Microsoft.Insights/metricAlerts": "monitor.MetricAlertResource",
    "Microsoft.Insights/scheduledQueryRules": "monitor.ScheduledQueryRuleResource",
    "Microsoft.Insights/workbooks": "workbooks.Workbook",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "msi.Identity",
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": (
        "msi.FederatedIdentityCredential"
    ),
    "Microsoft.Network/networkSecurityGroups": "network.NetworkSecurityGroup",
    "Microsoft.Network/privateDnsZones": "privatedns.PrivateZone",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "privatedns.VirtualNetworkLink",
    "Microsoft.Network/privateEndpoints": "network.PrivateEndpoint",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "network.PrivateDnsZoneGroup",
    "Microsoft.Network/virtualNetworks": "network.VirtualNetwork",
    "Microsoft.Network/virtualNetworks/subnets": "network.Subnet",
    "Microsoft.OperationalInsights/workspaces": "loganalytics.Workspace",
    "Microsoft.Resources/resourceGroups": "resource.ResourceGroup",
    "Microsoft.ServiceBus/namespaces": "servicebus.SBNamespace",
    "Microsoft.ServiceBus/namespaces/networkRuleSets": "servicebus.NetworkRuleSet",
    "Microsoft.ServiceBus/namespaces/queues": "servicebus.SBQueue",
    "Microsoft.ServiceBus/namespaces/topics": "servicebus.SBTopic",
    "Microsoft.ServiceBus/namespaces/topics/subscriptions": "servicebus.SBSubscription",
    "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules": "servicebus.Rule",
    "Microsoft.Storage/storageAccounts": "storage.StorageAccountCreateParameters",
    "Microsoft.Storage/storageAccounts read": "storage.StorageAccount",
    "Microsoft.Storage/storageAccounts/blobServices": "storage.BlobServiceProperties",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "storage.BlobContainer",
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies": (
        "storage.ImmutabilityPolicy"
    ),
    "Microsoft.Storage/storageAccounts/managementPolicies": "storage.ManagementPolicy",
    "Microsoft.Web/serverfarms": "web.AppServicePlan",
    "Microsoft.Web/sites": "web.Site",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": (
        "web.CsmPublishingCredentialsPoliciesEntity"
    ),
    "Microsoft.Web/sites/config appsettings": "web.StringDictionary",
    "Microsoft.Web/sites/config authsettingsV2": "web.SiteAuthSettingsV2",
    "Microsoft.Web/sites/config web": "web.SiteConfigResource",
}
"""Types with the models that they are.

Behind some stands the name that shapes them, or `read` for what comes back.
"""

_ACCESS = {"enum": ["Open", "PrivateOnly"]}
_RETENTION = {"members": {"days": "int", "enabled": "bool"}}
BY_HAND: dict[str, dict[str, Any]] = {
    "Microsoft.Insights/diagnosticSettings": {
        "members": {
            "properties": {
                "members": {
                    "eventHubAuthorizationRuleId": "string",
                    "eventHubName": "string",
                    "logAnalyticsDestinationType": {"enum": ["Dedicated", "AzureDiagnostics"]},
                    "logs": {
                        "list": {
                            "members": {
                                "category": "string",
                                "categoryGroup": "string",
                                "enabled": "bool",
                                "retentionPolicy": _RETENTION,
                            },
                            "required": ["enabled"],
                        }
                    },
                    "marketplacePartnerId": "string",
                    "metrics": {
                        "list": {
                            "members": {
                                "category": "string",
                                "enabled": "bool",
                                "retentionPolicy": _RETENTION,
                                "timeGrain": "string",
                            },
                            "required": ["enabled"],
                        }
                    },
                    "serviceBusRuleId": "string",
                    "storageAccountId": "string",
                    "workspaceId": "string",
                }
            }
        }
    },
    "Microsoft.Insights/privateLinkScopes": {
        "members": {
            "properties": {
                "members": {
                    "accessModeSettings": {
                        "members": {
                            "exclusions": {
                                "list": {
                                    "members": {
                                        "ingestionAccessMode": _ACCESS,
                                        "privateEndpointConnectionName": "string",
                                        "queryAccessMode": _ACCESS,
                                    }
                                }
                            },
                            "ingestionAccessMode": _ACCESS,
                            "queryAccessMode": _ACCESS,
                        },
                        "required": ["ingestionAccessMode", "queryAccessMode"],
                    }
                },
                "required": ["accessModeSettings"],
            }
        }
    },
    "Microsoft.Insights/privateLinkScopes/scopedResources": {
        "members": {"properties": {"members": {"linkedResourceId": "string"}}}
    },
}
"""What these packages no longer have, from Microsoft's reference of templates."""

_PLAIN = {
    "str": "string",
    "bool": "bool",
    "int": "int",
    "long": "int",
    "float": "number",
    "duration": "string",
    "iso-8601": "string",
    "bytearray": "string",
}
_ENUM = re.compile(r":vartype (\w+): str or\s+~?[\w.]*?\.(\w+)\n")


class Extraction:
    """Follows models from class to class, and keeps the shape of each."""

    def __init__(self) -> None:
        self.shapes: dict[str, dict[str, Any]] = {}

    def add(self, package: str, model: type) -> str:
        """Keep the shape of a model; return what it is called."""
        name = f"{package}.{model.__name__}"
        if name not in self.shapes:
            shape: dict[str, Any] = {"members": {}, "readOnly": [], "required": []}
            self.shapes[name] = shape
            read = self._classic if hasattr(model, "_attribute_map") else self._current
            read(package, model, shape)
            self.shapes[name] = {key: shape[key] for key in sorted(shape) if shape[key]}
        return name

    def _classic(self, package: str, model: Any, shape: dict[str, Any]) -> None:
        """Read a model that keeps its names in `_attribute_map`, flattened."""
        words: dict[str, str] = {}
        for each in model.__mro__:
            words = dict(_ENUM.findall(each.__doc__ or "")) | words
        for attribute, told in model._attribute_map.items():
            path = re.split(r"(?<!\\)\.", told["key"])
            at = shape
            for step in path[:-1]:
                at = at["members"].setdefault(step, {"members": {}})  # flattened
            name = path[-1].replace("\\.", ".")
            at["members"][name] = self._classic_kind(
                package, told["type"], words.get(attribute)
            )
            rules = model._validation.get(attribute, {})
            if rules.get("readonly"):
                at.setdefault("readOnly", []).append(name)
            if rules.get("required"):
                at.setdefault("required", []).append(name)
        variants = vars(model).get("_subtype_map")
        if variants:
            (attribute, classes), *_ = variants.items()
            self._variants(
                package,
                shape,
                model._attribute_map[attribute]["key"],
                {word: getattr(self._module(package), each) for word, each in classes.items()},
            )

    def _classic_kind(self, package: str, written: str, word: str | None) -> Any:
        if written.startswith("["):
            return {"list": self._classic_kind(package, written[1:-1], word)}
        if written.startswith("{"):
            return {"map": self._classic_kind(package, written[1:-1], word)}
        module = self._module(package)
        if word and hasattr(module, word):
            return {"enum": [each.value for each in getattr(module, word)]}
        if written in _PLAIN:
            return _PLAIN[written]
        found = getattr(module, written, None)
        return {"of": self.add(package, found)} if isinstance(found, type) else "any"

    def _current(self, package: str, model: Any, shape: dict[str, Any]) -> None:
        """Read a model of typed fields."""
        model()  # only then its fields are known
        names = vars(importlib.import_module(model.__module__))
        hints = typing.get_type_hints(model, {**names, "_models": self._module(package)})
        for attribute, told in model._attr_to_rest_field.items():
            name, hint = told._rest_name, hints[attribute]
            shape["members"][name] = self._kind(package, hint)
            if getattr(told, "_visibility", None) == ["read"]:
                shape["readOnly"].append(name)
            if type(None) not in typing.get_args(hint):
                shape["required"].append(name)
        variants = {
            word: each for word, each in vars(model).get("__mapping__", {}).items() if each
        }
        if variants:
            key = next(
                each._rest_name
                for each in model._attr_to_rest_field.values()
                if getattr(each, "_is_discriminator", False)
            )
            self._variants(package, shape, key, variants)

    def _variants(
        self, package: str, shape: dict[str, Any], by: str, classes: dict[str, Any]
    ) -> None:
        shape["by"] = by
        shape["variants"] = {word: self.add(package, each) for word, each in classes.items()}

    def _kind(self, package: str, hint: Any) -> Any:
        arguments = [each for each in typing.get_args(hint) if each is not type(None)]
        origin = typing.get_origin(hint)
        if origin in {typing.Union, types.UnionType}:
            words = [each for each in arguments if _is_enum(each)]
            return self._kind(package, words[0] if words else arguments[0])
        if origin is list:
            return {"list": self._kind(package, arguments[0])}
        if origin is dict:
            return {"map": self._kind(package, arguments[1])}
        if _is_enum(hint):
            return {"enum": [each.value for each in hint]}
        if isinstance(hint, type) and any(each.__name__ == "Model" for each in hint.__mro__):
            return {"of": self.add(package, hint)}
        return _PLAIN.get(getattr(hint, "__name__", ""), "any")

    @staticmethod
    def _module(package: str) -> Any:
        return importlib.import_module(PACKAGES[package])


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def main() -> None:
    extraction = Extraction()
    for told in TYPES.values():
        package, name = told.split(".")
        module = importlib.import_module(PACKAGES[package])
        extraction.add(package, getattr(module, name))
    for kind, shape in BY_HAND.items():
        extraction.shapes[f"by hand.{kind}"] = shape
    sources = sorted({path.split(".")[2] for path in PACKAGES.values()})
    written = {
        "from": {f"azure-mgmt-{name}": version(f"azure-mgmt-{name}") for name in sources},
        "types": TYPES | {kind: f"by hand.{kind}" for kind in BY_HAND},
        "shapes": extraction.shapes,
    }
    lines = [
        f" {json.dumps(name)}: {json.dumps(shape, separators=(',', ':'))}"
        for name, shape in sorted(extraction.shapes.items())
    ]
    head = json.dumps({k: v for k, v in written.items() if k != "shapes"}, indent=1)
    body = ",\n".join(lines)
    SHAPES.write_text(f'{head[:-2]},\n "shapes": {{\n{body}\n}}}}\n', "utf-8")


if __name__ == "__main__":
    main()
