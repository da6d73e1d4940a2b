"""Hears facts and makes metrics, spans and log records of them."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from logging import ERROR, INFO, WARNING
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.filters import Concern
from relay.health import State
from relay.observer import (
    BlobFailed,
    DeadLettered,
    Delivered,
    Fact,
    Failed,
    Knocked,
    MalformedKept,
    Redriven,
    RequestRefused,
    Sent,
    ServiceTagsLooked,
    ServiceTagsRefused,
    Unreadable,
    Unrouted,
)
from relay.telemetry import names
from relay.telemetry.ages import age
from relay.telemetry.meters import Meters
from relay.telemetry.names import BatchOutcome, Log, Outcome, RefusedBy
from relay.telemetry.pipeline import Pipeline
from relay.telemetry.records import Records
from relay.telemetry.spans import PROBE, SEND, Spans, attributes_of, refusal_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from relay.dead_letters import DeadLetter
    from relay.failures import Refusal
    from relay.filters import Finding
    from relay.health import PlaceHealth, RouteHealth
    from relay.ingress import Arrival
    from relay.routing import Route
    from relay.settings import Problem
    from relay.telemetry.losses import Loss

_REFUSED_WITH: Final = {401: Reason.UNAUTHENTICATED, 403: Reason.FORBIDDEN}
_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})


class Telemetry:
    """Counts, measures and logs facts; an `Observer`.

    Args:
        pipeline: where it goes; to OpenTelemetry's global providers if none is given.
        servers: the host name of each connection's namespace.
        now: the time of day, in UTC.
        name: the relay's, where a process holds several; it then stands on everything.
    """

    def __init__(
        self,
        pipeline: Pipeline | None = None,
        servers: Mapping[str, str] = _NOWHERE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        name: str = "",
    ) -> None:
        self._pipeline = pipeline or Pipeline()
        self._servers = servers
        self._now = now
        self._own = {names.RELAY: name} if name else {}
        self._meters = Meters(self._pipeline.meters, self._own)
        self._spans = Spans(self._pipeline.tracers)
        self._records = Records(self._pipeline.logger, {"relay": name} if name else {})
        self._is_urgent = False  # whether somebody should hear of it at once

    def __call__(self, fact: Fact) -> None:
        """Hear a fact."""
        match fact:
            case Delivered(route, arrivals, attempts):
                self._delivered(route, arrivals, attempts)
            case Sent(route, arrivals, seconds):
                self._sent(route, arrivals, seconds)
            case Failed(route, error, arrivals, seconds):
                self._failed(route, error, arrivals, seconds)
            case DeadLettered(route, letters, _):
                self._dead_lettered(route, letters)
            case Redriven(route, count):
                self._count(count, Outcome.REDRIVEN, route)
                self._records.write(INFO, Log.REDRIVEN, route.name, count=count)
            case MalformedKept(letters):
                self._malformed(letters)
            case Unrouted(count):
                self._count(count, Outcome.UNROUTED)
            case _:
                self._hear_of_others(fact)

    def _hear_of_others(self, fact: Fact) -> None:
        """Hear what is not about the events of an invocation."""
        match fact:
            case Unreadable(route, blob):
                self._records.write(ERROR, Log.UNREADABLE, route.name, blob=blob)
            case RequestRefused():
                self._request_refused(fact)
            case ServiceTagsLooked(tag, added, removed):
                self._service_tags(tag, added, removed)
            case ServiceTagsRefused(error):
                self._refused(error, RefusedBy.RESOURCE_MANAGER)
            case BlobFailed(error):
                self._blob_failed(error)
            case Knocked(ingress, error) if error is not None:
                self._ingress_failed(ingress, error)

    def follow(
        self,
        routes: Callable[[], Iterable[RouteHealth]],
        places: Callable[[], Iterable[PlaceHealth]] = tuple,
    ) -> None:
        """Measure how routes and other places fare whenever metrics are collected."""
        self._meters.follow(routes, self._now)
        self._meters.follow_places(places, self._now)

    @asynccontextmanager
    async def batch(self, operation: str, trace: str = "") -> AsyncIterator[None]:
        """Span and measure an invocation, and hand over at its end what it told.

        Args:
            operation: what it does.
            trace: what it belongs to, as a `traceparent`, unless a trace is under way.

        The host ends the worker without a word: what is not handed over by then may be lost.
        Handing over is bounded in time, and its failure is no failure of the invocation.
        """
        began = time.monotonic()
        outcome = BatchOutcome.FAILED
        try:
            with self._spans.batch(operation, trace):
                try:
                    yield
                except Exception as error:
                    self._records.write(
                        ERROR, Log.UNSETTLED, operation=operation, detail=str(error)
                    )
                    raise
            outcome = BatchOutcome.SETTLED
        finally:
            attributes = self._own | {
                names.OPERATION_NAME: operation,
                names.OUTCOME: outcome.value,
            }
            self._meters.batch.record(time.monotonic() - began, attributes)
            is_urgent = self._is_urgent or outcome is BatchOutcome.FAILED
            self._is_urgent = False
            await self._pipeline.flush(is_urgent=is_urgent)
            for loss in self._pipeline.losses.take():
                self._lost(loss)

    def route_state(self, health: RouteHealth) -> None:
        """Hear which state a route is in: at the beginning, and whenever it changes."""
        self._is_urgent = True
        self._records.write(
            INFO if health.state is State.HEALTHY else WARNING,
            Log.ROUTE_STATE,
            health.route,
            state=health.state.value,
            reason=health.reason.value if health.reason else None,
            since=health.since.isoformat(),
            detail=health.detail,
        )

    def place_state(self, health: PlaceHealth) -> None:
        """Hear which state an ingress, or Blob, came into."""
        self._is_urgent = True
        self._records.write(
            INFO if health.state is State.HEALTHY else WARNING,
            Log.PLACE_STATE,
            place=health.place,
            state=health.state.value,
            reason=health.reason.value if health.reason else None,
            since=health.since.isoformat(),
            detail=health.detail,
        )

    def setting_warning(self, problem: Problem) -> None:
        """Hear what is let through though it should not stay."""
        self._records.write(
            WARNING,
            Log.SETTING_WARNING,
            setting=problem.setting,
            detail=problem.what,
            remedy=problem.remedy,
        )

    def filter_finding(self, route: str, finding: Finding) -> None:
        """Hear what there is to know about a route's filter."""
        is_trouble = finding.concern in {Concern.NEVER, Concern.SURPRISE}
        self._records.write(
            WARNING if is_trouble else INFO,
            Log.FILTER_FINDING,
            route,
            concern=finding.concern.value,
            line=finding.line,
            column=finding.column,
            detail=finding.text,
            remedy=finding.remedy,
        )

    def _count(self, count: int, outcome: Outcome, route: Route | None = None) -> None:
        named = self._own if route is None else {**self._own, names.ROUTE: route.name}
        self._meters.events.add(count, {names.OUTCOME: outcome.value, **named})

    def _delivered(self, route: Route, arrivals: Sequence[Arrival], attempts: int) -> None:
        self._count(len(arrivals), Outcome.DELIVERED, route)
        if self._meters.are_heard:
            self._measure_ages(route, arrivals)
        self._records.write(
            INFO, Log.DELIVERED, route.name, count=len(arrivals), attempts=attempts
        )

    def _measure_ages(self, route: Route, arrivals: Sequence[Arrival]) -> None:
        now, attributes = self._now(), self._own | {names.ROUTE: route.name}
        record = self._meters.event_age.record
        for arrival in arrivals:
            seconds = age(arrival.content, now) if isinstance(arrival.content, Event) else None
            if seconds is not None:
                record(seconds, attributes)

    def _sent(self, route: Route, arrivals: Sequence[Arrival], seconds: float) -> None:
        attributes = self._attributes(route, SEND)
        self._meters.duration.record(seconds, attributes)
        self._meters.sent.add(len(arrivals), attributes)
        with self._spans.attempt(attributes, arrivals, seconds):
            pass

    def _failed(
        self, route: Route, error: DeliveryError, arrivals: Sequence[Arrival], seconds: float
    ) -> None:
        attributes = self._attributes(route, SEND if arrivals else PROBE)
        reason = error.reason.value
        if arrivals:
            blamed = attributes | {names.ERROR_TYPE: reason}
            self._meters.duration.record(seconds, blamed)
            self._meters.sent.add(len(arrivals) - error.accepted, blamed)
            if error.accepted:
                self._meters.sent.add(error.accepted, attributes)
        with self._spans.attempt(attributes, arrivals, seconds, error):
            if error.reason.is_refusal:
                self._refused(error, RefusedBy.DESTINATION, route)
            else:
                self._records.write(
                    WARNING, Log.ATTEMPT_FAILED, route.name, reason=reason, detail=error.detail
                )

    def _attributes(self, route: Route, operation: str) -> dict[str, str]:
        server = self._servers.get(route.destination.connection, "")
        return self._own | attributes_of(route, server, operation)

    def _blob_failed(self, error: DeliveryError) -> None:
        reason = error.reason.value
        self._meters.blob_errors.add(1, self._own | {names.ERROR_TYPE: reason})
        if error.reason.is_refusal:
            self._refused(error, RefusedBy.DEAD_LETTERS)
        else:
            self._records.write(ERROR, Log.BLOB_FAILED, reason=reason, detail=error.detail)

    def _ingress_failed(self, ingress: str, error: DeliveryError) -> None:
        if error.reason.is_refusal:
            self._refused(error, RefusedBy.INGRESS, ingress=ingress)
        else:
            self._records.write(
                WARNING,
                Log.INGRESS_FAILED,
                place=ingress,
                reason=error.reason.value,
                detail=error.detail,
            )

    def _request_refused(self, fact: RequestRefused) -> None:
        """A caller of the relay's own surface is one who is refused, if it is 401 or 403."""
        asked: dict[str, str | int] = {names.ACTION: fact.action} if fact.action else {}
        self._meters.requests.add(1, {**self._own, names.STATUS: fact.status, **asked})
        reason = _REFUSED_WITH.get(fact.status)
        if reason is not None:
            self._refused(DeliveryError(reason, fact.detail), RefusedBy.RELAY)
        self._records.write(
            WARNING,
            Log.REQUEST_REFUSED,
            status=fact.status,
            action=fact.action,
            caller=fact.caller,
            detail=fact.detail,
        )

    def _service_tags(self, tag: str, added: Sequence[str], removed: Sequence[str]) -> None:
        """A range that was added has no rule yet, and who calls from it is refused."""
        for change, ranges in (("added", added), ("removed", removed)):
            attributes = self._own | {names.TAG: tag, names.CHANGE: change}
            self._meters.drift.set(len(ranges), attributes)
        self._records.write(
            WARNING if added else INFO,
            Log.SERVICE_TAGS,
            tag=tag,
            added=", ".join(added),
            removed=", ".join(removed),
        )

    def _lost(self, loss: Loss) -> None:
        self._records.write(
            ERROR,
            Log.TELEMETRY_REJECTED,
            exporter=loss.exporter,
            signal=loss.signal,
            reason=loss.error.reason.value,
            detail=loss.error.detail,
        )
        if loss.error.reason.is_refusal:
            self._refused(loss.error, RefusedBy.TELEMETRY)

    def _refused(
        self,
        error: DeliveryError,
        who: RefusedBy,
        route: Route | None = None,
        ingress: str = "",
    ) -> None:
        """Tell of a refusal, whoever refused whom: one counter, one record, one span event."""
        reason, refusal = error.reason.value, error.refusal
        attributes = self._own | {names.REFUSED_BY: who.value, names.ERROR_TYPE: reason}
        if route is not None:
            attributes |= {
                names.ROUTE: route.name,
                names.DESTINATION: route.destination.entity,
            }
        if ingress:
            attributes |= {names.PLACE: ingress}
        self._meters.refusals.add(1, attributes)
        explanation = {} if refusal is None else _explanation(refusal)
        with self._spans.under_way(f"refused by {who.value}"):
            refusal_event(error)
            self._records.write(
                ERROR,
                Log.REFUSED,
                None if route is None else route.name,
                reason=reason,
                refused_by=who.value,
                **({"place": ingress} if ingress else {}),
                **explanation,
                detail=error.detail,
            )

    def _dead_lettered(self, route: Route, letters: Sequence[DeadLetter]) -> None:
        self._count(len(letters), Outcome.DEAD_LETTERED, route)
        for reason, count in Counter(letter.reason for letter in letters).items():
            self._records.write(
                WARNING, Log.DEAD_LETTERED, route.name, count=count, reason=reason.value
            )

    def _malformed(self, letters: Sequence[DeadLetter]) -> None:
        self._count(len(letters), Outcome.MALFORMED)
        detail = letters[0].detail
        self._records.write(WARNING, Log.MALFORMED, count=len(letters), detail=detail)


def _explanation(refusal: Refusal) -> dict[str, str]:
    return {
        "cause": refusal.cause,
        "remedy": refusal.remedy,
        "identity": refusal.identity,
        "client_id": refusal.client_id,
        "object_id": refusal.object_id,
        "destination": refusal.destination,
        "audience": refusal.audience,
        "role": refusal.role,
        "role_id": refusal.role_id,
        "scope": refusal.scope,
    }
