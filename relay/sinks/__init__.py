"""One file a kind of destination; the SDKs' errors are translated here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.routing import Kind
from relay.settings import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.identity import Identity
    from relay.routing import Route
    from relay.sending import Sink
    from relay.settings import Connection, Settings

# Either SDK takes a while to import, and most apps need only one of them.


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
        from relay.sinks import event_hub
        from relay.sinks.producer import Producer

        make = event_hub.EventHubSink
        if not (shortcuts and event_hub.is_known()):
            return make(route, connection, identity, ca_file)
        return make(route, connection, identity, ca_file, event_hub.fill_directly, Producer)
    from relay.sinks import service_bus

    into_bus = service_bus.fill_directly if shortcuts and service_bus.is_known() else None
    return service_bus.ServiceBusSink(
        route.destination, connection, identity, ca_file, into_bus
    )


def warnings(settings: Settings) -> Iterator[Problem]:
    """Say which of the SDKs in use is none whose batches are known, so that it costs more."""
    if not settings.shortcuts:
        return
    kinds = {route.destination.kind for route in settings.routes}
    if Kind.EVENT_HUB in kinds:
        from relay.sinks import event_hub

        if not event_hub.is_known():
            yield _unknown("azure-eventhub", event_hub.VERSION)
    if kinds - {Kind.EVENT_HUB}:
        from relay.sinks import service_bus

        if not service_bus.is_known():
            yield _unknown("azure-servicebus", service_bus.VERSION)


def _unknown(package: str, version: str) -> Problem:
    return Problem(
        "RELAY_SHORTCUTS",
        f"the relay does not know how {package} {version} fills its batches and lets it do so "
        "itself, for several times the processor time",
        f"Use the version of {package} that the relay was tested with, or set it to false",
    )
