"""The templates as they stand, or with one of them changed; and what they would create."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.deployment import Deployment, deploy
from tests.infra.bicep.nodes import File, Place
from tests.infra.bicep.syntax import parse

ROOT = Path(__file__).parents[2]
MAIN = "infra/main.bicep"
PARAMETERS = "infra/main.parameters.json"
AZURE_YAML = "azure.yaml"
ROUTES = "routes.json"

THEIRS = "/subscriptions/99999999-1111-2222-3333-444444444444"
_NETWORK = (
    f"{THEIRS}/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub/subnets"
)
ENVIRONMENT = {
    "AZURE_ENV_NAME": "plant",
    "AZURE_LOCATION": "westeurope",
    "AZURE_PRINCIPAL_ID": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
}


def _their(group: str, below: str) -> str:
    return f"{THEIRS}/resourceGroups/{group}/providers/Microsoft.{below}"


SCENARIOS: dict[str, dict[str, Any]] = {
    "all new": {},
    "all there already": {
        "appSubnetId": f"{_NETWORK}/app",
        "endpointSubnetId": f"{_NETWORK}/endpoints",
        "dnsZonesGroupId": f"{THEIRS}/resourceGroups/dns",
        "ingressHubId": _their("landing", "EventHub/namespaces/landing/eventhubs/twins"),
        "namespaces": {
            "ANALYTICS": _their("analytics", "EventHub/namespaces/analytics"),
            "OPERATIONS": _their("operations", "ServiceBus/namespaces/operations"),
        },
        "twinsId": _their("twins", "DigitalTwins/digitalTwinsInstances/plant"),
        "workspaceId": _their("logs", "OperationalInsights/workspaces/logs"),
        "monitorScopeId": _their("monitor", "Insights/privateLinkScopes/monitor"),
        "principalType": "ServicePrincipal",
        "twinsDeadLetters": False,
    },
    "their namespaces in a new network": {
        "ingressHubId": _their("landing", "EventHub/namespaces/landing/eventhubs/twins"),
        "namespaces": {"ANALYTICS": _their("analytics", "EventHub/namespaces/analytics")},
    },
    "all on and locked": {
        "lockTwins": True,
        "lockOutbound": True,
        "lockFunctionApp": True,
        "apiAudience": "api://11111111-2222-3333-4444-555555555555",
        "webhook": True,
        "twinsOrigins": "https://plant.example.com",
        "allowedCallers": ["203.0.113.0/24"],
        "alwaysReady": 1,
        "eventHubsSku": "Premium",
        "deadLetterRetentionDays": 90,
        "deadLetterImmutableDays": 30,
        "alertEmail": "operators@example.com",
    },
}
"""Parameters beside those of `main.parameters.json`; each policy holds in all of them."""


@dataclass(frozen=True)
class Project:
    """Texts by path, below the root of the project."""

    files: Mapping[str, str]

    @classmethod
    def read(cls) -> Project:
        """Read the files that a deployment takes."""
        found = [path for path in ROOT.glob("infra/**/*") if path.is_file()]
        found += ROOT.glob(".github/**/*.y*ml")
        found += [ROOT / name for name in (AZURE_YAML, ROUTES, "host.json", ".funcignore")]
        return cls(
            {
                str(path.relative_to(ROOT)): path.read_text("utf-8")
                for path in sorted(found)
                if path.is_file()
            }
        )

    def with_edit(self, path: str, old: str, new: str) -> Project:
        """Return it with a text replaced, which must stand there once.

        Raises:
            LookupError: it does not.
        """
        text = self.files.get(path, "")
        if text.count(old) != 1:
            raise LookupError(f"{path} holds {text.count(old)} times: {old!r}")
        return Project({**self.files, path: text.replace(old, new)})

    @cached_property
    def bicep(self) -> list[File]:
        """Every Bicep file, read."""
        return [
            parse(path, text) for path, text in self.files.items() if path.endswith(".bicep")
        ]

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Return what azd makes of `main.parameters.json`: texts of numbers become such."""
        if PARAMETERS not in self.files:
            return {}
        text = re.sub(
            r"\$\{(\w+)(?:=([^}]*))?\}",
            lambda found: ENVIRONMENT.get(found[1], found[2] or ""),
            self.files[PARAMETERS],
        )
        declared = {each.name: each for each in parse(MAIN, self.files[MAIN]).of("param")}
        given = {name: told["value"] for name, told in json.loads(text)["parameters"].items()}
        return {
            name: _converted(value, declared[name].type if name in declared else "")
            for name, value in given.items()
        }

    @cached_property
    def deployments(self) -> Mapping[str, Deployment]:
        """What would be created in each scenario."""
        return Scenarios(self)

    def each(self, *kinds: str) -> Iterator[tuple[Deployment, Deployed]]:
        """Yield every resource of some types, in every scenario."""
        for deployment in self.deployments.values():
            for kind in kinds:
                for resource in deployment.of(kind):
                    yield deployment, resource


class Scenarios(Mapping[str, Deployment]):
    """The deployments of a project, each calculated when it is asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, Deployment] = {}

    def __getitem__(self, name: str) -> Deployment:
        if name not in self._known:
            given = self._project.parameters | SCENARIOS[name]
            self._known[name] = deploy(self._project.files, MAIN, given)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SCENARIOS)

    def __len__(self) -> int:
        return len(SCENARIOS)


def _converted(value: Any, kind: str) -> Any:
    """Do as azd does (Azure/azure-dev, `bicep_provider.go`: armParameterFileValue)."""
    if isinstance(value, str) and kind == "bool" and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if isinstance(value, str) and kind == "int" and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value


def is_theirs(resource_id: str) -> bool:
    """Whether something is there already, in the scenario in which everything is."""
    return resource_id.startswith(THEIRS)


def line_of(project: Project, path: str, text: str) -> Place:
    """Return where a text stands first."""
    before = project.files.get(path, "").partition(text)[0]
    return Place(path, before.count("\n") + 1)
