"""Every name of the relay's telemetry: a rename is this file.

They follow the semantic conventions for messaging where those have one, still in development
(opentelemetry.io/docs/specs/semconv/messaging); what is ours begins with `relay.`. No metric
carries an id, a subject or a twin: what its attributes may hold comes from the settings and
from closed enums.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SCOPE: Final = "relay"

# Attributes of metrics and spans

RELAY: Final = "relay.name"
"""Which relay, on everything, where a process holds several."""
ROUTE: Final = "relay.route.name"
OUTCOME: Final = "relay.outcome"
STATE: Final = "relay.route.state"
PLACE: Final = "relay.place.name"
FATE: Final = "relay.dead_letter.fate"
REFUSED_BY: Final = "relay.refused_by"
EXPORTER: Final = "relay.exporter"
SIGNAL: Final = "relay.signal"
TAG: Final = "relay.service_tag.name"
CHANGE: Final = "relay.service_tag.change"
ACTION: Final = "relay.action"
STATUS: Final = "http.response.status_code"
ERROR_TYPE: Final = "error.type"
SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
MESSAGE_COUNT: Final = "messaging.batch.message_count"
SERVER: Final = "server.address"

RELAY_DESTINATION: Final = "relay.destination.name"
RELAY_ERROR_TYPE: Final = "relay.error.type"
"""On spans only: Azure Monitor's exporter drops the standard names from them."""

CUSTOM_EVENT: Final = "microsoft.custom_event.name"
"""On a log record, it makes a custom event of Application Insights."""

LINK: Final = {
    "id": "cloudevents.event_id",
    "source": "cloudevents.event_source",
    "type": "cloudevents.event_type",
    "subject": "cloudevents.event_subject",
    "specversion": "cloudevents.event_spec_version",
}
"""On a span's links, by the event's attribute."""


class RefusedBy(StrEnum):
    """Who did not let somebody in."""

    DESTINATION = "destination"
    DEAD_LETTERS = "dead_letters"
    INGRESS = "ingress"
    TELEMETRY = "telemetry"
    RESOURCE_MANAGER = "resource_manager"
    """Asked for service tags."""
    RELAY = "relay"
    """The relay itself refused a caller of its HTTP surface."""


class Outcome(StrEnum):
    """How an event was settled."""

    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    REDRIVEN = "redriven"
    UNROUTED = "unrouted"
    MALFORMED = "malformed"


class BatchOutcome(StrEnum):
    """How an invocation ended."""

    SETTLED = "settled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name, unit and meaning, and the attributes it may have."""

    name: str
    unit: str
    meaning: str
    attributes: frozenset[str]


_SEND: Final = frozenset(
    {SYSTEM, OPERATION_NAME, OPERATION_TYPE, DESTINATION, SERVER, ROUTE, ERROR_TYPE}
)

EVENTS: Final = Metric(
    "relay.events", "{event}", "Events by how they were settled", frozenset({ROUTE, OUTCOME})
)
EVENT_AGE: Final = Metric(
    "relay.event.age",
    "s",
    "From an event's own time to its delivery; events without a believable time are left out",
    frozenset({ROUTE}),
)
REFUSALS: Final = Metric(
    "relay.authorization.failures",
    "{failure}",
    "Refusals of every kind, by cause and by whom",
    frozenset({REFUSED_BY, ERROR_TYPE, ROUTE, DESTINATION, PLACE}),
)
DURATION: Final = Metric(
    "messaging.client.operation.duration", "s", "One attempt to send one batch", _SEND
)
SENT: Final = Metric(
    "messaging.client.sent.messages",
    "{message}",
    "Messages by whether their destination took them",
    _SEND,
)
BATCH: Final = Metric(
    "relay.batch.duration",
    "s",
    "Invocations by how they ended: one that failed is delivered again by the host",
    frozenset({OPERATION_NAME, OUTCOME}),
)
REQUESTS: Final = Metric(
    "relay.requests.refused",
    "{request}",
    "Requests that were not taken, by status and by what was asked for",
    frozenset({STATUS, ACTION}),
)
DRIFT: Final = Metric(
    "relay.service_tag.drift",
    "{range}",
    "Ranges of addresses that changed since the rules were made",
    frozenset({TAG, CHANGE}),
)
HEALTHY: Final = Metric(
    "relay.route.healthy", "", "1 while the route delivers, else 0", frozenset({ROUTE})
)
STATES: Final = Metric(
    "relay.route.state",
    "",
    "1 for the state that a route is in, 0 for each other",
    frozenset({ROUTE, STATE}),
)
PLACES: Final = Metric(
    "relay.place.healthy",
    "",
    "1 while an ingress, or Blob, lets the relay in, else 0",
    frozenset({PLACE}),
)
BACKLOG: Final = Metric(
    "relay.dead_letters",
    "{event}",
    "Dead letters in Blob: those that wait for their destination, and those held for a person",
    frozenset({ROUTE, FATE}),
)
BACKLOG_AGE: Final = Metric(
    "relay.dead_letters.age",
    "s",
    "How long the oldest event waits that is to be redriven",
    frozenset({ROUTE}),
)
BLOB_ERRORS: Final = Metric(
    "relay.dead_letters.errors",
    "{failure}",
    "Calls that Blob storage did not answer as it should",
    frozenset({ERROR_TYPE}),
)
REJECTED: Final = Metric(
    "relay.telemetry.rejected",
    "{batch}",
    "Batches of telemetry that an exporter could not hand over",
    frozenset({EXPORTER, SIGNAL, ERROR_TYPE}),
)

METRICS: Final = (
    EVENTS,
    EVENT_AGE,
    REFUSALS,
    DURATION,
    SENT,
    BATCH,
    REQUESTS,
    DRIFT,
    HEALTHY,
    STATES,
    PLACES,
    BACKLOG,
    BACKLOG_AGE,
    BLOB_ERRORS,
    REJECTED,
)


class Log(StrEnum):
    """The fixed names of log records."""

    DELIVERED = "relay.delivered"
    ATTEMPT_FAILED = "relay.attempt_failed"
    REFUSED = "relay.refused"
    DEAD_LETTERED = "relay.dead_lettered"
    REDRIVEN = "relay.redriven"
    MALFORMED = "relay.malformed"
    UNREADABLE = "relay.unreadable_dead_letter"
    BLOB_FAILED = "relay.dead_letters_failed"
    ROUTE_STATE = "relay.route_state"
    PLACE_STATE = "relay.place_state"
    INGRESS_FAILED = "relay.ingress_failed"
    FILTER_FINDING = "relay.filter_finding"
    SETTING_WARNING = "relay.setting_warning"
    REQUEST_REFUSED = "relay.request_refused"
    SERVICE_TAGS = "relay.service_tags"
    UNSETTLED = "relay.unsettled"
    TELEMETRY_REJECTED = "relay.telemetry_rejected"
