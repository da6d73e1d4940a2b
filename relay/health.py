"""How routes and other places fare, and why; told by what happens to events and is in Blob.

| state         | meaning                                                              |
|---------------|----------------------------------------------------------------------|
| healthy       | it delivers, or nothing is known against it                          |
| degraded      | it delivers, but with retries, or while earlier events wait in Blob  |
| refused       | its destination does not let the relay in: identity or network       |
| misconfigured | its destination does not exist, is disabled, or is of another kind   |
| unreachable   | its destination does not answer, or takes no more for now            |

What a process has not seen itself, Blob tells it: events that wait there count against a route
in a process that has just begun, and where none wait, an old failure counts no more. A state
that nothing has confirmed for a while, in a process that gets none of the route's events any
more, is not *current*: others know better.

Places that are no destination have a state too, told by trying them: each ingress, since it
refuses the Functions host, which tells the relay nothing; and the dead letters in Blob, which
may not be needed for days. One is *degraded* after one failure that may pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from relay.dead_letters import Fate
from relay.failures import Fault, Reason, explained
from relay.observer import (
    BlobLooked,
    DeadLettered,
    Delivered,
    Fact,
    Failed,
    Knocked,
    Redriven,
    Sent,
    Surveyed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from relay.dead_letters import Backlog, DeadLetter
    from relay.failures import DeliveryError

SETTLING: Final = timedelta(minutes=1)
"""After a failure, until its events are in Blob for sure and a survey sees them."""
FRESH: Final = timedelta(minutes=3)
"""How long a survey is believed; the timer makes one every minute, on one instance."""
DEAD_LETTERS: Final = "dead letters"
"""The place in Blob, as the doctor calls it."""
CURRENT: Final = timedelta(minutes=10)
"""How long a state other than healthy holds in a process that hears no more of the route."""


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
        detail: the same in words.
        remedy: the command that mends it, `""` where there is none.
        last_success: when its destination last accepted an event, `None` if never.
        last_failure: when it last failed, `None` if never.
        heard: when something was last heard of it.
        backlog: what is in Blob, `None` while nobody has looked.
        surveyed: when somebody looked.
    """

    route: str
    state: State
    since: datetime
    reason: Reason | None = None
    detail: str = ""
    remedy: str = ""
    last_success: datetime | None = None
    last_failure: datetime | None = None
    heard: datetime | None = None
    backlog: Backlog | None = None
    surveyed: datetime | None = None

    def is_behind(self, now: datetime) -> bool:
        """Whether events of it are known to wait in Blob."""
        waiting = 0 if self.backlog is None else self.backlog.waiting
        return self.is_surveyed(now) and waiting > 0

    def is_surveyed(self, now: datetime) -> bool:
        """Whether the last look into Blob may be believed."""
        return self.surveyed is not None and now - self.surveyed <= FRESH

    def is_current(self, now: datetime) -> bool:
        """Whether this process still knows better than nobody."""
        heard = self.heard or self.since
        return self.state is State.HEALTHY or now - heard <= CURRENT or self.is_behind(now)


@dataclass(frozen=True, slots=True)
class PlaceHealth:
    """Whether a place that is no destination lets the relay in: an ingress, or Blob.

    Attributes:
        place: what people call it, as the doctor does.
        since: when it came into this state.
        reason: why it is not healthy, `None` if it is.
        detail: the same in words.
        remedy: the command that mends it, `""` where there is none.
        tried: when somebody tried last, `None` if nobody has.
    """

    place: str
    state: State
    since: datetime
    reason: Reason | None = None
    detail: str = ""
    remedy: str = ""
    tried: datetime | None = None

    def is_current(self, now: datetime) -> bool:
        """Whether the last try may be believed."""
        return self.tried is not None and now - self.tried <= FRESH


class Health:
    """Follows every route, every ingress, and Blob; an `Observer`.

    Args:
        routes: their names; each starts healthy, since nothing is held against it.
        now: the time of day, in UTC.
        changed: hears of each route's state at the beginning, and of each change.
        ingresses: their names.
        place_changed: hears of each change of the state of an ingress, or of Blob.
    """

    def __init__(
        self,
        routes: Iterable[str],
        now: Callable[[], datetime],
        changed: Callable[[RouteHealth], None],
        ingresses: Iterable[str] = (),
        place_changed: Callable[[PlaceHealth], None] = lambda _: None,
    ) -> None:
        self._now = now
        self._changed = changed
        self._place_changed = place_changed
        self._routes = {name: RouteHealth(name, State.HEALTHY, now()) for name in routes}
        self._places = {
            name: PlaceHealth(name, State.HEALTHY, now()) for name in (*ingresses, DEAD_LETTERS)
        }
        for route in self._routes.values():
            changed(route)

    @property
    def routes(self) -> Mapping[str, RouteHealth]:
        """Every route by name."""
        return self._routes

    @property
    def places(self) -> Mapping[str, PlaceHealth]:
        """Every ingress that can be tried, and Blob, by name."""
        return self._places

    def __call__(self, fact: Fact) -> None:
        """Hear a fact."""
        match fact:
            case (
                Delivered(route)
                | Sent(route)
                | Failed(route)
                | DeadLettered(route)
                | Redriven(route)
                | Surveyed(route)
            ):
                self._hear(route.name, fact)
            case Knocked(ingress, error):
                self._tried(ingress, error)
            case BlobLooked(error):
                self._tried(DEAD_LETTERS, error)
            case _:
                pass

    def _hear(self, route: str, fact: Fact) -> None:
        before, now = self._routes[route], self._now()
        after = replace(step(before, fact, now), heard=now)
        self._routes[route] = after
        if (after.state, after.reason) != (before.state, before.reason):
            self._changed(after)

    def _tried(self, place: str, error: DeliveryError | None) -> None:
        before = self._places[place]
        after = tried(before, error, self._now())
        self._places[place] = after
        if (after.state, after.reason) != (before.state, before.reason):
            self._place_changed(after)


def step(before: RouteHealth, fact: Fact, now: datetime) -> RouteHealth:
    """Return how a route fares after a fact about it."""
    match fact:
        case Delivered(_, _, attempts):
            return _delivered(replace(before, last_success=now), attempts, now)
        case Redriven(_, count, left):
            moved = _shifted(replace(before, last_success=now), -count)
            return moved if left else _delivered(moved, 1, now)
        case Failed(_, error) if not error.reason.traits.isolates_event:
            return _failed(replace(before, last_failure=now), error, now)
        case DeadLettered(_, letters, error):
            waiting = [letter for letter in letters if letter.fate is Fate.WAITING]
            return _dead_lettered(_shifted(before, len(waiting)), waiting, error, now)
        case Surveyed(_, backlog):
            return _surveyed(replace(before, backlog=backlog, surveyed=now), backlog, now)
        case _:
            return before


def tried(before: PlaceHealth, error: DeliveryError | None, now: datetime) -> PlaceHealth:
    """Return how a place fares after somebody tried it."""
    state, reason, words = State.HEALTHY, None, ("", "")
    if error is not None:
        may_pass = error.reason.traits.retried and before.state is State.HEALTHY
        state = State.DEGRADED if may_pass else state_for(error.reason)
        reason, words = error.reason, _words(error)
    is_same = (before.state, before.reason) == (state, reason)
    since = before.since if is_same else now
    return PlaceHealth(before.place, state, since, reason, *words, tried=now)


def state_for(reason: Reason) -> State:
    """Return the state of a route whose destination fails for this reason."""
    if reason.is_refusal:
        return State.REFUSED
    if reason.traits.fault is Fault.ROUTE:
        return State.MISCONFIGURED
    return State.UNREACHABLE


def _delivered(before: RouteHealth, attempts: int, now: datetime) -> RouteHealth:
    is_whole = attempts == 1 and not (before.reason and before.is_behind(now))
    if is_whole:
        return _entered(before, State.HEALTHY, now)
    reason = before.reason or Reason.UNKNOWN
    return _entered(before, State.DEGRADED, now, reason, before.detail, before.remedy)


def _failed(before: RouteHealth, error: DeliveryError, now: datetime) -> RouteHealth:
    words = _words(error)
    if not error.reason.traits.retried:
        return _entered(before, state_for(error.reason), now, error.reason, *words)
    if before.state is State.HEALTHY:
        return _entered(before, State.DEGRADED, now, error.reason, *words)
    return before


def _dead_lettered(
    before: RouteHealth, waiting: list[DeadLetter], error: DeliveryError | None, now: datetime
) -> RouteHealth:
    """Letters that only went behind others tell nothing that was not known before."""
    tried = [letter for letter in waiting if letter.attempts]
    if tried:
        return _fails_like(tried[-1], before, now)
    if waiting and error is not None:
        return _entered(before, state_for(error.reason), now, error.reason, *_words(error))
    return before


def _surveyed(before: RouteHealth, backlog: Backlog, now: datetime) -> RouteHealth:
    if backlog.waiting == 0:
        failed = before.last_failure
        is_over = failed is None or now - failed > SETTLING
        return _entered(before, State.HEALTHY, now) if backlog.is_whole and is_over else before
    if before.state is not State.HEALTHY:
        return before
    first = backlog.first
    if first is None:
        return _entered(before, State.DEGRADED, now, Reason.UNKNOWN)
    since = min(first.time, now)
    if before.last_success is not None and before.last_success >= first.time:
        words = explained(first.detail)
        return _entered(before, State.DEGRADED, since, first.reason, *words)
    return _fails_like(first, before, since)


def _words(error: DeliveryError) -> tuple[str, str]:
    refusal = error.refusal
    return (error.detail, "") if refusal is None else (refusal.cause, refusal.remedy)


def _fails_like(letter: DeadLetter, before: RouteHealth, since: datetime) -> RouteHealth:
    state, words = state_for(letter.reason), explained(letter.detail)
    return _entered(before, state, since, letter.reason, *words)


def _shifted(before: RouteHealth, count: int) -> RouteHealth:
    """Count letters that came or went since the last survey."""
    backlog = before.backlog
    if backlog is None:
        return before
    waiting = max(backlog.waiting + count, 0)
    oldest = backlog.oldest if waiting else None
    return replace(before, backlog=replace(backlog, waiting=waiting, oldest=oldest))


def _entered(
    before: RouteHealth,
    state: State,
    since: datetime,
    reason: Reason | None = None,
    detail: str = "",
    remedy: str = "",
) -> RouteHealth:
    """Enter a state; who is in it already stays since then, and learns a remedy."""
    if (before.state, before.reason) == (state, reason):
        return replace(before, detail=detail, remedy=remedy) if remedy else before
    return replace(
        before, state=state, since=since, reason=reason, detail=detail, remedy=remedy
    )
