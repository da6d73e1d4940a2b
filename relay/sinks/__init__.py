"""One file a kind of destination; the SDKs' errors are translated here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.routing import Kind
from relay.sinks.event_hub import EventHubSink
from relay.sinks.service_bus import ServiceBusSink

if TYPE_CHECKING:
    from relay.identity import Identity
    from relay.routing import Route
    from relay.sending import Sink
    from relay.settings import Connection


def build(
    route: Route, connection: Connection, identity: Identity, ca_file: str | None
) -> Sink:
    """Make the sink of a route; nothing is opened yet."""
    if route.destination.kind is Kind.EVENT_HUB:
        return EventHubSink(route, connection, identity, ca_file)
    return ServiceBusSink(route.destination, connection, identity, ca_file)
