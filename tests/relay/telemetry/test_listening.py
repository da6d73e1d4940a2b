from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import metrics
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import SpanKind, StatusCode

from relay.dead_letters import Backlog, DeadLetter, Fate
from relay.delivery import UnsettledError
from relay.failures import REFUSALS, DeliveryError, Reason, Refusal
from relay.filters import lint
from relay.health import CURRENT, FRESH, Health, PlaceHealth, RouteHealth, State
from relay.observer import (
    BlobFailed,
    BlobLooked,
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
    Surveyed,
    Unreadable,
    Unrouted,
)
from relay.permissions import TWINS, Action
from relay.settings import Exporter, Problem
from relay.telemetry import Telemetry
from relay.telemetry.ages import OLDEST, age
from relay.telemetry.losses import Loss
from relay.telemetry.meters import Meters
from relay.telemetry.names import METRICS, BatchOutcome, Outcome, RefusedBy
from tests.fakes import NOON, a_route, an_arrival, an_event
from tests.relay.telemetry.ear import SERVER, Ear, an_ear

HUB = a_route("hub")
SECRETS = {"pump-17", "5d4c", "1450"}
"""Of `an_event`: its twin, its id, its data; no metric may carry one."""


@pytest.fixture
def ear() -> Iterator[Ear]:
    with an_ear() as listening:
        yield listening


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

    assert ear.series("relay.authorization.failures") == {
        "relay.authorization.failures": {
            (
                ("error.type", reason.value),
                ("messaging.destination.name", "hub"),
                ("relay.refused_by", "destination"),
                ("relay.route.name", "hub"),
            ): 2
        }
    }


def test_a_failure_that_is_no_refusal_is_not_counted_as_one(ear: Ear) -> None:
    ear.telemetry(Failed(HUB, DeliveryError(Reason.TIMEOUT, "no answer")))

    assert ear.series("relay.authorization.failures") == {}


def test_every_route_has_a_series_from_the_beginning_that_follows_its_health(ear: Ear) -> None:
    health = Health(["hub", "queue"], lambda: NOON, ear.telemetry.route_state)
    ear.telemetry.follow(health.routes.values)
    assert ear.series()["relay.route.healthy"] == {of_route("hub"): 1, of_route("queue"): 1}

    health(Failed(HUB, a_refused(Reason.FORBIDDEN)))
    assert ear.series()["relay.route.healthy"] == {of_route("hub"): 0, of_route("queue"): 1}

    health(Delivered(HUB, [an_arrival()], 1))
    assert ear.series()["relay.route.healthy"] == {of_route("hub"): 1, of_route("queue"): 1}


@pytest.mark.parametrize("state", State)
def test_a_route_that_delivers_counts_as_healthy(ear: Ear, state: State) -> None:
    ear.telemetry.follow(lambda: [RouteHealth("hub", state, NOON)])

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
            {"route": "hub", "reason": "timeout", "detail": "no answer"} | ear.ids(),
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


def test_without_a_pipeline_the_global_providers_are_told() -> None:
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


# Attempts: spans, durations, messages

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACED = an_event(
    id="traced", traceparent=f"00-{TRACE}-b7ad6b7169203331-01", tracestate="vendor=1"
)
SENDING = {
    "messaging.system": "eventhubs",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": "hub",
    "server.address": SERVER,
    "relay.route.name": "hub",
}


def test_a_send_is_a_span_that_links_to_the_trace_of_each_event(ear: Ear) -> None:
    ear.telemetry(Sent(HUB, [an_arrival(TRACED), an_arrival()], 0.25))

    (span,) = ear.spans
    assert (span.name, span.kind) == ("send hub", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == SENDING | {
        "relay.destination.name": "hub",
        "messaging.batch.message_count": 2,
    }
    assert span.end_time is not None
    assert span.start_time == span.end_time - 250_000_000
    (link,) = span.links
    assert format(link.context.trace_id, "032x") == TRACE
    assert link.context.trace_state["vendor"] == "1"
    assert dict(link.attributes or {}) == {
        "cloudevents.event_id": "traced",
        "cloudevents.event_source": "plant-a.api.weu.digitaltwins.azure.net",
        "cloudevents.event_type": "Microsoft.DigitalTwins.Twin.Update",
        "cloudevents.event_subject": "pump-17",
        "cloudevents.event_spec_version": "1.0",
    }


@pytest.mark.parametrize("traceparent", ["", "00-abc", "nonsense", "é", "00-" + "0" * 52])
def test_a_traceparent_that_is_none_links_to_nothing(ear: Ear, traceparent: str) -> None:
    ear.telemetry(Sent(HUB, [an_arrival(an_event(traceparent=traceparent))], 0.1))

    assert [()] == [tuple(span.links) for span in ear.spans]


def test_a_single_message_is_no_batch(ear: Ear) -> None:
    ear.telemetry(Sent(HUB, [an_arrival()], 0.1))

    assert "messaging.batch.message_count" not in dict(ear.spans[0].attributes or {})


def test_a_failed_attempt_is_a_span_that_says_why_by_names_that_azure_monitor_keeps(
    ear: Ear,
) -> None:
    ear.telemetry(Failed(HUB, DeliveryError(Reason.TIMEOUT, "no answer"), [an_arrival()], 2.0))

    (span,) = ear.spans
    attributes = dict(span.attributes or {})
    assert attributes["error.type"] == attributes["relay.error.type"] == "timeout"
    assert attributes["relay.route.name"] == attributes["relay.destination.name"] == "hub"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "no answer"


def test_a_refusal_is_an_event_of_its_span_with_what_mends_it(ear: Ear) -> None:
    ear.telemetry(Failed(HUB, a_refused(Reason.FORBIDDEN), [an_arrival()], 0.1))

    ((event,),) = [span.events for span in ear.spans]
    assert event.name == "relay.refused"
    assert dict(event.attributes or {}) == {
        "relay.error.type": "forbidden",
        "relay.refusal.cause": "it lacks the role",
        "relay.refusal.remedy": "az role assignment create",
    }


@pytest.mark.parametrize(
    ("fact", "name"),
    [
        (RequestRefused(403, "no role"), "refused by relay"),
        (BlobFailed(DeliveryError(Reason.FORBIDDEN, "no role")), "refused by dead_letters"),
        (Knocked("ingress hub", DeliveryError(Reason.FORBIDDEN, "")), "refused by ingress"),
    ],
)
def test_a_refusal_outside_of_any_span_has_one_made_for_it(
    ear: Ear, log: pytest.LogCaptureFixture, fact: Fact, name: str
) -> None:
    ear.telemetry(fact)

    (span,) = ear.spans
    assert span.name == name
    assert [event.name for event in span.events] == ["relay.refused"]
    refused = dict(told(log))["relay.refused"]
    assert ear.ids().items() <= refused.items()


async def test_a_refusal_in_an_invocation_is_an_event_of_its_span(ear: Ear) -> None:
    async with ear.telemetry.batch("redrive"):
        ear.telemetry(Knocked("ingress hub", DeliveryError(Reason.FORBIDDEN, "")))

    (span,) = ear.spans
    assert span.name == "redrive"
    assert [event.name for event in span.events] == ["relay.refused"]


def test_a_probe_that_fails_is_a_span_but_no_send(ear: Ear) -> None:
    ear.telemetry(Failed(HUB, DeliveryError(Reason.TIMEOUT, "no answer")))

    assert ["probe hub"] == [span.name for span in ear.spans]
    assert ear.series() == {}


def test_what_a_failure_logs_belongs_to_its_span(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry(Failed(HUB, a_refused(Reason.FORBIDDEN), [an_arrival()], 0.1))

    assert ear.ids().items() <= told(log)[0][1].items()


async def test_what_is_exported_belongs_to_the_same_spans(ear: Ear) -> None:
    async with ear.telemetry.batch("settle"):
        ear.telemetry(Failed(HUB, a_refused(Reason.FORBIDDEN), [an_arrival()], 0.1))
        ear.telemetry(Delivered(HUB, [an_arrival()], 2))

    attempt, invocation = (span.get_span_context() for span in ear.spans)
    assert attempt is not None
    assert invocation is not None
    assert attempt.trace_id == invocation.trace_id
    assert ear.belonging == [
        ("relay.refused", attempt.trace_id, attempt.span_id),
        ("relay.delivered", invocation.trace_id, invocation.span_id),
    ]


def test_attempts_are_measured_by_the_names_of_the_messaging_conventions(ear: Ear) -> None:
    ear.telemetry(Sent(HUB, [an_arrival()] * 3, 0.1))
    ear.telemetry(
        Failed(HUB, DeliveryError(Reason.THROTTLED, "", accepted=2), [an_arrival()] * 5, 0.1)
    )

    well = tuple(sorted(SENDING.items()))
    badly = tuple(sorted((SENDING | {"error.type": "throttled"}).items()))
    assert ear.series("messaging.client.operation.duration") == {
        "messaging.client.operation.duration": {well: 1, badly: 1}
    }
    assert ear.series("messaging.client.sent.messages") == {
        "messaging.client.sent.messages": {well: 5, badly: 3}
    }


# How old events are


@pytest.mark.parametrize(
    ("time", "is_believed"),
    [
        ("2026-03-05T11:59:30Z", True),
        ("2026-03-05T11:59:30.1234567Z", True),
        ("2026-03-05T13:59:30+02:00", True),
        ("2026-03-05T12:04:00Z", True),
        ("2026-03-05T12:06:00Z", False),
        ("2026-03-05T11:59:30", False),
        ("0001-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59Z", False),
        ("yesterday", False),
        ("", False),
    ],
)
def test_the_age_of_an_event_is_measured_where_its_time_can_be_believed(
    ear: Ear, time: str, *, is_believed: bool
) -> None:
    ear.telemetry(Delivered(HUB, [an_arrival(an_event(time=time)), an_arrival()], 1))

    found = ear.series("relay.event.age").get("relay.event.age", {})
    assert found == ({of_route("hub"): 1} if is_believed else {})


@given(st.text())
def test_whatever_stands_for_a_time_its_age_is_none_or_no_less_than_zero(time: str) -> None:
    found = age(an_event(time=time), NOON)

    assert found is None or 0 <= found <= OLDEST.total_seconds()


# Blob, telemetry itself, invocations


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_a_refusal_by_blob_is_counted_and_told_like_any_other(
    ear: Ear, log: pytest.LogCaptureFixture, reason: Reason
) -> None:
    ear.telemetry(BlobFailed(a_refused(reason)))

    assert ear.series("relay.authorization.failures") == {
        "relay.authorization.failures": {
            (("error.type", reason.value), ("relay.refused_by", "dead_letters")): 1
        }
    }
    assert ["relay.refused"] == [name for name, _ in told(log)]


def test_blob_that_does_not_answer_is_no_refusal(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry(BlobFailed(DeliveryError(Reason.TIMEOUT, "no answer")))

    assert ear.series() == {"relay.dead_letters.errors": {(("error.type", "timeout"),): 1}}
    assert told(log) == [
        ("relay.dead_letters_failed", {"reason": "timeout", "detail": "no answer"})
    ]


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_a_refusal_by_an_ingress_is_counted_and_told_like_any_other(
    ear: Ear, log: pytest.LogCaptureFixture, reason: Reason
) -> None:
    ear.telemetry(Knocked("ingress hub twin-events", a_refused(reason)))

    assert ear.series() == {
        "relay.authorization.failures": {
            (
                ("error.type", reason.value),
                ("relay.place.name", "ingress hub twin-events"),
                ("relay.refused_by", "ingress"),
            ): 1
        }
    }
    ((name, values),) = told(log)
    assert name == "relay.refused"
    assert values["place"] == "ingress hub twin-events"
    assert values["remedy"] == "az role assignment create"


def test_an_ingress_that_does_not_answer_is_no_refusal(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry(Knocked("ingress hub", DeliveryError(Reason.TIMEOUT, "no answer")))
    ear.telemetry(Knocked("ingress hub"))

    assert ear.series() == {}
    values = {"place": "ingress hub", "reason": "timeout", "detail": "no answer"}
    assert told(log) == [("relay.ingress_failed", values)]


@pytest.mark.parametrize("state", State)
def test_an_ingress_is_measured_while_the_last_try_may_be_believed(
    ear: Ear, state: State
) -> None:
    known = PlaceHealth("ingress hub", state, NOON, tried=NOON)
    old = replace(known, place="ingress queue", tried=NOON - FRESH - timedelta(seconds=1))
    never = replace(known, place="ingress topic", tried=None)

    ear.telemetry.follow(tuple, lambda: [known, old, never])

    is_open = int(state in {State.HEALTHY, State.DEGRADED})
    series = {(("relay.place.name", "ingress hub"),): is_open}
    assert ear.series() == {"relay.place.healthy": series}


def test_a_change_of_an_ingress_is_told_and_exported_as_a_custom_event(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry.place_state(
        PlaceHealth("ingress hub", State.REFUSED, NOON, Reason.FORBIDDEN, "no role")
    )

    ((name, attributes),) = ear.exported
    assert name == attributes["microsoft.custom_event.name"] == "relay.place_state"
    assert told(log)[0][1]["state"] == "refused"
    assert [logging.WARNING] == [record.levelno for record in log.records]


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "unauthenticated"), (403, "forbidden"), (400, None)]
)
def test_a_caller_whom_the_relay_itself_refuses_is_counted_as_such(
    ear: Ear, log: pytest.LogCaptureFixture, status: int, reason: str | None
) -> None:
    ear.telemetry(RequestRefused(status, "it is not assigned", "routes/read", "user 17"))

    series = (("http.response.status_code", status), ("relay.action", "routes/read"))
    assert ear.series("relay.requests.refused") == {"relay.requests.refused": {series: 1}}
    refused = {(("error.type", reason), ("relay.refused_by", "relay")): 1}
    assert ear.series("relay.authorization.failures") == (
        {"relay.authorization.failures": refused} if reason else {}
    )
    assert told(log)[-1] == (
        "relay.request_refused",
        {
            "status": status,
            "action": "routes/read",
            "caller": "user 17",
            "detail": "it is not assigned",
        },
    )


def test_addresses_that_changed_are_measured_and_told(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry(ServiceTagsLooked("AzureDigitalTwins", ["10.0.0.0/8"], []))

    tag = ("relay.service_tag.name", "AzureDigitalTwins")
    assert ear.series() == {
        "relay.service_tag.drift": {
            (("relay.service_tag.change", "added"), tag): 1,
            (("relay.service_tag.change", "removed"), tag): 0,
        }
    }
    assert [logging.WARNING] == [record.levelno for record in log.records]
    assert told(log)[0][1]["added"] == "10.0.0.0/8"


def test_what_is_let_through_though_it_should_not_stay_is_told(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    ear.telemetry.setting_warning(Problem("SOME_SETTING", "it is odd", "Remove it"))

    assert told(log) == [
        (
            "relay.setting_warning",
            {"setting": "SOME_SETTING", "detail": "it is odd", "remedy": "Remove it"},
        )
    ]


def test_one_relay_of_several_names_itself_on_everything(
    log: pytest.LogCaptureFixture,
) -> None:
    with an_ear("north") as ear:
        ear.telemetry.follow(lambda: [RouteHealth("hub", State.HEALTHY, NOON)])
        for fact in every_fact():
            ear.telemetry(fact)
        series = [key for found in ear.series().values() for key in found]

    assert series
    assert all(("relay.name", "north") in key for key in series)
    assert all(values["relay"] == "north" for _, values in told(log))


async def test_an_invocation_is_measured_and_what_it_sends_belongs_to_it(ear: Ear) -> None:
    async with ear.telemetry.batch("settle"):
        ear.telemetry(Sent(HUB, [an_arrival()], 0.1))

    sent, batch = ear.spans
    assert batch.name == "settle"
    assert sent.parent is not None
    assert sent.parent.span_id == batch.context.span_id
    assert ear.series("relay.batch.duration") == {
        "relay.batch.duration": {
            (("messaging.operation.name", "settle"), ("relay.outcome", "settled")): 1
        }
    }


async def test_an_invocation_belongs_to_the_hosts_trace(ear: Ear) -> None:
    async with ear.telemetry.batch("settle", f"00-{TRACE}-b7ad6b7169203331-01"):
        pass

    (span,) = ear.spans
    assert format(span.context.trace_id, "032x") == TRACE
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == "b7ad6b7169203331"


@pytest.mark.parametrize("trace", ["", "nonsense"])
async def test_an_invocation_that_nobody_traces_begins_a_trace(ear: Ear, trace: str) -> None:
    async with ear.telemetry.batch("settle", trace):
        pass

    assert [None] == [span.parent for span in ear.spans]


async def test_a_trace_that_the_worker_made_current_goes_on(ear: Ear) -> None:
    tracer = ear.tracers.get_tracer("worker")

    with tracer.start_as_current_span("invocation") as invocation:
        async with ear.telemetry.batch("settle", f"00-{TRACE}-b7ad6b7169203331-01"):
            pass

    assert ear.spans[0].parent == invocation.get_span_context()


async def test_an_invocation_that_fails_is_told_as_such_and_still_fails(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnsettledError, match="Blob is away"):
        async with ear.telemetry.batch("settle"):
            raise UnsettledError("Blob is away")

    assert ear.series("relay.batch.duration") == {
        "relay.batch.duration": {
            (("messaging.operation.name", "settle"), ("relay.outcome", "failed")): 1
        }
    }
    ((name, values),) = told(log)
    assert (name, values["detail"]) == ("relay.unsettled", "Blob is away")


async def test_what_an_exporter_could_not_hand_over_is_told_at_the_end_of_an_invocation(
    ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    loss = Loss("azureMonitor", "metrics", a_refused(Reason.FORBIDDEN))

    async with ear.telemetry.batch("settle"):
        ear.losses.note(loss)
        ear.losses.note(loss)

    assert ["relay.telemetry_rejected", "relay.refused"] == [name for name, _ in told(log)]
    assert ear.series("relay.telemetry.rejected", "relay.authorization.failures") == {
        "relay.telemetry.rejected": {
            (
                ("error.type", "forbidden"),
                ("relay.exporter", "azureMonitor"),
                ("relay.signal", "metrics"),
            ): 2
        },
        "relay.authorization.failures": {
            (("error.type", "forbidden"), ("relay.refused_by", "telemetry")): 1
        },
    }


# What is in Blob


def test_the_backlog_is_measured_while_a_survey_is_fresh(ear: Ear) -> None:
    backlog = Backlog(waiting=7, held=2, oldest=NOON - timedelta(minutes=5))
    fresh = RouteHealth("hub", State.REFUSED, NOON, backlog=backlog, surveyed=NOON)
    old = replace(fresh, route="queue", surveyed=NOON - FRESH - timedelta(seconds=1))

    ear.telemetry.follow(lambda: [fresh, old])

    assert ear.series("relay.dead_letters", "relay.dead_letters.age") == {
        "relay.dead_letters": {
            (("relay.dead_letter.fate", "waiting"), ("relay.route.name", "hub")): 7,
            (("relay.dead_letter.fate", "held"), ("relay.route.name", "hub")): 2,
        },
        "relay.dead_letters.age": {of_route("hub"): 300},
    }


def test_a_state_that_others_know_better_is_not_measured(ear: Ear) -> None:
    long_ago = NOON - CURRENT - timedelta(seconds=1)
    ear.telemetry.follow(lambda: [RouteHealth("hub", State.REFUSED, long_ago, heard=long_ago)])

    assert ear.series() == {}


def test_every_state_of_a_route_is_a_series_of_which_one_is_true(ear: Ear) -> None:
    ear.telemetry.follow(lambda: [RouteHealth("hub", State.REFUSED, NOON)])

    found = ear.series("relay.route.state")["relay.route.state"]
    assert found == {
        (("relay.route.name", "hub"), ("relay.route.state", state.value)): (
            1 if state is State.REFUSED else 0
        )
        for state in State
    }


# Names


def test_a_change_of_state_is_exported_as_a_custom_event(ear: Ear) -> None:
    ear.telemetry.route_state(RouteHealth("hub", State.REFUSED, NOON, Reason.FORBIDDEN))

    ((name, attributes),) = ear.exported
    assert name == attributes["microsoft.custom_event.name"] == "relay.route_state"
    assert attributes["state"] == "refused"


STATUSES = [status for status in HTTPStatus if status.is_client_error or status.is_server_error]
ANY_TEXT = st.text(max_size=20)
ANY_EVENT = st.builds(an_event, id=ANY_TEXT, subject=ANY_TEXT, type=ANY_TEXT, time=ANY_TEXT)
ARRIVALS = st.lists(st.builds(an_arrival, ANY_EVENT), min_size=1, max_size=3)
ERRORS = st.builds(DeliveryError, st.sampled_from(Reason), ANY_TEXT)
LETTERS = st.builds(
    lambda arrivals, reason, detail: [
        DeadLetter(arrival, reason, detail, 1, NOON) for arrival in arrivals
    ],
    *(ARRIVALS, st.sampled_from(Reason), ANY_TEXT),
)
ASKED = ["", TWINS, *Action]
INGRESS = "ingress hub twin-events"
ROUTES = {"hub": HUB, "queue": a_route("queue")}
ROUTE = st.sampled_from(list(ROUTES.values()))
FACTS: dict[type[Fact], st.SearchStrategy[Fact]] = {
    Delivered: st.builds(Delivered, ROUTE, ARRIVALS, st.integers(1, 9)),
    Sent: st.builds(Sent, ROUTE, ARRIVALS, st.floats(0, 100)),
    Failed: st.builds(Failed, ROUTE, ERRORS, st.one_of(st.just([]), ARRIVALS)),
    DeadLettered: st.builds(DeadLettered, ROUTE, LETTERS),
    Redriven: st.builds(Redriven, ROUTE, st.integers(1, 9)),
    MalformedKept: st.builds(MalformedKept, LETTERS),
    Unreadable: st.builds(Unreadable, ROUTE, ANY_TEXT),
    Unrouted: st.builds(Unrouted, st.integers(1, 9)),
    RequestRefused: st.builds(
        RequestRefused,
        st.sampled_from(STATUSES),
        ANY_TEXT,
        st.sampled_from(ASKED),
        ANY_TEXT,
    ),
    ServiceTagsLooked: st.builds(
        ServiceTagsLooked, st.just("AzureDigitalTwins"), st.lists(ANY_TEXT), st.lists(ANY_TEXT)
    ),
    ServiceTagsRefused: st.builds(ServiceTagsRefused, ERRORS),
    BlobFailed: st.builds(BlobFailed, ERRORS),
    Surveyed: st.builds(Surveyed, ROUTE, st.builds(Backlog, st.integers(0, 9))),
    BlobLooked: st.builds(BlobLooked, st.one_of(st.none(), ERRORS)),
    Knocked: st.builds(Knocked, st.just(INGRESS), st.one_of(st.none(), ERRORS)),
}
LOSSES = st.builds(
    Loss,
    st.sampled_from([*Exporter]),
    st.sampled_from(["spans", "metrics", "logs"]),
    ERRORS,
)
VALUES: dict[str, set[Any]] = {
    "relay.route.name": {*ROUTES},
    "relay.route.state": {*State},
    "relay.place.name": {INGRESS, "dead letters"},
    "relay.dead_letter.fate": {*Fate},
    "messaging.destination.name": {*ROUTES},
    "relay.outcome": {*Outcome, *BatchOutcome},
    "relay.refused_by": {*RefusedBy},
    "relay.exporter": {*Exporter},
    "relay.signal": {"spans", "metrics", "logs"},
    "relay.service_tag.name": {"AzureDigitalTwins"},
    "relay.service_tag.change": {"added", "removed"},
    "http.response.status_code": {*STATUSES},
    "relay.action": {*ASKED},
    "error.type": {*Reason},
    "messaging.system": {"eventhubs"},
    "messaging.operation.name": {"send", "settle", "redrive"},
    "messaging.operation.type": {"send"},
    "server.address": {SERVER},
}
"""All that an attribute of a metric can be: what is configured, and closed lists."""


def test_every_fact_is_among_those_that_are_tried() -> None:
    assert FACTS.keys() == set(get_args(Fact.__value__))


@given(st.lists(st.one_of(*FACTS.values()), max_size=20), st.lists(LOSSES, max_size=5))
def test_however_events_differ_a_metric_has_no_more_series(
    facts: list[Fact], losses: list[Loss]
) -> None:
    with an_ear() as ear:
        health = followed(ear, list(ROUTES))
        for fact in facts:
            ear.telemetry(fact)
            health(fact)
        for loss in losses:
            ear.losses.note(loss)

        known = {metric.name: metric.attributes for metric in METRICS}
        for name, series in ear.series().items():
            for attributes in series:
                assert {key for key, _ in attributes} <= known[name]
                assert all(value in VALUES[key] for key, value in attributes)


def followed(ear: Ear, routes: list[str]) -> Health:
    """Return the health of routes, and of an ingress, that gauges show."""
    health = Health(routes, lambda: NOON, ear.telemetry.route_state, [INGRESS])
    ear.telemetry.follow(health.routes.values, health.places.values)
    return health


def series_of_everything(count: int) -> int:
    """Let all happen to so many routes that can, and return how many series that makes."""
    routes = [a_route(f"route-{number}") for number in range(count)]
    arrival = an_arrival(an_event(time=NOON.isoformat()))
    errors = [DeliveryError(reason, "") for reason in Reason]
    facts: list[Fact] = [
        *(RequestRefused(status, "", asked) for status in STATUSES for asked in ASKED),
        *(Knocked(INGRESS, error) for error in errors),
        Knocked(INGRESS),
        BlobLooked(),
        *(BlobFailed(error) for error in errors),
        MalformedKept([a_letter(Reason.MALFORMED)]),
        Unrouted(1),
        ServiceTagsLooked("AzureDigitalTwins", [], []),
        *(
            ServiceTagsRefused(DeliveryError(reason, ""))
            for reason in Reason
            if reason.is_refusal
        ),
    ]
    for route in routes:
        facts += [
            Delivered(route, [arrival], 1),
            Sent(route, [arrival], 0.1),
            *(Failed(route, error, [arrival], 0.1) for error in errors),
            DeadLettered(route, [a_letter(Reason.TIMEOUT)]),
            Redriven(route, 1),
            Surveyed(route, Backlog(1, 1, NOON)),
        ]
    with an_ear() as ear:
        health = followed(ear, [route.name for route in routes])
        for fact in facts:
            ear.telemetry(fact)
            health(fact)
        for error in errors:
            for signal in ("spans", "metrics", "logs"):
                ear.losses.note(Loss("azureMonitor", signal, error))
            asyncio.run(an_invocation(ear))
        asyncio.run(failed_invocations(ear))
        return sum(map(len, ear.series().values()))


def test_the_number_of_series_follows_from_the_number_of_routes_as_documented() -> None:
    one, two, five = (series_of_everything(count) for count in (1, 2, 5))
    each = two - one
    text = (Path(__file__).parents[3] / "docs" / "telemetry.md").read_text("utf-8")

    assert five == one + 4 * each
    assert f"{one - each} series, and {each} for each route" in " ".join(text.split())


def test_every_metric_that_is_named_is_made_and_no_other(ear: Ear) -> None:
    backlog = Backlog(1, 1, NOON)
    health = RouteHealth("hub", State.HEALTHY, NOON, backlog=backlog, surveyed=NOON)
    door = PlaceHealth("ingress hub", State.HEALTHY, NOON, tried=NOON)
    ear.telemetry.follow(lambda: [health], lambda: [door])
    for fact in [
        *every_fact(),
        Sent(HUB, [an_arrival(an_event(time=NOON.isoformat()))], 0.1),
        Delivered(HUB, [an_arrival(an_event(time=NOON.isoformat()))], 1),
        BlobFailed(DeliveryError(Reason.TIMEOUT, "")),
        RequestRefused(403, ""),
        ServiceTagsLooked("AzureDigitalTwins", [], []),
    ]:
        ear.telemetry(fact)
    ear.losses.note(Loss("otlp", "spans", DeliveryError(Reason.TIMEOUT, "")))
    asyncio.run(an_invocation(ear))

    assert {metric.name for metric in METRICS} == ear.series().keys()


async def an_invocation(ear: Ear) -> None:
    for operation in ("redrive", "settle"):
        async with ear.telemetry.batch(operation):
            pass


async def failed_invocations(ear: Ear) -> None:
    for operation in ("redrive", "settle"):
        with pytest.raises(ValueError, match="it fails"):
            async with ear.telemetry.batch(operation):
                raise ValueError("it fails")


# Whether anybody listens


def test_without_an_sdk_nobody_hears_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app may set a provider later than the relay was made; its own counts at once."""
    meters = Meters(None, {})

    assert not meters.are_heard
    assert not Meters(NoOpMeterProvider(), {}).are_heard
    assert Meters(MeterProvider(), {}).are_heard
    monkeypatch.setattr(metrics, "get_meter_provider", MeterProvider)
    assert meters.are_heard
