"""`make infra-check`: the policies on the templates, and on each sabotage of them."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.infra.bicep import shapes
from tests.infra.mutants import Mutant, mutants
from tests.infra.policies.all import POLICIES
from tests.infra.project import ROOT, SCENARIOS, Project
from tests.infra.sabotages import SABOTAGES

PAGE = ROOT / "docs" / "infra-check.md"


def checked(project: Project) -> dict[str, Any]:
    """Hold the templates, and each sabotage of them, to the policies."""
    broken = {
        name: [str(each) for each in policy.broken(project)]
        for name, policy in POLICIES.items()
    }
    noticed = {each.what: _notice(project, each.policy, each) for each in SABOTAGES}
    return {
        "resources": {name: len(each.resources) for name, each in project.deployments.items()},
        "policies": len(POLICIES),
        "broken": {name: found for name, found in broken.items() if found},
        "sabotages": len(SABOTAGES),
        "caught": sum(noticed.values()),
        "missed": [what for what, was_noticed in noticed.items() if not was_noticed],
    }


def _notice(project: Project, policy: str, sabotage: Any) -> bool:
    try:
        return POLICIES[policy].is_broken(sabotage.done_to(project))
    except LookupError:
        return False  # the text that it changes is not there any more


def as_text(found: dict[str, Any]) -> str:
    """Return the outcome for people."""
    lines = [
        f"{len(project_files())} Bicep files, {len(SCENARIOS)} scenarios: "
        + ", ".join(f"{name} ({count} resources)" for name, count in found["resources"].items())
    ]
    for name, policy in POLICIES.items():
        is_broken = name in found["broken"]
        lines.append(f"  {'✗' if is_broken else '✓'} {name}: {policy.says}")
        lines += [f"      {each}" for each in found["broken"].get(name, ())]
    lines.append(
        f"{found['policies'] - len(found['broken'])} of {found['policies']} policies hold"
    )
    lines.append(f"{found['caught']} of {found['sabotages']} sabotages are noticed")
    lines += [f"  ✗ not noticed: {what}" for what in found["missed"]]
    lines.append(
        "Never deployed: this is no proof that Azure takes it. See docs/infra-check.md"
    )
    return "\n".join(lines)


def tried_out(project: Project) -> str:
    """Change every line in turn, and tell what goes unnoticed."""
    every = list(mutants(project))
    with ProcessPoolExecutor() as processes:
        noticed = list(processes.map(_is_noticed, every, chunksize=10))
    unnoticed = [each for each, was in zip(every, noticed, strict=True) if not was]
    lines = [f"{sum(noticed)} of {len(every)} changes are noticed by some policy; not these:"]
    return "\n".join(lines + [f"  {each}" for each in unnoticed])


def _is_noticed(mutant: Mutant) -> bool:
    return mutant.is_noticed(Project.read())


def project_files() -> list[str]:
    """Return the Bicep files of the project."""
    return [each.path for each in Project.read().bicep]


def as_document() -> str:
    """Return `docs/infra-check.md`."""
    policies = "\n".join(f"| `{name}` | {each.says} |" for name, each in POLICIES.items())
    sabotages = "\n".join(
        f"| {each.what} | `{each.file}` | `{each.policy}` |" for each in SABOTAGES
    )
    packages = ", ".join(
        f"{name.removeprefix('azure-mgmt-')} {version}"
        for name, version in shapes.PACKAGES.items()
    )
    return _PAGE.format(
        policies=policies, sabotages=sabotages, packages=packages, count=len(SABOTAGES)
    )


_PAGE = Path(__file__).with_name("page.md").read_text("utf-8")


def main() -> int:
    """Check, say what was found, and return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="make infra-check")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--document", action="store_true", help="write docs/infra-check.md")
    parser.add_argument("--mutants", action="store_true", help="change every line in turn")
    given = parser.parse_args()
    if given.mutants:
        sys.stdout.write(tried_out(Project.read()) + "\n")
        return 0
    if given.document:
        PAGE.write_text(as_document(), "utf-8")
        return 0
    found = checked(Project.read())
    sys.stdout.write((json.dumps(found) if given.json else as_text(found)) + "\n")
    return 1 if found["broken"] or found["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
