"""The instruments, made from the names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from relay.dead_letters import Fate
from relay.health import State
from relay.telemetry import names
from relay.telemetry.names import FATE, PLACE, ROUTE, STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from opentelemetry.metrics import Counter, Histogram, MeterProvider

    from relay.health import PlaceHealth, RouteHealth
    from relay.telemetry.names import Metric

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_AGES: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
_DELIVERING: Final = frozenset({State.HEALTHY, State.DEGRADED})


class Meters:
    """Every instrument of the relay.

    Args:
        provider: where metrics go; the global one if none is given.
        own: attributes of every gauge that is observed.
    """

    def __init__(self, provider: MeterProvider | None, own: Mapping[str, str]) -> None:
        self._own = own
        self._provider = provider
        self._meter = metrics.get_meter(names.SCOPE, meter_provider=provider)
        self.events = self._counter(names.EVENTS)
        self.refusals = self._counter(names.REFUSALS)
        self.sent = self._counter(names.SENT)
        self.blob_errors = self._counter(names.BLOB_ERRORS)
        self.requests = self._counter(names.REQUESTS)
        drift = names.DRIFT
        self.drift = self._meter.create_gauge(drift.name, drift.unit, drift.meaning)
        self.event_age = self._histogram(names.EVENT_AGE, _AGES)
        self.duration = self._histogram(names.DURATION, _SECONDS)
        self.batch = self._histogram(names.BATCH, _SECONDS)

    @property
    def are_heard(self) -> bool:
        """Whether anybody may hear what is measured: not while no SDK is at work.

        The API's own providers measure nothing: they stand in for one that an app may set yet.
        """
        provider = self._provider or metrics.get_meter_provider()
        return not type(provider).__module__.startswith(metrics.__name__)

    def follow(
        self, routes: Callable[[], Iterable[RouteHealth]], now: Callable[[], datetime]
    ) -> None:
        """Measure how routes fare whenever metrics are collected.

        What this process knows of a route only from long ago is left out: another instance of
        the app has it now, and one series must not contradict the other for ever.
        """

        def current() -> list[RouteHealth]:
            return [route for route in routes() if route.is_current(now())]

        self._gauge(names.HEALTHY, lambda: map(_healthy, current()))
        self._gauge(names.STATES, lambda: (o for route in current() for o in _states(route)))
        self._gauge(
            names.BACKLOG, lambda: (o for route in routes() for o in _backlog(route, now()))
        )
        self._gauge(
            names.BACKLOG_AGE, lambda: (o for route in routes() for o in _age(route, now()))
        )

    def follow_places(
        self, places: Callable[[], Iterable[PlaceHealth]], now: Callable[[], datetime]
    ) -> None:
        """Measure how other places fare, while what is known of them here may be believed."""

        def observe() -> Iterator[Observation]:
            for place in places():
                if place.is_current(now()):
                    is_open = int(place.state in _DELIVERING)
                    yield Observation(is_open, {PLACE: place.place})

        self._gauge(names.PLACES, observe)

    def _counter(self, metric: Metric) -> Counter:
        return self._meter.create_counter(metric.name, metric.unit, metric.meaning)

    def _histogram(self, metric: Metric, boundaries: tuple[float, ...]) -> Histogram:
        return self._meter.create_histogram(
            metric.name,
            metric.unit,
            metric.meaning,
            explicit_bucket_boundaries_advisory=boundaries,
        )

    def _gauge(self, metric: Metric, observe: Callable[[], Iterable[Observation]]) -> None:
        def observed(_: object) -> Iterator[Observation]:
            for found in observe():
                yield Observation(found.value, {**self._own, **(found.attributes or {})})

        self._meter.create_observable_gauge(
            metric.name, [observed], metric.unit, metric.meaning
        )


def _healthy(route: RouteHealth) -> Observation:
    return Observation(int(route.state in _DELIVERING), {ROUTE: route.route})


def _states(route: RouteHealth) -> Iterator[Observation]:
    for state in State:
        yield Observation(int(route.state is state), {ROUTE: route.route, STATE: state.value})


def _backlog(route: RouteHealth, now: datetime) -> Iterator[Observation]:
    """Say what a survey found, while that may be believed."""
    if route.backlog is not None and route.is_surveyed(now):
        yield Observation(route.backlog.waiting, {ROUTE: route.route, FATE: Fate.WAITING.value})
        yield Observation(route.backlog.held, {ROUTE: route.route, FATE: Fate.HELD.value})


def _age(route: RouteHealth, now: datetime) -> Iterator[Observation]:
    if route.backlog is not None and route.is_surveyed(now):
        since = route.backlog.oldest
        waits = (now - since).total_seconds() if since else 0.0
        yield Observation(max(waits, 0.0), {ROUTE: route.route})
