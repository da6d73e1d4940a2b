"""A route's filter, ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.filters.compiling import closure
from relay.filters.demands import demands
from relay.filters.parsing import parse
from relay.filters.view import View

if TYPE_CHECKING:
    from relay.event import Event
    from relay.filters.compiling import Holds
    from relay.filters.demands import Demands


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a route wants: calling it says whether it wants one, and never raises.

    Attributes:
        text: the filter as it was written.
        holds: whether it wants what it is shown.
        demands: what an event must hold at the least.
    """

    text: str
    holds: Holds = field(repr=False, compare=False)
    demands: Demands = field(repr=False, compare=False)

    def __call__(self, event: Event | View) -> bool:
        """Whether the route wants the event; filters given one `View` share its body."""
        return self.holds(event if isinstance(event, View) else View(event))


def compile(text: str) -> Filter:  # noqa: A001 - as in `re.compile`
    """Return the filter that `text` describes.

    Raises:
        FilterError: the text isn't a filter; its `str()` says where and what to write.
    """
    tree = parse(text).tree
    return Filter(text, closure(tree), demands(tree))
