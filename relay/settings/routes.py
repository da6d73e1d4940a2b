"""Routes from their JSON, as app settings hold it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from relay import filters
from relay.routing import Destination, Kind, Route
from relay.settings.problems import Problems
from relay.settings.secrets import holds_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROUTE_NAME: Final = re.compile(r"(?![0-9]+$)(?!-)[a-zA-Z0-9-]{1,49}[a-zA-Z0-9]")
_CONNECTION_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ENTITY_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")
_ROUTE: Final = frozenset({"name", "filter", "destination", "ordered"})
_DESTINATION: Final = frozenset({"connection", "session", *Kind})


def routes_of(name: str, text: str) -> list[Route]:
    """Read routes that stand alone, without settings.

    Raises:
        SettingsError: with all that is wrong with them.
    """
    problems = Problems()
    routes = read_routes(name, text, problems)
    if holds_secret(text):
        problems.add_secret(name, "give its connection an identity in the settings")
    problems.raise_if_any()
    return routes


def read_routes(setting: str, text: str, problems: Problems) -> list[Route]:
    """Read routes; those with problems are left out, each problem is noted."""
    try:
        entries = json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        problems.add(setting, f"it is not JSON: {error}", "Mend it there")
        return []
    if not isinstance(entries, list) or not entries:
        problems.add(setting, "it is no list of routes", "See the README for an example")
        return []
    reader = _Reader(problems)
    read = [reader.route(f"{setting}[{index}]", entry) for index, entry in enumerate(entries)]
    routes = [route for route in read if route is not None]
    counts = Counter(route.name.lower() for route in routes)
    for name in (name for name, count in counts.items() if count > 1):
        problems.add(setting, f"several routes are called {name}", "Give each its own name")
    return routes


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: the last filter would win in silence."""
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = [
            name for name, count in Counter(name for name, _ in pairs).items() if count > 1
        ]
        raise ValueError(f"{', '.join(map(repr, twice))} stands twice in one object")
    return members


class _Reader:
    """Reads one route after the other; what can't be read comes out as `None`, noted."""

    def __init__(self, problems: Problems) -> None:
        self._problem = problems.add

    def route(self, where: str, entry: Any) -> Route | None:
        if not self._is_object(where, entry, _ROUTE):
            return None
        name = self._name(f"{where}.name", entry.get("name"))
        where = f"{where} ({name})" if name else where
        route_filter = self._filter(f"{where}.filter", entry.get("filter"))
        destination = self._destination(f"{where}.destination", entry.get("destination"))
        ordered = self._boolean(f"{where}.ordered", entry.get("ordered", True))
        if name is None or route_filter is None or destination is None:
            return None
        return Route(name, route_filter, destination, ordered)

    def _name(self, where: str, name: Any) -> str | None:
        if isinstance(name, str) and _ROUTE_NAME.fullmatch(name):
            return name
        self._problem(
            where,
            "a route needs a name of 2 to 50 letters, digits and hyphens",
            "Give it one; it must not begin or end with a hyphen, nor be only digits",
        )
        return None

    def _filter(self, where: str, text: Any) -> filters.Filter | None:
        if not isinstance(text, str) or not text.strip():
            self._problem(where, "it is missing", "Set it; 'true' wants every event")
            return None
        try:
            return filters.compile(text)
        except filters.FilterError as error:
            self._problem(where, f"it does not parse: {error}", "See docs/filters.md")
            return None

    def _destination(self, where: str, entry: Any) -> Destination | None:
        if not self._is_object(where, entry, _DESTINATION):
            return None
        connection = entry.get("connection")
        if not isinstance(connection, str) or not _CONNECTION_NAME.fullmatch(connection):
            self._problem(
                f"{where}.connection", "it names no connection", "Give the settings' prefix"
            )
            return None
        kinds = [kind for kind in Kind if kind in entry]
        if len(kinds) != 1:
            one = ", ".join(sorted(Kind))
            self._problem(where, f"it names {len(kinds)} entities", f"Name one, as {one}")
            return None
        kind, entity = kinds[0], entry[kinds[0]]
        session = self._boolean(f"{where}.session", entry.get("session", False))
        if session and kind is Kind.EVENT_HUB:
            self._problem(f"{where}.session", "an event hub has no sessions", "Remove it")
        if not isinstance(entity, str) or not _ENTITY_NAME.fullmatch(entity):
            self._problem(f"{where}.{kind}", "it is no entity's name", "Give the name alone")
            return None
        return Destination(connection, kind, entity, session)

    def _is_object(self, where: str, entry: Any, known: Iterable[str]) -> bool:
        if not isinstance(entry, dict):
            self._problem(where, "it is no JSON object", "See the README for an example")
            return False
        for name in sorted(set(entry) - set(known)):
            names = ", ".join(sorted(known))
            self._problem(f"{where}.{name}", "no such member", f"There are {names}")
        return True

    def _boolean(self, where: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self._problem(where, "it is neither true nor false", "Write true or false")
        return bool(value)
