"""What the Event Hubs trigger hands over: a batch of one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.ingress.arrivals import Arrival, Message, aware, shown
from relay.ingress.reading import read_closely, read_usual

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import azure.functions as func


def from_event_hub(events: Sequence[func.EventHubEvent], source: str | None) -> list[Arrival]:
    """Read a batch of the Event Hubs trigger.

    In a batch every event carries the metadata of all, position by position
    (Azure/azure-functions-python-library, `azure/functions/eventhub.py`).

    Args:
        events: all of one partition.
        source: the `source` of events in Event Grid's schema, which has none.
    """
    if not events:
        return []
    metadata: Mapping[str, Any] = events[0].metadata or {}
    nothing: list[dict[str, Any]] = [{}] * len(events)
    lane = _lane(metadata.get("PartitionContext") or {})
    rows = zip(
        events,
        metadata.get("PropertiesArray") or nothing,
        metadata.get("SystemPropertiesArray") or nothing,
        strict=True,
    )
    arrivals: list[Arrival] = []
    for event, sent, system in rows:
        number, enqueued = event.sequence_number or 0, aware(event.enqueued_time)
        body, properties, content_type = event.get_body(), sent or {}, _content_type(system)
        usual = read_usual(properties, content_type, body)
        if usual is not None:
            arrivals.append(Arrival(lane, number, 0, enqueued, usual))
        else:
            message = Message(lane, number, enqueued, body, properties, content_type)
            arrivals += read_closely(message, source)
    return arrivals


def _lane(context: Mapping[str, Any]) -> str:
    return f"{context.get('EventHubName', 'hub')}/{context.get('PartitionId', '0')}"


def _content_type(system: Mapping[str, Any] | None) -> str | None:
    if not system:
        return None
    value = system.get("content-type") or system.get("ContentType")
    return value if value is None or type(value) is str else shown(value)
