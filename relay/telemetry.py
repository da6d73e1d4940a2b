"""What the relay tells operators: metrics by OpenTelemetry, logs with fixed names.

Every name stands here. They follow the semantic conventions for messaging where those have one;
what is ours begins with `relay.`. No metric carries an id, a subject or a twin.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from logging import ERROR, INFO, WARNING
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics

from relay.filters import Concern
from relay.health import State
from relay.observer import (
    DeadLettered,
    Delivered,
    Fact,
    Failed,
    MalformedKept,
    Redriven,
    RequestRefused,
    ServiceTagsLooked,
    Unreadable,
    Unrouted,
)
from relay.redaction import described, redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.metrics import MeterProvider

    from relay.dead_letters import DeadLetter
    from relay.failures import DeliveryError
    from relay.filters import Finding
    from relay.health import RouteHealth
    from relay.routing import Route
    from relay.settings import Problem

SCOPE: Final = "relay"

RELAY: Final = "relay.name"
ROUTE: Final = "relay.route.name"
OUTCOME: Final = "relay.outcome"
ERROR_TYPE: Final = "error.type"
STATUS: Final = "http.response.status_code"
DESTINATION: Final = "messaging.destination.name"
TAG: Final = "relay.service_tag.name"
CHANGE: Final = "relay.service_tag.change"

_log: Final = logging.getLogger("relay")


class RedactedRecord(logging.LogRecord):
    """A log record of anybody's in this process, without tokens and keys.

    `logging.setLogRecordFactory` takes it; the SDKs log what services answer.
    """

    def getMessage(self) -> str:  # noqa: N802 - its name is logging's
        """Return what is logged."""
        if self.exc_info and not self.exc_text and isinstance(self.exc_info[1], Exception):
            self.exc_text = redacted(described(self.exc_info[1]))
        return redacted(super().getMessage())


class Telemetry:
    """Counts and logs facts; an `Observer`.

    Args:
        provider: where metrics go; the global one if none is given.
        name: the relay's, where a process holds several; it then stands on everything.
    """

    def __init__(self, provider: MeterProvider | None = None, name: str = "") -> None:
        self._own = {RELAY: name} if name else {}
        self._name = name
        meter = metrics.get_meter(SCOPE, meter_provider=provider)
        self._events = meter.create_counter(
            "relay.events", unit="{event}", description="Events by how they were settled"
        )
        self._refusals = meter.create_counter(
            "relay.authorization.failures",
            unit="{failure}",
            description="Refusals by destinations, by cause",
        )
        self._requests = meter.create_counter(
            "relay.requests.refused",
            unit="{request}",
            description="Requests that were not taken, by status",
        )
        self._healthy = meter.create_gauge(
            "relay.route.healthy", description="1 while the route delivers, else 0"
        )

        self._drift = meter.create_gauge(
            "relay.service_tag.drift",
            unit="{range}",
            description="Ranges of addresses that changed since the rules were made",
        )

    def __call__(self, fact: Fact) -> None:
        """Hear a fact."""
        match fact:
            case Delivered(route, arrivals, attempts):
                self._count(len(arrivals), "delivered", route)
                self._say(
                    INFO, "relay.delivered", route, count=len(arrivals), attempts=attempts
                )
            case Failed(route, error):
                self._failed(route, error)
            case DeadLettered(route, letters, _):
                self._dead_lettered(route, letters)
            case Redriven(route, count):
                self._count(count, "redriven", route)
                self._say(INFO, "relay.redriven", route, count=count)
            case MalformedKept(letters):
                self._events.add(len(letters), self._own | {OUTCOME: "malformed"})
                detail = letters[0].detail
                self._say(WARNING, "relay.malformed", None, count=len(letters), detail=detail)
            case Unreadable(route, blob):
                self._say(ERROR, "relay.unreadable_dead_letter", route, blob=blob)
            case RequestRefused(status, detail):
                self._requests.add(1, self._own | {STATUS: status})
                self._say(WARNING, "relay.request_refused", None, status=status, detail=detail)
            case Unrouted(count):
                self._events.add(count, self._own | {OUTCOME: "unrouted"})
            case ServiceTagsLooked(tag, added, removed):
                self._service_tags(tag, added, removed)

    def route_state(self, health: RouteHealth) -> None:
        """Hear which state a route is in: at the beginning, and whenever it changes."""
        delivers = health.state in {State.HEALTHY, State.DEGRADED}
        self._healthy.set(int(delivers), self._own | {ROUTE: health.route})
        self._say(
            INFO if health.state is State.HEALTHY else WARNING,
            "relay.route_state",
            health.route,
            state=health.state.value,
            reason=health.reason.value if health.reason else None,
            since=health.since.isoformat(),
            detail=health.detail,
        )

    def setting_warning(self, problem: Problem) -> None:
        """Hear what is let through though it should not stay."""
        self._say(
            WARNING,
            "relay.setting_warning",
            None,
            setting=problem.setting,
            detail=problem.what,
            remedy=problem.remedy,
        )

    def filter_finding(self, route: str, finding: Finding) -> None:
        """Hear what there is to know about a route's filter."""
        is_trouble = finding.concern in {Concern.NEVER, Concern.SURPRISE}
        self._say(
            WARNING if is_trouble else INFO,
            "relay.filter_finding",
            route,
            concern=finding.concern.value,
            line=finding.line,
            column=finding.column,
            detail=finding.text,
            remedy=finding.remedy,
        )

    def _count(self, count: int, outcome: str, route: Route) -> None:
        self._events.add(count, self._own | {OUTCOME: outcome, ROUTE: route.name})

    def _failed(self, route: Route, error: DeliveryError) -> None:
        refusal = error.refusal
        reason = error.reason.value
        if refusal is None:
            self._say(
                WARNING, "relay.attempt_failed", route, reason=reason, detail=error.detail
            )
            return
        attributes = self._own | {ROUTE: route.name, ERROR_TYPE: reason}
        self._refusals.add(1, {**attributes, DESTINATION: route.destination.entity})
        self._say(
            ERROR,
            "relay.refused",
            route,
            cause=refusal.cause,
            remedy=refusal.remedy,
            reason=reason,
            identity=refusal.identity,
            client_id=refusal.client_id,
            object_id=refusal.object_id,
            destination=refusal.destination,
            audience=refusal.audience,
            role=refusal.role,
            role_id=refusal.role_id,
            scope=refusal.scope,
            detail=error.detail,
        )

    def _service_tags(self, tag: str, added: Sequence[str], removed: Sequence[str]) -> None:
        """A range that was added has no rule yet, and who calls from it is refused."""
        self._drift.set(len(added), self._own | {TAG: tag, CHANGE: "added"})
        self._drift.set(len(removed), self._own | {TAG: tag, CHANGE: "removed"})
        self._say(
            WARNING if added else INFO,
            "relay.service_tags",
            None,
            tag=tag,
            added=", ".join(added),
            removed=", ".join(removed),
        )

    def _dead_lettered(self, route: Route, letters: Sequence[DeadLetter]) -> None:
        self._count(len(letters), "dead_lettered", route)
        for reason, count in Counter(letter.reason for letter in letters).items():
            self._say(WARNING, "relay.dead_lettered", route, count=count, reason=reason.value)

    def _say(
        self, level: int, name: str, route: Route | str | None, **values: str | int | None
    ) -> None:
        """Log a fixed name with its values, as JSON behind it and as attributes of the record.

        The Functions worker hands on a record's text and nothing else
        (Azure/azure-functions-python-worker, `dispatcher.py`), so the text must hold it all.
        """
        if route is not None:
            values = {"route": route if isinstance(route, str) else route.name, **values}
        if self._name:
            values |= {"relay": self._name}
        values = {k: redacted(v) if isinstance(v, str) else v for k, v in values.items()}
        _log.log(level, "%s %s", name, json.dumps(values, ensure_ascii=False), extra=values)
