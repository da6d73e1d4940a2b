"""How the routes fare, as machines read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from relay.health import RouteHealth
    from relay.routing import Route


def report(
    routes: Iterable[Route], health: Mapping[str, RouteHealth], now: datetime
) -> dict[str, Any]:
    """Return every route with its state, and why it is in it."""
    return {
        "asOf": now.isoformat(),
        "routes": [_route(route, health[route.name]) for route in routes],
    }


def _route(route: Route, health: RouteHealth) -> dict[str, Any]:
    last = health.last_success
    return {
        "name": route.name,
        "destination": {
            "kind": route.destination.kind.value,
            "name": route.destination.entity,
            "connection": route.destination.connection,
        },
        "state": health.state.value,
        "reason": health.reason.value if health.reason else None,
        "since": health.since.isoformat(),
        "detail": health.detail,
        "lastSuccess": last.isoformat() if last else None,
    }
