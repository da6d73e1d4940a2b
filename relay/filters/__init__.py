"""Which events a route wants: the route filter language of Azure Digital Twins, and more.

`compile` turns a filter's text into a `Filter` once, at start; a `Filter` is then asked of each
event and never raises. Where an event passes several filters, wrap it in a `View` first: they
share its body, which is parsed at most once and only if one of them looks into it. `lint` says
where a filter could surprise. `widened` makes one filter of several that Azure Digital Twins
itself takes and that holds back nothing they want. The language: `docs/filters.md`.
"""

from __future__ import annotations

from relay.filters.errors import FilterError
from relay.filters.filter import Filter, compile  # noqa: A004 - as in `re.compile`
from relay.filters.findings import Concern, Finding
from relay.filters.linting import lint
from relay.filters.view import View
from relay.filters.widening import widened

__all__ = ["Concern", "Filter", "FilterError", "Finding", "View", "compile", "lint", "widened"]
