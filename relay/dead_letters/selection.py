"""Which dead letters an operator means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from relay.dead_letters.names import MALFORMED_ROUTE, Fate, parse
from relay.event import Event
from relay.failures import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from relay.dead_letters.letters import DeadLetter
    from relay.dead_letters.names import Shelf
    from relay.ingress import Arrival
    from relay.routing import Route

_HOUR: Final = timedelta(hours=1)


class SelectionError(Exception):
    """A selection that can't be redriven as it stands; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Dead letters by what they are; an empty set says all.

    Attributes:
        since: the earliest time at which their events were enqueued.
        until: the time before which they were.
    """

    routes: frozenset[str] = frozenset()
    fates: frozenset[Fate] = frozenset()
    reasons: frozenset[Reason] = frozenset()
    ids: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def has(self, shelf: Shelf) -> bool:
        """Whether anything of a shelf may be meant."""
        reasons = self.reasons or frozenset(Reason)
        return (
            (not self.routes or shelf.route in self.routes)
            and (not self.fates or shelf.fate in self.fates)
            and any(_is_kept_on(shelf, reason) for reason in reasons)
        )

    def may_have(self, name: str) -> bool:
        """Whether anything in a blob may be meant, as far as its name tells."""
        found = parse(name)
        return found is None or self.since is None or found.hour + _HOUR > self.since

    def wants(self, letter: DeadLetter) -> bool:
        """Whether a letter on a shelf that it `has` is meant."""
        return (not self.reasons or letter.reason in self.reasons) and self.wants_arrival(
            letter.arrival
        )

    def wants_arrival(self, arrival: Arrival) -> bool:
        """Whether an arrival is meant, whatever became of it."""
        return (
            (not self.ids or id_of(arrival) in self.ids)
            and (self.since is None or arrival.enqueued >= self.since)
            and (self.until is None or arrival.enqueued < self.until)
        )

    @property
    def leaves_earlier_ones(self) -> bool:
        """Whether it may take a letter and leave one before it where it is."""
        return bool(self.reasons or self.ids or self.since)


def id_of(arrival: Arrival) -> str:
    """Return by which id an arrival is known: its event's, or where it stood in its lane."""
    if isinstance(arrival.content, Event):
        return arrival.content.id
    return f"{arrival.sequence}/{arrival.part}"


def check_order(selection: Selection, shelf: Shelf, route: Route) -> None:
    """Refuse to take letters out of the middle of what waits in order.

    Raises:
        SelectionError: saying how to mean it.
    """
    if shelf.fate is Fate.WAITING and route.ordered and selection.leaves_earlier_ones:
        raise SelectionError(
            f"letters of {shelf.route} wait in the order of their events, and this selection "
            "(by reason, id or --since) may send some and leave earlier ones behind, so that "
            "older events of a twin would arrive after newer ones. Select by route and --until "
            "alone; or say --fate held if you mean letters that are held; or say "
            "--out-of-order if the destination does not mind"
        )


def route_for(shelf: Shelf, routes: Mapping[str, Route], to: Route | None) -> Route:
    """Return the route by which letters of a shelf go.

    Raises:
        SelectionError: there is none, saying what to do.
    """
    if shelf.route == MALFORMED_ROUTE:
        raise SelectionError(
            "malformed messages are no events, so no route can take them: look at them with "
            "'show --route _malformed', mend their sender, and purge them"
        )
    route = to or routes.get(shelf.route)
    if route is None:
        raise SelectionError(
            f"no route is called {shelf.route} (there are {', '.join(sorted(routes))}): say "
            "--to ROUTE to send its letters by another"
        )
    return route


def _is_kept_on(shelf: Shelf, reason: Reason) -> bool:
    if shelf.route == MALFORMED_ROUTE:
        return reason is Reason.MALFORMED
    return reason.traits.isolates_event is (shelf.fate is Fate.HELD)
