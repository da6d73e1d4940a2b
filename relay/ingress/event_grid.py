"""What the Event Grid trigger hands over: one event as text, in either schema.

The trigger's parameter is `str`: as an object, an event whose time has an offset would fail
before the relay sees it (Azure/azure-functions-python-library, `azure/functions/eventgrid.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.ingress.arrivals import Message, Order, number_of
from relay.ingress.reading import read

if TYPE_CHECKING:
    from datetime import datetime

    from relay.ingress.arrivals import Arrival

LANE: Final = "eventgrid:"


def from_event_grid(event: str, received: datetime, source: str | None) -> list[Arrival]:
    """Read an event; Event Grid keeps no order, and gives no number.

    Args:
        event: as text.
        received: when it came.
        source: the `source` of events in Event Grid's schema, which has none.
    """
    # A lone surrogate, which JSON may escape to, can't be written as UTF-8.
    body = event.encode(errors="surrogatepass")
    message = Message(LANE, number_of([body]), received, body, {}, order=Order.NONE)
    return read(message, source)
