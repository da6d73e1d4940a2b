"""Where events come in: from what each trigger hands over to events in order of arrival."""

from __future__ import annotations

from relay.ingress.arrivals import Arrival, Malformed, Message, Order
from relay.ingress.caller import from_caller
from relay.ingress.event_grid import from_event_grid
from relay.ingress.event_hub import from_event_hub
from relay.ingress.http import from_http
from relay.ingress.reading import read
from relay.ingress.service_bus import Entity, from_service_bus

__all__ = [
    "Arrival",
    "Entity",
    "Malformed",
    "Message",
    "Order",
    "from_caller",
    "from_event_grid",
    "from_event_hub",
    "from_http",
    "from_service_bus",
    "read",
]
