"""How each route fares, and why; told by what happens to its events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from relay.dead_letters import Fate
from relay.failures import Fault
from relay.observer import DeadLettered, Delivered, Fact, Failed, Redriven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from relay.failures import Reason


class State(StrEnum):
    """The states of a route."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class RouteHealth:
    """How a route fares.

    Attributes:
        since: when it came into this state.
        reason: why it is not healthy, `None` if it is.
        detail: the same in the destination's words.
        last_success: when its destination last accepted an event, `None` if never.
    """

    route: str
    state: State
    since: datetime
    reason: Reason | None = None
    detail: str = ""
    last_success: datetime | None = None


class Health:
    """Follows every route; an `Observer`.

    Args:
        routes: their names; each starts healthy, since nothing is held against it.
        now: the time of day, in UTC.
        changed: hears of each change of state.
    """

    def __init__(
        self,
        routes: Iterable[str],
        now: Callable[[], datetime],
        changed: Callable[[RouteHealth], None],
    ) -> None:
        self._now = now
        self._changed = changed
        self._routes = {name: RouteHealth(name, State.HEALTHY, now()) for name in routes}

    @property
    def routes(self) -> Mapping[str, RouteHealth]:
        """Every route by name."""
        return self._routes

    def __call__(self, fact: Fact) -> None:
        """Hear a fact."""
        match fact:
            case Delivered(route, _, attempts):
                self._enter(State.HEALTHY if attempts == 1 else State.DEGRADED, route.name)
                self._succeed(route.name)
            case Redriven(route):
                self._enter(State.HEALTHY, route.name)
                self._succeed(route.name)
            case Failed(route, error) if not error.reason.traits.isolates_event:
                if (
                    self._routes[route.name].state is State.HEALTHY
                    and error.reason.traits.retried
                ):
                    self._enter(State.DEGRADED, route.name, error.reason, error.detail)
            case DeadLettered(route, letters):
                tried = [x for x in letters if x.attempts and x.fate is Fate.WAITING]
                if tried:
                    last = tried[-1]
                    self._enter(state_for(last.reason), route.name, last.reason, last.detail)
            case _:
                pass

    def _enter(
        self, state: State, route: str, reason: Reason | None = None, detail: str = ""
    ) -> None:
        before = self._routes[route]
        if before.state is state and before.reason is reason:
            return
        after = replace(before, state=state, since=self._now(), reason=reason, detail=detail)
        self._routes[route] = after
        self._changed(after)

    def _succeed(self, route: str) -> None:
        self._routes[route] = replace(self._routes[route], last_success=self._now())


def state_for(reason: Reason) -> State:
    """Return the state of a route whose destination fails for this reason."""
    if reason.is_refusal:
        return State.REFUSED
    if reason.traits.fault is Fault.ROUTE:
        return State.MISCONFIGURED
    return State.UNREACHABLE
