"""The parts of host.json that this host heeds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from lab.functions.failures import AppFailed

if TYPE_CHECKING:
    from pathlib import Path

# What the host and the Event Hubs extension (6.x) take when host.json is silent.
_TIMEOUT: Final = timedelta(minutes=30)
_BATCH: Final = 100
_PREFETCH: Final = 300


@dataclass(frozen=True, slots=True)
class HostJson:
    """Settings of the host, with the platform's defaults.

    Attributes:
        function_timeout: how long an invocation may take.
        route_prefix: what stands before every HTTP route, without slashes.
        max_event_batch_size: the most events in one invocation.
        prefetch: events that the reader of a partition asks for ahead.
        from_end: whether a hub without checkpoint is read from its end, not from its start.
    """

    function_timeout: timedelta = _TIMEOUT
    route_prefix: str = "api"
    max_event_batch_size: int = _BATCH
    prefetch: int = _PREFETCH
    from_end: bool = False


def read(app_directory: Path) -> HostJson:
    """Return what `host.json` in the directory says.

    Raises:
        AppFailed: it is missing or cannot be read.
    """
    path = app_directory / "host.json"
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise AppFailed(f"{path} cannot be used: {error}") from error


def _parse(content: Any) -> HostJson:
    extensions = content.get("extensions", {})
    hubs = extensions.get("eventHubs", {})
    http = extensions.get("http", {})
    offset = hubs.get("initialOffsetOptions", {}).get("type", "fromStart")
    if offset not in {"fromStart", "fromEnd"}:
        raise ValueError(f"initialOffsetOptions.type {offset!r} is not known to the lab")
    return HostJson(
        function_timeout=_interval(content.get("functionTimeout", str(_TIMEOUT))),
        route_prefix=str(http.get("routePrefix", "api")).strip("/"),
        max_event_batch_size=int(hubs.get("maxEventBatchSize", _BATCH)),
        prefetch=int(hubs.get("prefetchCount", _PREFETCH)),
        from_end=offset == "fromEnd",
    )


def _interval(text: str) -> timedelta:
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
