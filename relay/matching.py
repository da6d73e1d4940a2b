"""Finds the routes that want an event without asking the filter of each.

Most filters demand that some field equal a value: the type, the model, one twin. Routes are put
under the values that they demand, attributes before what makes the body be parsed; an event
meets only those whose demands it fulfils, and their filters decide. Where few routes are left,
or none demands anything, they are asked one by one.
"""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from relay.filters import View, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relay.event import Event
    from relay.filters import Demands, Place, Scalar
    from relay.routing import Route

    type Candidate = tuple[int, Route]
    """A route and its number in the declared order."""
    type Entry = tuple[Candidate, Demands]
    type Search = Callable[[View], list[Candidate]]

_FEW: Final = 4
"""Routes that are asked sooner than they are looked up."""
_DEEPEST: Final = 4
"""Fields of one filter that routes are looked up by."""
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_number = itemgetter(0)


class Matcher:
    """Knows which of its routes want an event: the same as `routing.match` answers.

    Args:
        routes: in their declared order.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        entries = [((n, route), route.filter.demands) for n, route in enumerate(routes)]
        self._search = _search(entries, _DEEPEST)

    def __call__(self, event: Event) -> list[Route]:
        """Return the routes that want an event, in their declared order."""
        found = self._search(View(event))
        if len(found) > 1:
            found.sort(key=_number)
        return [route for _, route in found]


def _search(entries: Sequence[Entry], depth: int) -> Search:
    """Return what finds those of the routes that want an event, in any order."""
    others, groups = _by_place(entries, depth)
    asked = [(candidate, candidate[1].filter.holds) for candidate in others]
    tables = [(reader(place), _table(place, its, depth)) for place, its in groups.items()]

    def search(view: View) -> list[Candidate]:
        found = [candidate for candidate, wants in asked if wants(view)]
        for read, searches in tables:
            value: Any = read(view)
            deeper = searches.get(value) if type(value) in _SCALARS else None
            if deeper is not None:
                found += deeper(view)
        return found

    return search


def _by_place(
    entries: Sequence[Entry], depth: int
) -> tuple[list[Candidate], dict[Place, list[Entry]]]:
    """Group routes by the field under which they are found; first those that are asked.

    Of the fields that a route demands something of it is the one of which most routes do, if
    these are more than a few; one in the body only if it demands nothing of an attribute.
    """
    counts = Counter(place for _, demands in entries if depth for place in demands)
    others: list[Candidate] = []
    groups: dict[Place, list[Entry]] = {}
    for candidate, demands in entries:
        places = [place for place in demands if counts[place] > _FEW]
        if places:
            chosen = max(places, key=lambda place: (isinstance(place, str), counts[place]))
            groups.setdefault(chosen, []).append((candidate, demands))
        else:
            others.append(candidate)
    return others, groups


def _table(place: Place, entries: Sequence[Entry], depth: int) -> dict[Scalar, Search]:
    """Put routes under the values that they demand of a field."""
    under: dict[Scalar, list[Entry]] = {}
    for candidate, demands in entries:
        rest = {other: values for other, values in demands.items() if other != place}
        for value in demands[place]:
            under.setdefault(value, []).append((candidate, rest))
    return {value: _search(its, depth - 1) for value, its in under.items()}
