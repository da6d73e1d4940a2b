"""Finds the routes that want an event without asking the filter of each.

Most filters demand that some field equal a value: the type, the model, one twin. Routes are put
under the values that they demand, attributes before what makes the body be parsed; an event
meets only those whose demands it fulfils, and their filters decide. Where few routes are left,
or none demands anything, they are asked one by one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from relay.filters import View, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relay.event import Event
    from relay.filters import Demands, Place, Scalar
    from relay.routing import Route

    type Entry = tuple[Route, Demands]
    type Search = Callable[[View], list[Route]]

_FEW: Final = 4
"""Routes that are asked sooner than they are looked up."""
_DEEPEST: Final = 4
"""Fields of one filter that routes are looked up by."""
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


class Matcher:
    """Knows which of its routes want an event: the same as `routing.match` answers.

    Args:
        routes: in their declared order.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._numbers = {route.name: n for n, route in enumerate(routes)}
        self._search = _search([(route, route.filter.demands) for route in routes], _DEEPEST)

    def __call__(self, event: Event) -> list[Route]:
        """Return the routes that want an event, in their declared order."""
        found = self._search(View(event))
        if len(found) > 1:
            found.sort(key=self._number)
        return found

    def _number(self, route: Route) -> int:
        return self._numbers[route.name]


def _search(entries: Sequence[Entry], depth: int) -> Search:
    """Return what finds those of the routes that want an event, in any order."""
    others, groups = _by_place(entries, depth)
    asked = [(route, route.filter.holds) for route in others]
    tables = [(reader(place), _table(place, its, depth)) for place, its in groups.items()]
    if not tables:
        return lambda view: [route for route, wants in asked if wants(view)]

    def search(view: View) -> list[Route]:
        found = [route for route, wants in asked if wants(view)]
        for read, searches in tables:
            value: Any = read(view)
            deeper = searches.get(value) if type(value) in _SCALARS else None
            if deeper is not None:
                found += deeper(view)
        return found

    return search


def _by_place(
    entries: Sequence[Entry], depth: int
) -> tuple[list[Route], dict[Place, list[Entry]]]:
    """Group routes by the field under which they are found; first those that are asked.

    Of the fields that a route demands something of it is the one of which most routes do, if
    these are more than a few; one in the body only if it demands nothing of an attribute.
    """
    counts = Counter(place for _, demands in entries if depth for place in demands)
    others: list[Route] = []
    groups: dict[Place, list[Entry]] = {}
    for route, demands in entries:
        places = [place for place in demands if counts[place] > _FEW]
        if places:
            chosen = max(places, key=lambda place: (isinstance(place, str), counts[place]))
            groups.setdefault(chosen, []).append((route, demands))
        else:
            others.append(route)
    return others, groups


def _table(place: Place, entries: Sequence[Entry], depth: int) -> dict[Scalar, Search]:
    """Put routes under the values that they demand of a field."""
    under: dict[Scalar, list[Entry]] = {}
    for route, demands in entries:
        rest = {other: values for other, values in demands.items() if other != place}
        for value in demands[place]:
            under.setdefault(value, []).append((route, rest))
    return {value: _search(its, depth - 1) for value, its in under.items()}
