"""What `host.json` grants an invocation, and where it lets paths begin.

Names and defaults: MicrosoftDocs/azure-docs, azure-functions/functions-host-json.md (five
minutes where `functionTimeout` is not set, the Consumption plan's default; -1 is without end),
functions-bindings-service-bus.md (`maxAutoLockRenewalDuration`, five minutes) and
functions-bindings-http-webhook.md (`routePrefix`, `api`). An app setting
`AzureFunctionsJobHost__<path>` overrides a member.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from relay.settings.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


LONGEST_BUDGET: Final = 120.0
SHORTEST_BUDGET: Final = 20.0
"""Seconds; with less there is no time to reach Blob."""

_SHARE: Final = 0.5
"""Of what the host grants: the rest is for what it does itself, before and after."""
_LIMITS: Final = (
    "functionTimeout",
    "extensions__serviceBus__maxAutoLockRenewalDuration",
)
_DEFAULT: Final = 300.0
_TIME: Final = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")


def read_budget(environment: Mapping[str, str], directory: Path, problems: Problems) -> float:
    """Return the seconds that settling one batch may take: well within what the host grants."""
    written = _host_json(directory / "host.json", problems)
    granted = [_granted(path, written, environment, problems) for path in _LIMITS]
    return min(LONGEST_BUDGET, *(seconds * _SHARE for seconds in granted))


def read_route_prefix(environment: Mapping[str, str], directory: Path) -> str:
    """Return how the paths of HTTP functions begin; `""` where told so."""
    path = "extensions__http__routePrefix"
    value = environment.get(f"AzureFunctionsJobHost__{path}")
    if value is None:
        # Whatever else is wrong with the file is noted where the times are read.
        value = _member(_host_json(directory / "host.json", Problems()), path)
    return "api" if value is None else str(value).strip("/")


def _host_json(file: Path, problems: Problems) -> Any:
    """Return what stands in the file; the host itself runs without one."""
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        problems.add("host.json", f"it can't be read: {error}", "Mend it: it must be JSON")
        return {}


def _granted(
    path: str, written: Any, environment: Mapping[str, str], problems: Problems
) -> float:
    value: Any = environment.get(f"AzureFunctionsJobHost__{path}") or _member(written, path)
    seconds = _DEFAULT if value is None else _seconds(str(value))
    where = f"host.json: {path.replace('__', '.')}"
    if seconds is None:
        problems.add(where, "it is no time", "Write hh:mm:ss, for example 00:05:00")
        return _DEFAULT
    if seconds * _SHARE < SHORTEST_BUDGET:
        least = SHORTEST_BUDGET / _SHARE
        problems.add(
            where,
            "it leaves no time to keep events safe when a destination fails",
            f"Grant at least {least:g} seconds; 00:05:00 is Azure's default",
        )
    return seconds


def _member(written: Any, path: str) -> Any:
    for name in path.split("__"):
        written = written.get(name) if isinstance(written, dict) else None
    return written


def _seconds(text: str) -> float | None:
    if text.strip() == "-1":
        return float("inf")
    time = _TIME.fullmatch(text.strip())
    if time is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in time.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
