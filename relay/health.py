"""How each route fares, and why; told by what happens to its events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from relay.dead_letters import Fate
from relay.failures import Fault, Reason
from relay.observer import DeadLettered, Delivered, Fact, Failed, Redriven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from relay.dead_letters import DeadLetter
    from relay.failures import DeliveryError


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
        changed: hears of each route's state at the beginning, and of each change.
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
        self._last_failure = dict.fromkeys(self._routes, (Reason.UNKNOWN, ""))
        for route in self._routes.values():
            changed(route)

    @property
    def routes(self) -> Mapping[str, RouteHealth]:
        """Every route by name."""
        return self._routes

    def __call__(self, fact: Fact) -> None:
        """Hear a fact."""
        match fact:
            case Delivered(route, _, 1) | Redriven(route, _, 0):
                self._enter(State.HEALTHY, route.name)
                self._succeed(route.name)
            case Delivered(route):
                self._enter(State.DEGRADED, route.name, *self._last_failure[route.name])
                self._succeed(route.name)
            case Redriven(route):
                self._succeed(route.name)
            case Failed(route, error) if not error.reason.traits.isolates_event:
                self._fail(route.name, error)
            case DeadLettered(route, letters, error):
                waiting = [letter for letter in letters if letter.fate is Fate.WAITING]
                self._dead_lettered(route.name, waiting, error)
            case _:
                pass

    def _fail(self, route: str, error: DeliveryError) -> None:
        self._last_failure[route] = error.reason, error.detail
        if not error.reason.traits.retried:
            self._enter(state_for(error.reason), route, error.reason, error.detail)
        elif self._routes[route].state is State.HEALTHY:
            self._enter(State.DEGRADED, route, error.reason, error.detail)

    def _dead_lettered(
        self, route: str, waiting: Sequence[DeadLetter], error: DeliveryError | None
    ) -> None:
        """Letters that only went behind others say nothing against a route that is healthy."""
        tried = [letter for letter in waiting if letter.attempts]
        if error is not None or self._routes[route].state is not State.HEALTHY:
            tried = tried or list(waiting)
        if tried:
            last = tried[-1]
            self._enter(state_for(last.reason), route, last.reason, last.detail)

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
