"""A route's filter, ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.filters.compiling import closure
from relay.filters.parsing import parse
from relay.filters.view import View

if TYPE_CHECKING:
    from relay.event import Event
    from relay.filters.compiling import Holds


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a route wants: calling it says whether it wants one, and never raises.

    Attributes:
        text: the filter as it was written.
    """

    text: str
    _holds: Holds = field(repr=False, compare=False)

    def __call__(self, event: Event | View) -> bool:
        """Whether the route wants the event; filters given one `View` share its body."""
        return self._holds(event if isinstance(event, View) else View(event))


def compile(text: str) -> Filter:  # noqa: A001 - as in `re.compile`
    """Return the filter that `text` describes.

    Raises:
        FilterError: the text isn't a filter; its `str()` says where and what to write.
    """
    return Filter(text, closure(parse(text).tree))
