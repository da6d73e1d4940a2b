"""What the Service Bus trigger hands over: messages of a queue or of a topic's subscription."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from relay.ingress.arrivals import Message, Order, aware, number_of
from relay.ingress.reading import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    import azure.functions as func

    from relay.ingress.arrivals import Arrival

_MARK: Final = "servicebus:"
"""Keeps the lanes of an entity apart from those of a hub of the same name."""
_LONGEST: Final = 200
"""Characters that a lane may have in a blob's name, of which Blob takes 1,024."""


@dataclass(frozen=True, slots=True)
class Entity:
    """The queue or subscription that messages come from.

    Attributes:
        name: of the queue, or `<topic>/<subscription>`.
        session: whether it demands sessions, each of which is a lane; else it has no order.
    """

    name: str
    session: bool = False


def from_service_bus(
    messages: Sequence[func.ServiceBusMessage], entity: Entity, source: str | None
) -> list[Arrival]:
    """Read messages of the Service Bus trigger, one or a batch.

    Args:
        messages: all of one entity.
        entity: the one they come from.
        source: the `source` of events in Event Grid's schema, which has none.

    Raises:
        ValueError: which of a batch's messages says its content type can't be told.
    """
    _check_content_types(messages)
    return [arrival for each in messages for arrival in read(_message(each, entity), source)]


def _check_content_types(messages: Sequence[func.ServiceBusMessage]) -> None:
    """Refuse a batch of which some messages have a content type and others have none.

    The host leaves out empty texts of an array, and the library reads by position: it would
    give a message the type of another (`ToRpcStringArray` in Azure/azure-functions-host,
    `_get_from_metadata_array` in Azure/azure-functions-python-library).
    """
    if len(messages) > 1:
        metadata = getattr(messages[0], "metadata", None) or {}
        said = len(metadata.get("ContentTypeArray") or ())
        if said not in {0, len(messages)}:
            raise ValueError(
                f"{said} of {len(messages)} messages say their content type, and the host does "
                "not tell which: set INGRESS_BATCHES to false, so that they come one by one"
            )


def _message(message: func.ServiceBusMessage, entity: Entity) -> Message:
    # The interface lacks what the library's own class has (`azure/functions/servicebus.py`).
    properties = getattr(message, "application_properties", None) or message.user_properties
    body = message.get_body()
    number = getattr(message, "sequence_number", None)
    return Message(
        lane=_lane(entity, message.session_id or ""),
        sequence=number_of([body, repr(properties).encode()]) if number is None else number,
        enqueued=aware(getattr(message, "enqueued_time_utc", None)),
        body=body,
        properties=properties or {},
        content_type=message.content_type,
        order=Order.RISING if entity.session else Order.NONE,
    )


def _lane(entity: Entity, session: str) -> str:
    """Return the session's lane; without sessions all share one, in which nothing waits."""
    lane = f"{_MARK}{entity.name}/{session}" if entity.session else f"{_MARK}{entity.name}"
    if len(quote(lane, safe="")) <= _LONGEST:
        return lane
    return f"{_MARK}sha256-{hashlib.sha256(lane.encode()).hexdigest()}"
