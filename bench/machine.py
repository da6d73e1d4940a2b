"""On what and with what a run was made, in words."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import cores

PACKAGES = (
    "azure-eventhub",
    "azure-servicebus",
    "azure-functions",
    "azure-functions-runtime",
)
QUIET = 0.5
"""The most that a machine has to do, in cores, to be called quiet."""


def described() -> dict[str, Any]:
    """Return when and where this is, before anything is measured."""
    load = os.getloadavg()[0]
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": _found(r"model name\s*: (.+)", "/proc/cpuinfo") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "cores_apart": cores.ARE_APART,
        "memory_gib": round(int(_found(r"MemTotal:\s+(\d+)", "/proc/meminfo") or 0) / 2**20),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "node": _node(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": round(load, 1),
        "quiet": load <= QUIET,
    }


def _found(pattern: str, file: str) -> str:
    match = re.search(pattern, Path(file).read_text())
    return match[1] if match else ""


def _node() -> str:
    try:
        told = subprocess.run(
            ["node", "--version"],  # noqa: S607 - the one that `make` finds too
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return told.stdout.strip().removeprefix("v")


def in_words(machine: dict[str, Any]) -> str:
    """Return one paragraph."""
    others = (
        "nothing else ran on it"
        if machine["quiet"]
        else f"**other work ran on it too** (a load of {machine['load_before']} before the run)"
    )
    apart = (
        "the local Azure and the driver on one core, the measured process alone on the other"
        if machine["cores_apart"]
        else "**a single core for everything**"
    )
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"Measured on {machine['when']} on {machine['cores']} cores ({machine['processor']}) "
        f"with {machine['memory_gib']} GiB, {machine['system']}; {apart}; {others}. "
        f"Python {machine['python']}, Node {machine['node']}, {packages}."
    )
