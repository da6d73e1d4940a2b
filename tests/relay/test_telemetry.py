from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from relay.dead_letters import DeadLetter
from relay.failures import REFUSALS, DeliveryError, Reason, Refusal
from relay.filters import lint
from relay.health import Health, RouteHealth, State
from relay.observer import (
    DeadLettered,
    Delivered,
    Fact,
    Failed,
    MalformedKept,
    Redriven,
    RequestRefused,
    Unrouted,
)
from relay.telemetry import Telemetry
from tests.fakes import NOON, a_route, an_arrival, an_event

HUB = a_route("hub")
SECRETS = {"pump-17", "5d4c", "1450"}
"""Of `an_event`: its twin, its id, its data; no metric may carry one."""

type Series = dict[tuple[tuple[str, Any], ...], float]


class Ear:
    """A telemetry with what it measures and logs."""

    def __init__(self, reader: InMemoryMetricReader, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._reader = reader

    def series(self) -> dict[str, Series]:
        """Return the value of each series of attributes, by metric."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: {
                tuple(sorted((point.attributes or {}).items())): point.value
                for point in metric.data.data_points
            }
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def ear() -> Iterator[Ear]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield Ear(reader, Telemetry(provider))
    provider.shutdown()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="relay")
    return caplog


def name_of(record: logging.LogRecord) -> str:
    """Return a record's fixed name; behind it stand the same values as its attributes."""
    name, _, values = record.getMessage().partition(" ")
    assert json.loads(values).items() <= vars(record).items()
    return name


def test_events_are_counted_by_how_they_were_settled(ear: Ear) -> None:
    for fact in (
        Delivered(HUB, [an_arrival(), an_arrival()], 1),
        Delivered(HUB, [an_arrival()], 2),
        DeadLettered(HUB, [a_letter(Reason.FORBIDDEN), a_letter(Reason.TOO_LARGE)]),
        Redriven(HUB, 4),
        MalformedKept([a_letter(Reason.MALFORMED)]),
        Unrouted(7),
    ):
        ear.telemetry(fact)

    assert ear.series() == {
        "relay.events": {
            outcome("delivered", "hub"): 3,
            outcome("dead_lettered", "hub"): 2,
            outcome("redriven", "hub"): 4,
            (("relay.outcome", "malformed"),): 1,
            (("relay.outcome", "unrouted"),): 7,
        }
    }


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_every_refusal_is_counted_by_its_cause(ear: Ear, reason: Reason) -> None:
    ear.telemetry(Failed(HUB, a_refused(reason)))
    ear.telemetry(Failed(HUB, a_refused(reason)))

    assert ear.series() == {
        "relay.authorization.failures": {
            (
                ("error.type", reason.value),
                ("messaging.destination.name", "hub"),
                ("relay.route.name", "hub"),
            ): 2
        }
    }


def test_a_failure_that_is_no_refusal_is_not_counted_as_one(ear: Ear) -> None:
    ear.telemetry(Failed(HUB, DeliveryError(Reason.TIMEOUT, "no answer")))

    assert ear.series() == {}


def test_every_route_has_a_series_from_the_beginning_that_follows_its_health(ear: Ear) -> None:
    health = Health(["hub", "queue"], lambda: NOON, ear.telemetry.route_state)
    assert ear.series()["relay.route.healthy"] == {of_route("hub"): 1, of_route("queue"): 1}

    health(Failed(HUB, a_refused(Reason.FORBIDDEN)))
    assert ear.series()["relay.route.healthy"] == {of_route("hub"): 0, of_route("queue"): 1}

    health(Delivered(HUB, [an_arrival()], 1))
    assert ear.series()["relay.route.healthy"] == {of_route("hub"): 1, of_route("queue"): 1}


@pytest.mark.parametrize("state", State)
def test_a_route_that_delivers_counts_as_healthy(ear: Ear, state: State) -> None:
    ear.telemetry.route_state(RouteHealth("hub", state, NOON))

    expected = 1 if state in {State.HEALTHY, State.DEGRADED} else 0
    assert ear.series()["relay.route.healthy"] == {of_route("hub"): expected}


def test_no_metric_carries_an_id_a_twin_or_data(ear: Ear) -> None:
    for fact in every_fact():
        ear.telemetry(fact)

    assert all(secret not in str(ear.series()) for secret in SECRETS)


def test_a_refusal_is_logged_with_all_that_mends_it(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    error = a_refused(Reason.FORBIDDEN)

    ear.telemetry(Failed(HUB, error))

    (record,) = log.records
    assert (record.name, record.levelno) == ("relay", logging.ERROR)
    assert name_of(record) == "relay.refused"
    assert "az role assignment create" in record.getMessage()
    assert {
        "route": "hub",
        "reason": "forbidden",
        "identity": "system-assigned identity",
        "client_id": "the-client",
        "object_id": "the-object",
        "destination": "analytics/hub",
        "audience": "https://eventhubs.azure.net/",
        "role": "Azure Event Hubs Data Sender",
        "role_id": "2b629674-e913-4c01-ae53-ef4638d8f975",
        "scope": "/subscriptions/s",
        "cause": "it lacks the role",
        "remedy": "az role assignment create",
        "detail": "unauthorized-access",
    }.items() <= vars(record).items()


def test_a_failed_attempt_is_logged_with_its_reason(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry(Failed(HUB, DeliveryError(Reason.TIMEOUT, "no answer")))

    assert told(log) == [
        (
            "relay.attempt_failed",
            {"route": "hub", "reason": "timeout", "detail": "no answer"},
        )
    ]


def test_dead_letters_are_logged_by_reason(ear: Ear, log: pytest.LogCaptureFixture) -> None:
    reasons = [Reason.TIMEOUT, Reason.TOO_LARGE, Reason.TIMEOUT]

    ear.telemetry(DeadLettered(HUB, [a_letter(reason) for reason in reasons]))

    assert told(log) == [
        ("relay.dead_lettered", {"route": "hub", "count": 2, "reason": "timeout"}),
        ("relay.dead_lettered", {"route": "hub", "count": 1, "reason": "too_large"}),
    ]


def test_deliveries_and_redrives_are_logged_with_their_counts(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry(Delivered(HUB, [an_arrival(), an_arrival()], 3))
    ear.telemetry(Redriven(HUB, 5))

    assert told(log) == [
        ("relay.delivered", {"route": "hub", "count": 2, "attempts": 3}),
        ("relay.redriven", {"route": "hub", "count": 5}),
    ]


def test_malformed_messages_are_logged_with_what_is_wrong(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry(MalformedKept([a_letter(Reason.MALFORMED)]))

    assert told(log) == [("relay.malformed", {"count": 1, "detail": "it was malformed"})]


@pytest.mark.parametrize(
    ("state", "level"),
    [(State.HEALTHY, logging.INFO), (State.REFUSED, logging.WARNING)],
)
def test_a_state_is_logged_as_loud_as_it_is_bad(
    ear: Ear, log: pytest.LogCaptureFixture, state: State, level: int
) -> None:
    reason = None if state is State.HEALTHY else Reason.FORBIDDEN

    ear.telemetry.route_state(RouteHealth("hub", state, NOON, reason, "no role"))

    assert [level] == [record.levelno for record in log.records]
    assert told(log) == [
        (
            "relay.route_state",
            {
                "route": "hub",
                "state": state.value,
                "reason": reason and reason.value,
                "since": "2026-03-05T12:00:00+00:00",
                "detail": "no role",
            },
        )
    ]


def test_every_log_name_is_fixed(ear: Ear, log: pytest.LogCaptureFixture) -> None:
    for fact in every_fact():
        ear.telemetry(fact)

    assert all(name_of(record).startswith("relay.") for record in log.records)


def test_without_a_provider_the_global_one_is_told() -> None:
    Telemetry()(Unrouted(1))


def every_fact() -> list[Fact]:
    return [
        Delivered(HUB, [an_arrival(an_event())], 1),
        Failed(HUB, a_refused(Reason.FORBIDDEN)),
        Failed(HUB, DeliveryError(Reason.TIMEOUT, "no answer")),
        DeadLettered(HUB, [a_letter(Reason.TIMEOUT)]),
        Redriven(HUB, 1),
        MalformedKept([a_letter(Reason.MALFORMED)]),
        Unrouted(1),
    ]


def told(log: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    """Return each record's name and what was logged with it."""
    plain = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
    return [
        (name_of(record), {name: v for name, v in vars(record).items() if name not in plain})
        for record in log.records
    ]


def outcome(what: str, route: str) -> tuple[tuple[str, str], ...]:
    return ("relay.outcome", what), ("relay.route.name", route)


def of_route(name: str) -> tuple[tuple[str, str], ...]:
    return (("relay.route.name", name),)


def a_letter(reason: Reason) -> DeadLetter:
    return DeadLetter(an_arrival(an_event()), reason, f"it was {reason}", 1, NOON)


def a_refused(reason: Reason) -> DeliveryError:
    refusal = Refusal(
        reason=reason,
        identity="system-assigned identity",
        client_id="the-client",
        object_id="the-object",
        destination="analytics/hub",
        audience="https://eventhubs.azure.net/",
        role="Azure Event Hubs Data Sender",
        role_id="2b629674-e913-4c01-ae53-ef4638d8f975",
        scope="/subscriptions/s",
        cause="it lacks the role",
        remedy="az role assignment create",
    )
    return DeliveryError(reason, "unauthorized-access", refusal=refusal)


def test_what_is_to_know_about_a_filter_is_logged_as_loud_as_it_is_bad(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    for text in ("type = 'Microsoft.DigitalTwins.Twin.Updated'", "NOT type = 'x-1'"):
        for finding in lint(text):
            ear.telemetry.filter_finding("hub", finding)

    levels = {(record.concern, record.levelno) for record in log.records}  # type: ignore[attr-defined]
    assert ("never", logging.WARNING) in levels
    assert ("extension", logging.INFO) in levels
    assert {"relay.filter_finding"} == {name_of(record) for record in log.records}


def test_a_request_that_is_refused_is_counted_by_its_status_and_logged_with_why(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    for status in (401, 401, 503):
        ear.telemetry(RequestRefused(status, "the token has expired"))

    assert ear.series()["relay.requests.refused"] == {
        (("http.response.status_code", 401),): 2,
        (("http.response.status_code", 503),): 1,
    }
    assert ["relay.request_refused"] * 3 == [name_of(record) for record in log.records]
    assert "the token has expired" in log.records[0].getMessage()


def test_where_a_process_holds_several_relays_all_they_tell_has_their_names(
    log: pytest.LogCaptureFixture,
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    for name, count in (("plant_a", 3), ("plant_b", 4)):
        telemetry = Telemetry(provider, name)
        telemetry(Delivered(HUB, [an_arrival()] * count, 1))
        telemetry(Unrouted(1))
        telemetry(RequestRefused(401, "no"))
        telemetry(Failed(HUB, a_refused(Reason.FORBIDDEN)))
        telemetry.route_state(RouteHealth("hub", State.HEALTHY, NOON))
    found = Ear(reader, telemetry).series()
    provider.shutdown()

    assert {"plant_a", "plant_b"} == {getattr(record, "relay", "") for record in log.records}
    for series in found.values():
        names = [dict(attributes).get("relay.name") for attributes in series]
        assert {"plant_a", "plant_b"} == {*names}
    delivered = {dict(a)["relay.name"]: n for a, n in found["relay.events"].items() if n > 1}
    assert {"plant_a": 3, "plant_b": 4} == delivered
