"""What stands around the templates: azd's project, parameters, hooks and workflows."""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import yaml

from tests.infra.bicep.functions import text as text_of
from tests.infra.bicep.nodes import Finding, Literal, Place
from tests.infra.bicep.syntax import parse
from tests.infra.policies.policy import policy
from tests.infra.project import (
    AZURE_YAML,
    ENVIRONMENT,
    MAIN,
    PARAMETERS,
    ROUTES,
    Project,
    line_of,
)

_HOOK: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "shell": {"enum": ["sh", "pwsh"]},
        "kind": {"enum": ["sh", "pwsh", "js", "ts", "python", "dotnet"]},
        "run": {"type": "string", "minLength": 1},
        "interactive": {"type": "boolean"},
        "continueOnError": {"type": "boolean"},
        "posix": {"$ref": "#/$defs/hook"},
        "windows": {"$ref": "#/$defs/hook"},
    },
    "anyOf": [{"required": ["run"]}, {"required": ["posix", "windows"]}],
}
_HOOKS = {
    f"{when}{what}"
    for when in ("pre", "post")
    for what in ("provision", "infracreate", "infradelete", "restore", "package", "publish")
} | {f"{when}{what}" for when in ("pre", "post") for what in ("deploy", "up", "down")}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "services"],
    "additionalProperties": False,
    "properties": {
        "name": {
            "type": "string",
            "minLength": 2,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        },
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"template": {"type": "string"}},
        },
        "requiredVersions": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"azd": {"type": "string"}},
        },
        "infra": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "provider": {"const": "bicep"},
                "path": {"type": "string"},
                "module": {"type": "string"},
            },
        },
        "services": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["host", "project"],
                "additionalProperties": False,
                "properties": {
                    "project": {"type": "string"},
                    "host": {"const": "function"},
                    "language": {"enum": ["py", "python"]},
                    "remoteBuild": {"type": "boolean"},
                    "resourceName": {"type": "string"},
                },
            },
        },
        "hooks": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {"$ref": "#/$defs/hook"} for name in sorted(_HOOKS)},
        },
    },
    "$defs": {"hook": _HOOK},
}
"""What of Azure/azure-dev's `schemas/v1.0/azure.yaml.json` the project uses, kept by hand.

Narrower than the published one, which lets unknown names pass.
"""


def _yaml(project: Project, path: str) -> Any:
    try:
        return yaml.safe_load(project.files.get(path, ""))
    except yaml.YAMLError:
        return None


@policy("azure.yaml is what azd takes, and names what is there")
def azure_yaml(project: Project) -> Iterator[Finding]:
    at = Place(AZURE_YAML, 1)
    told = _yaml(project, AZURE_YAML)
    if told is None:
        yield Finding(at, "it is no YAML, or not there")
        return
    for error in jsonschema_rs.validator_for(SCHEMA).iter_errors(told):
        where = ".".join(map(str, error.instance_path))
        yield Finding(at, f"{where}: {error.message}")
    infra = told.get("infra", {})
    path = f"{infra.get('path', 'infra')}/{infra.get('module', 'main')}.bicep"
    if path not in project.files:
        yield Finding(at, f"there is no {path}")
    for hook in _hooks(told.get("hooks", {})):
        run = str(hook.get("run", "")).removeprefix("./")
        is_file = re.fullmatch(r"[\w./-]+\.(sh|ps1|py)", run)
        if is_file and run not in project.files:
            yield Finding(line_of(project, AZURE_YAML, run), f"there is no {run}")
        if is_file and run.endswith(".py") and not _azd_knows_python(told):
            yield Finding(at, "hooks in Python need azd 1.23.15: say so in requiredVersions")


@policy("azd finds the app and the resource group by their tags")
def tags(project: Project) -> Iterator[Finding]:
    names = set((_yaml(project, AZURE_YAML) or {}).get("services", {}))
    for _, site in project.each("Microsoft.Web/sites"):
        tag = site.get("tags", {}).get("azd-service-name")
        if tag not in names:
            yield Finding(site.at, f"its tag azd-service-name is {tag!r}, not of {names}")
    for _, group in project.each("Microsoft.Resources/resourceGroups"):
        if group.get("tags", {}).get("azd-env-name") != ENVIRONMENT["AZURE_ENV_NAME"]:
            yield Finding(group.at, "its tag azd-env-name is not the environment's")


def _hooks(told: Any) -> Iterator[dict[str, Any]]:
    for each in told.values() if isinstance(told, dict) else ():
        if isinstance(each, dict):
            yield each
            yield from _hooks({k: v for k, v in each.items() if k in {"posix", "windows"}})


def _azd_knows_python(told: dict[str, Any]) -> bool:
    version = str(told.get("requiredVersions", {}).get("azd", ""))
    found = re.fullmatch(r">=\s*(\d+)\.(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) >= (1, 23, 15)


_DEPLOYED = ("function_app.py", "host.json", "requirements.txt", "relay", ROUTES)
_KEPT_BACK = ("local.settings.json", "tests", "lab", "infra", ".git", ".venv", ".azure")


@policy("The package holds what the app needs, and neither settings nor tools of one's own")
def package(project: Project) -> Iterator[Finding]:
    at = Place(".funcignore", 1)
    lines = [line.strip() for line in project.files.get(".funcignore", "").splitlines()]
    patterns = [line.rstrip("/") for line in lines if line and line[0] not in "#!"]
    for name in _DEPLOYED:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            yield Finding(at, f"{name} is not deployed, and the app needs it")
    for name in _KEPT_BACK:
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            yield Finding(at, f"{name} is deployed")


@policy("main.parameters.json gives what main.bicep needs, and nothing that it has not")
def parameters(project: Project) -> Iterator[Finding]:
    at = Place(PARAMETERS, 1)
    try:
        given = json.loads(project.files[PARAMETERS])["parameters"]
    except (KeyError, ValueError) as error:
        yield Finding(at, f"it can't be read: {error}")
        return
    declared = {each.name: each for each in parse(MAIN, project.files[MAIN]).of("param")}
    for name, told in given.items():
        where = line_of(project, PARAMETERS, f'"{name}"')
        if name not in declared:
            yield Finding(where, f"{MAIN} has no parameter {name}")
        if set(told) != {"value"}:
            yield Finding(where, f"{name} has no plain value")
        for text in re.findall(r"\$\{[^}]*\}?", json.dumps(told)):
            if not re.fullmatch(r"\$\{[A-Z][A-Z0-9_]*(=[^}$]*)?\}", text):
                yield Finding(where, f"{text} is no variable of azd's")
        usual = re.fullmatch(r"\$\{\w+=([^}]*)\}", str(told.get("value")))
        default = declared[name].value if name in declared else None
        if usual and isinstance(default, Literal) and usual[1] != text_of(default.value):
            what = f"{name} is {usual[1]} here and {text_of(default.value)} in {MAIN}"
            yield Finding(where, what)
    for name, each in declared.items():
        if each.value is None and not each.nullable and name not in given:
            yield Finding(each.at, f"{PARAMETERS} does not give {name}")


@policy("azd down is told which groups belong to others")
def shared_groups(project: Project) -> Iterator[Finding]:
    for deployment in project.deployments.values():
        groups = {
            (each.id if "/resourceGroups/" in each.id else each.scope).split("/")[4]
            for each in deployment.resources
            if each.type != "Microsoft.Resources/resourceGroups"
        }
        ours = {each.name for each in deployment.of("Microsoft.Resources/resourceGroups")}
        told = set(str(deployment.outputs.get("RELAY_SHARED_GROUPS")).split(", "))
        if told - {""} != groups - ours:
            at = line_of(project, MAIN, "output RELAY_SHARED_GROUPS")
            yield Finding(
                at, f"it tells of {sorted(told)}, and writes to {sorted(groups - ours)}"
            )


@policy("Hooks can be run: shells take them, in Python or not")
def hooks(project: Project) -> Iterator[Finding]:
    for path, text in project.files.items():
        at = Place(path, 1)
        if path.endswith(".py"):
            try:
                ast.parse(text)
            except SyntaxError as error:
                yield Finding(Place(path, error.lineno or 1), f"no Python: {error.msg}")
        if path.endswith(".sh"):
            shell = "bash" if "bash" in text.partition("\n")[0] else "sh"
            done = subprocess.run(
                [shell, "-n"], input=text, capture_output=True, text=True, check=False
            )
            if done.returncode:
                yield Finding(at, done.stderr.strip().partition("\n")[0])
            if not re.search(r"^set -\w*e\w*u", text, re.MULTILINE):
                yield Finding(at, "it goes on after a failure: set -eu")


@policy("Workflows deploy by a federated identity, hold no secret and may write nothing else")
def workflows(project: Project) -> Iterator[Finding]:
    found = [path for path in project.files if path.startswith(".github/workflows/")]
    if not found:
        yield Finding(Place(".github/workflows", 1), "there is no workflow")
    for path in found:
        told = _yaml(project, path)
        if not isinstance(told, dict) or "jobs" not in told:
            yield Finding(Place(path, 1), "it is no workflow")
            continue
        yield from _workflow(project, path, told)


def _workflow(project: Project, path: str, told: dict[Any, Any]) -> Iterator[Finding]:
    text = project.files[path]
    for number, line in enumerate(text.splitlines(), 1):
        at = Place(path, number)
        if re.search(r"\bsecrets\s*[.\[]", line):
            yield Finding(at, "it takes a secret")
        if re.search(r"run:.*\$\{\{\s*(github\.event|inputs|github\.head_ref)", line):
            yield Finding(at, "what others write is run by the shell: pass it in env")
    triggers = told.get("on", told.get(True, {}))
    if "pull_request_target" in triggers:
        yield Finding(Place(path, 1), "pull_request_target lends strangers this identity")
    granted = [told.get("permissions")] + [
        job.get("permissions") for job in told["jobs"].values() if isinstance(job, dict)
    ]
    given = [each for each in granted if each is not None]
    if told.get("permissions") is None:
        yield Finding(Place(path, 1), "it says nothing of permissions: it has them all")
    for each in given:
        allowed = {"id-token": "write", "contents": "read"}
        if not isinstance(each, dict) or any(
            allowed.get(n, "none") != v for n, v in each.items()
        ):
            yield Finding(Place(path, 1), f"it may do more than it must: {each}")
    signs_in = "federated-credential-provider" in text or "azure/login" in text.lower()
    may = any(isinstance(each, dict) and each.get("id-token") == "write" for each in given)
    if signs_in and not may:
        yield Finding(Place(path, 1), "it signs in without id-token: write")
    if not signs_in and "azd " in text and "provision" in text:
        yield Finding(Place(path, 1), "it deploys without signing in by a federated identity")
