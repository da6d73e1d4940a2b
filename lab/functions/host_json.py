"""The parts of host.json that this host heeds."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from lab.functions.failures import AppFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What the host and the Event Hubs extension (6.x) take when host.json is silent.
_TIMEOUT: Final = timedelta(minutes=30)
_BATCH: Final = 100
_PREFETCH: Final = 300
_ONE_ONLY: Final = ("maxConcurrentCallsPerSession", "minMessageBatchSize")


@dataclass(frozen=True, slots=True)
class ServiceBusOptions:
    """The Service Bus extension's settings, with its defaults (ServiceBusOptions.cs, 5.x).

    Attributes:
        auto_complete_messages: whether success completes a message.
        max_auto_lock_renewal_duration: how long the locks of single messages are renewed.
        max_concurrent_calls: single messages side by side, from an entity without sessions.
        max_concurrent_sessions: sessions side by side, one message each.
        max_message_batch_size: the most messages in one invocation.
        prefetch_count: messages that a receiver asks for ahead.
        session_idle_timeout: how long an empty session is held, and waited for.
    """

    auto_complete_messages: bool = True
    max_auto_lock_renewal_duration: timedelta = timedelta(minutes=5)
    max_concurrent_calls: int = 16 * (os.cpu_count() or 1)
    max_concurrent_sessions: int = 8
    max_message_batch_size: int = 1000
    prefetch_count: int = 0
    session_idle_timeout: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class HostJson:
    """Settings of the host, with the platform's defaults.

    Attributes:
        function_timeout: how long an invocation may take.
        route_prefix: what stands before every HTTP route, without slashes.
        max_event_batch_size: the most events in one invocation.
        prefetch: events that the reader of a partition asks for ahead.
        from_end: whether a hub without checkpoint is read from its end, not from its start.
        service_bus: how queues and subscriptions are read.
    """

    function_timeout: timedelta = _TIMEOUT
    route_prefix: str = "api"
    max_event_batch_size: int = _BATCH
    prefetch: int = _PREFETCH
    from_end: bool = False
    service_bus: ServiceBusOptions = field(default_factory=ServiceBusOptions)


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
        service_bus=_service_bus(extensions.get("serviceBus", {})),
    )


def _service_bus(content: Mapping[str, Any]) -> ServiceBusOptions:
    for name in _ONE_ONLY:
        if content.get(name, 1) != 1:
            raise ValueError(f"serviceBus.{name} other than 1 is not known to the lab")
    known = {_camel(each.name): each.name for each in fields(ServiceBusOptions)}
    given = {known[name]: _option(value) for name, value in content.items() if name in known}
    return ServiceBusOptions(**given)


def _option(value: Any) -> Any:
    return _interval(value) if isinstance(value, str) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _interval(text: str) -> timedelta:
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
