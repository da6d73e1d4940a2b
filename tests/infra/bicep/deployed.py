"""A resource that would be created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.infra.bicep.nodes import Place

type Node = tuple[str, str]
"""Path of modules and symbol."""


@dataclass(frozen=True)
class Deployed:
    """A resource that would be created.

    Attributes:
        id: its resource id.
        type: its type.
        version: of the API.
        name: its name, with those of its parents.
        body: all that is sent, less `parent`, `scope` and `dependsOn`.
        at: where it is declared.
        scope: what it extends or lies in, as a resource id.
        node: what stands for it in the order of deployment.
    """

    id: str
    type: str
    version: str
    name: str
    body: dict[str, Any]
    at: Place
    scope: str
    node: Node

    def get(self, path: str, default: Any = None) -> Any:
        """Return a member by its path, such as `properties.sku.name`."""
        value: Any = self.body
        for name in path.split("."):
            if not isinstance(value, dict) or name not in value:
                return default
            value = value[name]
        return value
