"""One file a kind of destination; the SDKs' errors are translated here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.eventhub
import azure.servicebus

from relay.routing import Kind
from relay.settings import Problem
from relay.sinks import event_hub, service_bus
from relay.sinks.event_hub import EventHubSink
from relay.sinks.service_bus import ServiceBusSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.identity import Identity
    from relay.routing import Route
    from relay.sending import Sink
    from relay.settings import Connection, Settings


def build(
    route: Route,
    connection: Connection,
    identity: Identity,
    ca_file: str | None,
    *,
    shortcuts: bool = True,
) -> Sink:
    """Make the sink of a route; nothing is opened yet.

    Args:
        route: whose destination it is.
        connection: the destination's namespace.
        identity: who sends.
        ca_file: a CA to trust instead of the public ones.
        shortcuts: whether batches are filled past the SDKs, where these are known.
    """
    if route.destination.kind is Kind.EVENT_HUB:
        into_hub = event_hub.fill_directly if shortcuts and event_hub.is_known() else None
        return EventHubSink(route, connection, identity, ca_file, into_hub)
    into_bus = service_bus.fill_directly if shortcuts and service_bus.is_known() else None
    return ServiceBusSink(route.destination, connection, identity, ca_file, into_bus)


def warnings(settings: Settings) -> Iterator[Problem]:
    """Say which of the SDKs in use is none whose batches are known, so that it costs more."""
    if not settings.shortcuts:
        return
    kinds = {route.destination.kind for route in settings.routes}
    if Kind.EVENT_HUB in kinds and not event_hub.is_known():
        yield _unknown("azure-eventhub", azure.eventhub.__version__)
    if kinds - {Kind.EVENT_HUB} and not service_bus.is_known():
        yield _unknown("azure-servicebus", azure.servicebus.__version__)


def _unknown(package: str, version: str) -> Problem:
    return Problem(
        "RELAY_SHORTCUTS",
        f"the relay does not know how {package} {version} fills its batches and lets it do so "
        "itself, for several times the processor time",
        f"Use the version of {package} that the relay was tested with, or set it to false",
    )
