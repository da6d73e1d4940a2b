"""What a deployment would create: each resource, its properties, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.infra.bicep.deployed import Deployed, Node
from tests.infra.bicep.evaluation import evaluate
from tests.infra.bicep.instances import Instance, Run
from tests.infra.bicep.made_up import SUBSCRIPTION
from tests.infra.bicep.nodes import File, Finding, Place


@dataclass
class Deployment:
    """A whole deployment.

    Attributes:
        files: every file that it takes.
        resources: what it would create.
        findings: what can't be read or calculated.
        outputs: of the first file.
        references: what is referred to as existing: where declared, and its id.
        modules: the deployments inside it: where declared, into what scope, by which name.
    """

    files: dict[str, File]
    resources: list[Deployed]
    findings: list[Finding]
    outputs: dict[str, Any]
    references: list[tuple[Place, str]]
    modules: list[tuple[Place, str, str]]
    _waits: dict[Node, set[Node]]

    def of(self, kind: str) -> list[Deployed]:
        """Return all of a type."""
        return [each for each in self.resources if each.type.lower() == kind.lower()]

    def by_id(self, resource_id: str) -> Deployed | None:
        """Return the resource that has an id."""
        return next((r for r in self.resources if r.id.lower() == resource_id.lower()), None)

    def waits_for(self, later: Deployed, earlier: Deployed) -> bool:
        """Whether one is created only when the other is there."""
        seen: set[Node] = set()
        ahead = [later.node]
        while ahead:
            node = ahead.pop()
            if node in seen:
                continue
            seen.add(node)
            ahead += self._waits.get(node, ())
            ahead += [above for above in _above(node) if above not in seen]
        reached = seen - {later.node, *_above(later.node)}
        return not reached.isdisjoint({earlier.node, *_above(earlier.node)})


def _above(node: Node) -> Iterator[Node]:
    """Yield the modules that a node lies in."""
    path = node[0]
    while path:
        path, _, symbol = path.rpartition("/")
        yield path, symbol


def deploy(
    files: Mapping[str, str], main: str, parameters: Mapping[str, Any] | None = None
) -> Deployment:
    """Calculate a deployment.

    Args:
        files: texts by path.
        main: path of the file that is deployed.
        parameters: its parameters.
    """
    run = Run(files)
    first = Instance(run, main, dict(parameters or {}), SUBSCRIPTION, "")
    if first.file.scope == "resourceGroup":
        first.scope = f"{SUBSCRIPTION}/resourceGroups/rg-test"
    resources = list(first.deployed())
    outputs = {
        each.name: evaluate(each.value, first)
        for each in first.file.of("output")
        if each.value is not None
    }
    ids = [each.id.lower() for each in resources]
    for each in resources:
        if ids.count(each.id.lower()) > 1:
            run.note(each.at, f"more than one resource has the id {each.id}")
    return Deployment(
        run.parsed,
        resources,
        list(run.findings),
        outputs,
        run.references,
        run.modules,
        run.waits,
    )
