"""The functions of Bicep that ask where they stand: the scope, the files beside them."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.infra.bicep.functions import guid, resource_id
from tests.infra.bicep.made_up import DEPLOYER, SUBSCRIPTION, TENANT


class CantAnswerError(Exception):
    """A function has no answer here, and says why."""


@dataclass(frozen=True)
class Here:
    """Where a function stands.

    Attributes:
        files: texts by path.
        file: the path of the file.
        scope: what it is deployed to, as a resource id.
        path: the modules that lead here.
    """

    files: Mapping[str, str]
    file: str
    scope: str
    path: str


def _loaded(here: Here, path: str, _encoding: str = "") -> str:
    found = here.files.get(
        posixpath.normpath(posixpath.join(posixpath.dirname(here.file), path))
    )
    if found is None:
        raise CantAnswerError(f"there is no file {path}")
    return found


def _parsed(read: Callable[[str], Any]) -> Callable[..., Any]:
    def parsed(here: Here, path: str, inner: str = "", _encoding: str = "") -> Any:
        try:
            value = read(_loaded(here, path))
        except (ValueError, yaml.YAMLError) as error:
            raise CantAnswerError(f"{path} can't be read: {error}") from error
        for name in re.findall(r"[\w-]+", inner):
            if not isinstance(value, dict) or name not in value:
                raise CantAnswerError(f"{path} has no {inner}")
            value = value[name]
        return value

    return parsed


def _id(scope: str, *parts: str) -> str:
    try:
        return resource_id(scope, *parts)
    except ValueError as error:
        raise CantAnswerError(str(error)) from error


def _resource_id(here: Here, *parts: str) -> str:
    """From names of subscription and group, where they are given, a type and names."""
    ahead = next((number for number, part in enumerate(parts) if "/" in part), 0)
    scope = here.scope
    if ahead:
        subscription = f"/subscriptions/{parts[0]}" if ahead > 1 else SUBSCRIPTION
        scope = f"{subscription}/resourceGroups/{parts[ahead - 1]}"
    return _id(scope, *parts[ahead:])


def _failed(_: Here, message: str) -> Any:
    raise CantAnswerError(f"it fails: {message}")


_CLOUD = {
    "name": "AzureCloud",
    "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
    "resourceManager": "https://management.azure.com/",
    "suffixes": {"storage": "core.windows.net", "keyvaultDns": ".vault.azure.net"},
}

ANSWERS: dict[str, Callable[..., Any]] = {
    "deployer": lambda _: {"objectId": DEPLOYER, "tenantId": TENANT},
    "deployment": lambda here: {"name": here.path.rpartition("/")[2] or "main"},
    "environment": lambda _: _CLOUD,
    "fail": _failed,
    "loadJsonContent": _parsed(json.loads),
    "loadTextContent": _loaded,
    "loadYamlContent": _parsed(yaml.safe_load),
    "newGuid": lambda here: guid(here.path, here.file),
    "resourceId": _resource_id,
    "subscriptionResourceId": lambda _, *parts: _id(SUBSCRIPTION, *parts),
    "tenant": lambda _: {"tenantId": TENANT},
    "tenantResourceId": lambda _, *parts: _id("", *parts),
    "utcNow": lambda _, _pattern="": "20261130T120000Z",
}
"""By name; `resourceGroup` and `subscription` are answered where resources are known."""
