"""The app settings that the templates make are those that the relay reads."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from relay.needs import Need, needs_of, needs_of_the_host
from relay.settings import SettingsError, read
from relay.settings.reader import _PLAIN
from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.deployment import Deployment
from tests.infra.bicep.nodes import Finding
from tests.infra.policies.policy import policy
from tests.infra.project import MAIN, ROOT, ROUTES, SCENARIOS, Project, line_of

OPTIONAL = {
    r"RELAY_ROUTES": "RELAY_ROUTES_FILE names the file that the templates read too",
    r"RELAY_CA_FILE": "authorities of one's own; Azure's are known everywhere",
    r"RELAY_MANAGEMENT_URL": "of the local Azure only",
    r"RELAY_SHORTCUTS": "for who doubts them, by `settings`",
    r"INGRESS_(QUEUE|TOPIC|SUBSCRIPTION|SESSIONS|BATCHES)": "another way in, by `settings`",
    r"INGRESS_SERVICE_BUS__\w+": "another way in, by `settings`",
    r"INGRESS_EVENT_GRID(_SOURCE)?": "another way in, by `settings`",
    r"INGRESS_HTTP_(APPLICATIONS|MALFORMED|LARGEST_BODY|SERVICE_TAG|PROXIES)": (
        "narrows the webhook, by `settings`"
    ),
    r"ACCESS_(AUTHORITY|ROLES|CONTACT|APP_SERVICE)": "adorns the HTTP surface, by `settings`",
    r"SERVICE_TAGS_\w+": "a list of addresses that somebody keeps, by `settings`",
    r"DEAD_LETTERS_ENCRYPTION_SCOPE": "keys of one's own, by `settings`",
    r"TWINS_PROXY_STREAMS": "takes a package that is not deployed by itself, by `settings`",
    r"\w+__transport": "WebSockets where 5671 is closed, by `settings`",
    r"\w+__network": "public namespaces; these here are private",
    r"\w+__managedIdentityResourceId": "the identity is named by its client id",
    r"AzureWebJobsStorage__accountName": "AzureWebJobsStorage__blobServiceUri says it",
    r"OTEL_EXPORTER_\w+": "another exporter than Azure Monitor, by `settings`",
    r"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "the relay exports by itself",
    r"PYTHON_ENABLE_OPENTELEMETRY": "not known to work in the deployed worker",
    r"AzureFunctionsJobHost__\w+": "host.json says it",
    r"AZURE_FUNCTIONS_ENVIRONMENT": "Core Tools sets it, Azure does not",
    r"WEBSITE_\w+": "Azure sets it",
}
"""Settings that the code reads and the templates leave out, and why."""

HOST = {
    r"INGRESS__credential": "the host's: which kind of identity",
    r"AzureWebJobsStorage__credential": "the host's: which kind of identity",
}
"""Settings that only the Functions host reads."""

_REFUSED = re.compile(
    r"(AzureWebJobs|ConnectionStrings__|CUSTOMCONNSTR_)?(DEAD_LETTERS|[A-Z]+)|AzureWebJobs\w+"
)
"""Names of whole connection strings, which the relay looks for to refuse them."""


class Recording(Mapping[str, str]):
    """Settings that note which are asked for by name."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def items(self) -> Any:
        """Look through all without asking for any."""
        return self._settings.items()


def apps(deployment: Deployment) -> list[Deployed]:
    """Return the app settings of a deployment, one resource an app."""
    return [
        each
        for each in deployment.of("Microsoft.Web/sites/config")
        if each.name.endswith("/appsettings")
    ]


def settings_of(deployment: Deployment) -> dict[str, str]:
    """Return the app settings; what is no text is for another policy."""
    found: dict[str, Any] = (
        apps(deployment)[0].get("properties", {}) if apps(deployment) else {}
    )
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _as_the_app_sees_them(project: Project, deployment: Deployment) -> dict[str, str]:
    """Return settings whose routes stand in them, since files may be changed in memory only."""
    settings = settings_of(deployment)
    settings |= {"WEBSITE_SITE_NAME": "func-plant", "WEBSITE_INSTANCE_ID": "0"}
    if settings.get("RELAY_ROUTES_FILE") == ROUTES:
        del settings["RELAY_ROUTES_FILE"]
        settings["RELAY_ROUTES"] = project.files[ROUTES]
    return settings


def needs_in(project: Project, deployment: Deployment) -> tuple[Need, ...]:
    """Return what the relay needs with these settings; nothing where it can't read them."""
    return _needs(tuple(sorted(_as_the_app_sees_them(project, deployment).items())))


@cache
def _needs(settings: tuple[tuple[str, str], ...]) -> tuple[Need, ...]:
    try:
        told = read(dict(settings), ROOT)
    except SettingsError:
        return ()
    return (*needs_of(told), *needs_of_the_host(told))


@policy("The relay starts with the settings that the templates make")
def settings_are_taken(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        found = apps(deployment)
        if len(found) != 1:
            yield Finding(line_of(project, MAIN, "param"), f"{len(found)} apps have settings")
            continue
        for name, value in found[0].get("properties", {}).items():
            if not isinstance(value, str):
                yield Finding(found[0].at, f"{name} is no text: {value!r:.60}")
        try:
            read(_as_the_app_sees_them(project, deployment), ROOT)
        except SettingsError as error:
            for problem in error.problems:
                yield Finding(found[0].at, str(problem))


@policy("Every setting that the code reads is made, or named as optional with its reason")
def settings_are_complete(project: Project) -> Iterator[Finding]:
    made = {name for each in project.deployments.values() for name in settings_of(each)}
    at = line_of(project, MAIN, "param")
    known = set(_PLAIN) | {name for each in _asked(project).values() for name in each}
    for name in sorted(known - made):
        is_refused = _REFUSED.fullmatch(name) and name not in _PLAIN
        if not is_refused and not any(re.fullmatch(each, name) for each in OPTIONAL):
            yield Finding(at, f"the code reads {name}, and nothing sets it")
    for pattern in OPTIONAL:
        if not any(re.fullmatch(pattern, name) for name in known | _OF_OTHERS):
            yield Finding(at, f"{pattern} is optional, and nothing reads it")


_OF_OTHERS = {"INGRESS_SERVICE_BUS__credential"}
"""Asked for in none of the scenarios."""


@policy("Every setting that is made is read by the code or by the Functions host")
def settings_are_read(project: Project) -> Iterator[Finding]:
    for name, deployment in project.deployments.items():
        asked = _asked(project)[name] | {"RELAY_ROUTES_FILE"}
        for app in apps(deployment):
            for setting in sorted(app.get("properties", {}).keys() - asked):
                if not any(re.fullmatch(each, setting) for each in HOST):
                    yield Finding(app.at, f"nothing reads {setting}")


@policy("What a parameter switches on is on, by roles that the Entra application has")
def switches(project: Project) -> Iterator[Finding]:
    roles = {
        role["value"] for role in json.loads(project.files["infra/entra-app.json"])["appRoles"]
    }
    at = line_of(project, MAIN, "param apiAudience")
    for name, deployment in project.deployments.items():
        on = SCENARIOS[name]
        try:
            told = read(_as_the_app_sees_them(project, deployment), ROOT)
        except SettingsError:
            continue  # another policy tells
        http = told.ways_in.http
        found = {
            "apiAudience": told.api is not None,
            "webhook": http is not None,
            "twinsOrigins": told.twins is not None,
        }
        for switch, is_on in found.items():
            if is_on is not bool(on.get(switch)):
                yield Finding(at, f"{switch} is {on.get(switch)!r}, and the app sees {is_on}")
        if http is not None and http.role not in roles:
            yield Finding(at, f"the webhook asks for {http.role}, which nobody can be given")
        if http is not None and http.origins != {"eventgrid.azure.net"}:
            yield Finding(at, "Event Grid may not deliver to the webhook")


def _asked(project: Project) -> dict[str, set[str]]:
    """Return which settings the relay asks for, by scenario."""
    found: dict[str, set[str]] = {}
    for name, deployment in project.deployments.items():
        recording = Recording(_as_the_app_sees_them(project, deployment))
        with contextlib.suppress(SettingsError):  # another policy tells
            read(recording, ROOT)
        found[name] = recording.asked
    return found
