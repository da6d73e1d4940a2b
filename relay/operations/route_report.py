"""How the routes and other places fare, as the page and machines read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from relay.dead_letters import Backlog
    from relay.health import PlaceHealth, RouteHealth
    from relay.routing import Route


def report(
    routes: Iterable[Route],
    health: Mapping[str, RouteHealth],
    servers: Mapping[str, str],
    per_minute: Callable[[str], float],
    now: datetime,
    instance: str = "",
    places: Iterable[PlaceHealth] = (),
) -> dict[str, Any]:
    """Return every route with its state, why it is in it, what mends it, and what waits.

    Args:
        routes: in their declared order.
        health: of each by name.
        servers: the host name of each connection's namespace.
        per_minute: how many events a minute a route delivers.
        now: the time of day, in UTC.
        instance: of the app, whose view this is.
        places: whether each lets the relay in.
    """
    return {
        "asOf": now.isoformat(),
        "instance": instance,
        "places": [_place(place, now) for place in places],
        "routes": [
            _route(route, health[route.name], servers, per_minute(route.name), now)
            for route in routes
        ],
    }


def _route(
    route: Route, health: RouteHealth, servers: Mapping[str, str], rate: float, now: datetime
) -> dict[str, Any]:
    return {
        "name": route.name,
        "destination": {
            "kind": route.destination.kind.value,
            "name": route.destination.entity,
            "connection": route.destination.connection,
            "namespace": servers.get(route.destination.connection, ""),
        },
        "state": health.state.value,
        "reason": health.reason.value if health.reason else None,
        "since": health.since.isoformat(),
        "detail": health.detail,
        "remedy": health.remedy,
        "lastSuccess": _time(health.last_success),
        "isCurrent": health.is_current(now),
        "eventsPerMinute": round(rate, 2),
        "backlog": _backlog(health.backlog, health.surveyed),
    }


def _place(health: PlaceHealth, now: datetime) -> dict[str, Any]:
    return {
        "name": health.place,
        "state": health.state.value,
        "reason": health.reason.value if health.reason else None,
        "since": health.since.isoformat(),
        "detail": health.detail,
        "remedy": health.remedy,
        "lastTried": _time(health.tried),
        "isCurrent": health.is_current(now),
    }


def _backlog(backlog: Backlog | None, surveyed: datetime | None) -> dict[str, Any] | None:
    if backlog is None:
        return None
    return {
        "waiting": backlog.waiting,
        "held": backlog.held,
        "oldest": _time(backlog.oldest),
        "isWhole": backlog.is_whole,
        "asOf": _time(surveyed),
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
