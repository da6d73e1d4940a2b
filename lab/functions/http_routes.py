"""Which HTTP function a request is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from lab.functions.failures import AppFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.functions.messages import Json
    from lab.functions.metadata import Function

_PARAMETER: Final = re.compile(r"\{(\*?)(\w+)(?::(\w+))?(\??)\}")
_CONSTRAINTS: Final = {
    "": "[^/]+",
    "alpha": "[A-Za-z]+",
    "int": r"-?\d+",
    "guid": "[-0-9A-Fa-f]+",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One function's methods and path."""

    function: Function
    methods: frozenset[str]
    pattern: re.Pattern[str]
    rank: tuple[int, ...]

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        """Return the route's parameters, `None` when the request is for another."""
        if self.methods and method not in self.methods:
            return None
        found = self.pattern.fullmatch("/" + path.strip("/"))
        if found is None:
            return None
        return {name: unquote(value) for name, value in found.groupdict().items() if value}


def routes(functions: Iterable[Function], prefix: str) -> Sequence[Route]:
    """Return the routes of all HTTP functions, the most particular first.

    Raises:
        AppFailed: a template uses what is not known here.
    """
    http = (found for found in functions if found.trigger_type == "httpTrigger")
    return sorted((_route(found, prefix) for found in http), key=lambda route: route.rank)


def _route(function: Function, prefix: str) -> Route:
    template = str(function.trigger.get("route") or function.name).strip("/")
    methods = function.trigger.get("methods")
    segments = f"{prefix}/{template}".strip("/").split("/")
    return Route(
        function,
        frozenset(_names(methods)),
        re.compile("".join(_segment(function, segment) for segment in segments), re.IGNORECASE),
        tuple(_rank(segment) for segment in segments),
    )


def _names(methods: Json) -> Iterable[str]:
    """No methods mean every method."""
    return (str(method).upper() for method in methods) if isinstance(methods, list) else ()


def _segment(function: Function, segment: str) -> str:
    parameter = _PARAMETER.fullmatch(segment)
    if parameter is None:
        if "{" in segment:
            raise AppFailed(f"function {function.name!r}: route segment {segment!r} is unknown")
        return "/" + re.escape(segment)
    everything, name, constraint, optional = parameter.groups()
    if (constraint or "") not in _CONSTRAINTS:
        raise AppFailed(
            f"function {function.name!r}: route constraint {constraint!r} is unknown"
        )
    if everything:
        return f"(?:/(?P<{name}>.*))?"
    value = f"/(?P<{name}>{_CONSTRAINTS[constraint or '']})"
    return f"(?:{value})?" if optional else value


def _rank(segment: str) -> int:
    """A literal goes before a parameter, a parameter before the rest of the path."""
    if not segment.startswith("{"):
        return 0
    return 2 if segment.startswith("{*") else 1
