"""The page behind a small server that answers as the relay does, in a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web

from lab.serving import HttpServer
from relay.dead_letters import Backlog
from relay.failures import Reason
from relay.health import PlaceHealth, RouteHealth, State
from relay.operations.page import page
from relay.operations.route_report import report
from tests.fakes import NOON, a_route

CAUSE = (
    "analytics/alarms refused the relay's system-assigned identity (client id "
    "79098c44-2f6e-4f2b-9a52-6a7f0d3c1b7e, object id da02a1f6-8f0a-4c5e-b1d4-0b8a8d1c9e55): it "
    "lacks the role Azure Service Bus Data Sender (69a216fc-b8fb-44d8-bc22-1f3c2cd27a39), or "
    "was given it only minutes ago."
)
REMEDY = (
    "az role assignment create --assignee-object-id da02a1f6-8f0a-4c5e-b1d4-0b8a8d1c9e55 "
    "--assignee-principal-type ServicePrincipal --role 69a216fc-b8fb-44d8-bc22-1f3c2cd27a39 "
    '--scope "/subscriptions/…/queues/alarms"'
)
NASTY = "<img src=x onerror=\"document.title='owned'\">"
NOTHING = Backlog()
INGRESS = "ingress hub twin-events"


def a_health(name: str, state: State, **changes: Any) -> RouteHealth:
    """Return how a route fares, an hour into its state."""
    known = {"backlog": NOTHING, "last_success": NOON, "heard": NOON, **changes}
    return RouteHealth(name, state, NOON - timedelta(hours=1), surveyed=NOON, **known)


def five_routes() -> list[RouteHealth]:
    """Return a route in each state."""
    return [
        a_health("twin-changes", State.HEALTHY),
        a_health(
            "alarms",
            State.REFUSED,
            reason=Reason.FORBIDDEN,
            detail=CAUSE,
            remedy=REMEDY,
            last_success=NOON - timedelta(hours=2),
            backlog=Backlog(1417, 0, NOON - timedelta(minutes=61)),
        ),
        a_health(
            "history",
            State.DEGRADED,
            reason=Reason.THROTTLED,
            detail="analytics/history is busy: please wait 4 seconds and try again",
            backlog=Backlog(82, 3, NOON - timedelta(minutes=4)),
        ),
        a_health(
            "lifecycle",
            State.MISCONFIGURED,
            reason=Reason.NOT_FOUND,
            detail="analytics/lifecycle: the messaging entity could not be found",
            last_success=None,
            backlog=Backlog(20000, 0, NOON - timedelta(days=3), is_whole=False),
        ),
        a_health(
            "archive", State.UNREACHABLE, reason=Reason.TIMEOUT, detail=NASTY, backlog=None
        ),
    ]


def a_refused_ingress() -> PlaceHealth:
    """Return the landing hub that does not let the relay in any more."""
    since = NOON - timedelta(minutes=7)
    words = CAUSE.replace("analytics/alarms", "ingress/twin-events"), REMEDY
    return PlaceHealth(INGRESS, State.REFUSED, since, Reason.FORBIDDEN, *words, tried=NOON)


def all_redriven() -> dict[str, Any]:
    """Return what the relay says when everything went."""
    return {"delivered": 1417, "held": 0, "left": [], "isWhole": True}


@dataclass
class Stage:
    """What the server answers, and what it was asked.

    Attributes:
        health: of every route.
        places: likewise.
        token: what it takes; anybody may if it is empty.
        redriven: routes that were to be redriven.
        outcome: what it says became of that.
        asked: how often it was asked for the routes.
    """

    health: list[RouteHealth] = field(default_factory=five_routes)
    places: list[PlaceHealth] = field(default_factory=list)
    token: str = ""
    redriven: list[str] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=all_redriven)
    asked: int = 0

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_get("/api/routes", self._routes)
        app.router.add_post("/api/routes/{name}/redrive", self._redrive)
        self.server = HttpServer("the page", app)

    @property
    def url(self) -> str:
        """Return where the page is."""
        return f"{self.server.url}/api/routes"

    async def _routes(self, request: web.Request) -> web.Response:
        if "text/html" in request.headers.get("Accept", ""):
            body, headers = page()
            return web.Response(body=body, headers=dict(headers))
        self.asked += 1
        return self._refused(request) or web.json_response(self.told())

    def told(self) -> dict[str, Any]:
        """Return what the relay would."""
        routes = [a_route(health.route) for health in self.health]
        by_name = {health.route: health for health in self.health}
        namespace = {"ANALYTICS": "analytics.servicebus.windows.net"}
        rates = {"twin-changes": 128.4, "history": 12.0}
        return report(
            routes,
            by_name,
            namespace,
            lambda name: rates.get(name, 0.0),
            NOON,
            "i-7f3a",
            self.places,
        )

    async def _redrive(self, request: web.Request) -> web.Response:
        refused = self._refused(request)
        if refused is None:
            self.redriven.append(request.match_info["name"])
        return refused or web.json_response(self.outcome)

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization", "") in {"", f"Bearer {self.token}"}:
            if not self.token or "Authorization" in request.headers:
                return None
            status, detail = 401, "No token was given."
        else:
            status, detail = 403, "The caller may not do routes/read: ask plant-it@example.com."
        text = json.dumps({"title": "Refused", "status": status, "detail": detail})
        return web.Response(status=status, text=text, content_type="application/problem+json")


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    """Serve the page."""
    stage = Stage()
    await stage.server.start()
    yield stage
    await stage.server.stop()
