"""What an audit found, frozen, and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.audit.observation import Key


@dataclass(frozen=True, slots=True)
class Alteration:
    """An event that arrived changed, and in what."""

    event: Key
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RouteReport:
    """What one route's destination holds, against what it should hold.

    Attributes:
        route: the route's name.
        expected: how many different events the route wants.
        delivered: how many of them arrived.
        dead_lettered: how many did not arrive but are known to be kept as dead letters.
        lost: those that are in neither place.
        unexpected: what arrived though the route does not want it, or nobody sent it.
        duplicated: those that arrived more often than they were sent.
        out_of_order: those that arrived after a later event of their lane and twin, or in
            another ordered stream than the twin's events before them.
        altered: those of which an attribute or a byte changed.
    """

    route: str
    expected: int
    delivered: int
    dead_lettered: int
    lost: tuple[Key, ...]
    unexpected: tuple[Key, ...]
    duplicated: tuple[Key, ...]
    out_of_order: tuple[Key, ...]
    altered: tuple[Alteration, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost, unexpected, out of order or altered.

        Duplicates are no fault: delivery is at least once.
        """
        return not (self.lost or self.unexpected or self.out_of_order or self.altered)

    def as_json(self) -> dict[str, object]:
        """Return counts, and the events themselves where there should be none."""
        return {
            "route": self.route,
            "expected": self.expected,
            "delivered": self.delivered,
            "dead_lettered": self.dead_lettered,
            "lost": [list(key) for key in self.lost],
            "unexpected": [list(key) for key in self.unexpected],
            "duplicated": [list(key) for key in self.duplicated],
            "out_of_order": [list(key) for key in self.out_of_order],
            "altered": [
                {"event": list(found.event), "differences": list(found.differences)}
                for found in self.altered
            ],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What the whole audit found.

    Attributes:
        sent: how many messages the ingress hub holds.
        malformed: how many of them are no event.
        routes: one report a route.
    """

    sent: int
    malformed: int
    routes: tuple[RouteReport, ...]

    @property
    def is_clean(self) -> bool:
        """Whether every route is."""
        return all(route.is_clean for route in self.routes)

    @property
    def delivered(self) -> dict[str, int]:
        """How many events arrived, by route."""
        return {route.route: route.delivered for route in self.routes}

    @property
    def lost(self) -> int:
        """How many pairs of event and route are in no place."""
        return sum(len(route.lost) for route in self.routes)

    @property
    def unexpected(self) -> int:
        """How many arrivals nobody asked for."""
        return sum(len(route.unexpected) for route in self.routes)

    @property
    def duplicated(self) -> int:
        """How many pairs of event and route arrived more than once."""
        return sum(len(route.duplicated) for route in self.routes)

    @property
    def out_of_order(self) -> int:
        """How many arrivals came too late in their twin's order."""
        return sum(len(route.out_of_order) for route in self.routes)

    @property
    def altered(self) -> int:
        """How many arrivals changed on the way."""
        return sum(len(route.altered) for route in self.routes)

    def as_json(self) -> dict[str, object]:
        """Return totals and the routes."""
        return {
            "sent": self.sent,
            "malformed": self.malformed,
            "lost": self.lost,
            "unexpected": self.unexpected,
            "duplicated": self.duplicated,
            "out_of_order": self.out_of_order,
            "altered": self.altered,
            "routes": [route.as_json() for route in self.routes],
        }
