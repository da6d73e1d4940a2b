"""What the Event Hubs trigger hands over: a batch of one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.ingress.arrivals import Message, aware, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    import azure.functions as func


def from_event_hub(events: Sequence[func.EventHubEvent]) -> Iterator[Message]:
    """Take a batch of the Event Hubs trigger apart, a message at a time: none is kept.

    In a batch every event carries the metadata of all, position by position
    (Azure/azure-functions-python-library, `azure/functions/eventhub.py`).
    """
    if not events:
        return
    metadata: Mapping[str, Any] = events[0].metadata or {}
    nothing: list[dict[str, Any]] = [{}] * len(events)
    lane = _lane(metadata.get("PartitionContext") or {})
    rows = zip(
        events,
        metadata.get("PropertiesArray") or nothing,
        metadata.get("SystemPropertiesArray") or nothing,
        strict=True,
    )
    for event, properties, system in rows:
        yield Message(  # by position: names cost as much again
            lane,
            event.sequence_number or 0,
            aware(event.enqueued_time),
            event.get_body(),
            properties or {},
            _content_type(system or {}),
        )


def _lane(context: Mapping[str, Any]) -> str:
    return f"{context.get('EventHubName', 'hub')}/{context.get('PartitionId', '0')}"


def _content_type(system: Mapping[str, Any]) -> str | None:
    value = system.get("content-type") or system.get("ContentType")
    return None if value is None else shown(value)
