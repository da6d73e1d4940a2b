"""Events as they are published, as they are delivered, and as they are dead-lettered.

Sources: MicrosoftDocs/azure-docs articles/event-grid: event-schema.md, cloud-event-schema.md
(also how one becomes the other), delivery-and-retry.md (dead letters); includes/
event-grid-message-headers.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.event_grid.model import Schema, Topic

LARGEST: Final = 1024 * 1024
"""The largest request, and so the largest event, in bytes."""

_CLOUD: Final = "application/cloudevents+json"
_CLOUD_BATCH: Final = "application/cloudevents-batch+json"
_UTF8: Final = "; charset=utf-8"
_REQUIRED: Final[Mapping[Schema, tuple[str, ...]]] = {
    "CloudEventSchemaV1_0": ("id", "source", "type", "specversion"),
    "EventGridSchema": ("id", "subject", "eventType", "eventTime", "dataVersion"),
}


class PublishRefused(Exception):  # noqa: N818 - an answer to the publisher, not a defect
    """What was published is of no use.

    Attributes:
        status: the HTTP status that says so.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its members, and its text as it was published.

    Attributes:
        members: the JSON object.
        text: the same in JSON.
    """

    members: Mapping[str, Any]
    text: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What a delivery consists of."""

    headers: Mapping[str, str]
    body: bytes


def published(topic: Topic, content_type: str, body: bytes) -> Sequence[Event]:
    """Read what was published.

    A single CloudEvent keeps its very text; what comes in an array is written anew.

    Raises:
        PublishRefused: it is not in the topic's schema.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PublishRefused(400, f"The request's body is no JSON: {error}") from error
    kind = content_type.partition(";")[0].strip().lower()
    if topic.schema == "CloudEventSchemaV1_0":
        if kind == _CLOUD and isinstance(content, dict):
            return [Event(_checked(topic, content), body)]
        if kind == _CLOUD_BATCH and isinstance(content, list):
            return [_event(_checked(topic, each)) for each in content]
        raise PublishRefused(
            400, f"The topic takes one object as {_CLOUD} or an array as {_CLOUD_BATCH}."
        )
    if not isinstance(content, list):
        raise PublishRefused(400, "The topic takes an array of events in Event Grid's schema.")
    return [_event(_stamped(topic, _checked(topic, each))) for each in content]


def _checked(topic: Topic, event: Any) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise PublishRefused(400, "An event is a JSON object.")
    lacking = [name for name in _REQUIRED[topic.schema] if not isinstance(event.get(name), str)]
    if lacking:
        raise PublishRefused(400, f"The event lacks {', '.join(lacking)}.")
    if event.get("specversion", "1.0") != "1.0":
        raise PublishRefused(400, "The event's specversion is not 1.0.")
    if event.get("topic", topic.resource_id) not in {"", topic.resource_id}:
        raise PublishRefused(400, "The event's topic is not this topic.")
    return event


def _stamped(topic: Topic, event: dict[str, Any]) -> dict[str, Any]:
    return event | {"topic": topic.resource_id, "metadataVersion": "1"}


def _event(members: Mapping[str, Any]) -> Event:
    return Event(members, _json(members))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def delivered(event: Event, schema: Schema) -> Event:
    """Return an event in the schema of a subscription."""
    known = event.members
    if schema == "EventGridSchema" or "specversion" in known:
        return event
    cloud = {
        "id": known["id"],
        "source": known["topic"],
        "subject": known["subject"],
        "type": known["eventType"],
        "time": known["eventTime"],
        "specversion": "1.0",
        "dataschema": f"#{known['dataVersion']}",
        "data": known.get("data"),
    }
    return _event(cloud)


def request(
    events: Sequence[Event], schema: Schema, *, batched: bool, attempts: int, subscription: str
) -> Request:
    """Return one delivery of events that are in the schema already.

    Args:
        events: at least one.
        schema: theirs.
        batched: whether the subscription delivers batches, however many are in this one.
        attempts: how often this was tried before.
        subscription: its name.
    """
    first = events[0].members
    cloud = schema == "CloudEventSchemaV1_0"
    headers = {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": subscription.upper(),
        "aeg-delivery-count": str(attempts),
        "aeg-data-version": "" if cloud else first["dataVersion"],
        "aeg-metadata-version": first["specversion" if cloud else "metadataVersion"],
        "aeg-output-event-id": first["id"],
    }
    if cloud and not batched:
        return Request(headers | {"Content-Type": _CLOUD + _UTF8}, events[0].text)
    kind = _CLOUD_BATCH if cloud else "application/json"
    body = b"[" + b",".join(event.text for event in events) + b"]"
    return Request(headers | {"Content-Type": kind + _UTF8}, body)


def dead_letter(event: Event, about: Mapping[str, object]) -> Mapping[str, Any]:
    """Return an event with why it was given up; a CloudEvent's extensions are lower-case."""
    if "specversion" in event.members:
        about = {name.lower(): value for name, value in about.items()}
    return {**event.members, **about}
