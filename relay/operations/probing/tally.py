"""The gap-and-order check: what was sent against what arrived. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PERCENTILES: Final = (50, 95, 99)
_SHOWN: Final = 20
"""Lost events that are named; of more, the count is enough."""


@dataclass(frozen=True, slots=True, order=True)
class Number:
    """An event of a run: the how-manieth of which twin."""

    twin: int
    place: int

    def __str__(self) -> str:
        return f"{self.twin}-{self.place}"


@dataclass(slots=True)
class Sent:
    """What went in.

    Attributes:
        at: when an event was first sent, by any clock that the arrivals are told by too.
        accepted: those that the ingress has acknowledged: they must arrive.
    """

    at: dict[Number, float] = field(default_factory=dict)
    accepted: set[Number] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a run at one destination.

    Attributes:
        sent: events that the ingress accepted.
        received: how many of them arrived.
        lost: the numbers of those that did not, the first of them.
        lost_count: how many those are.
        duplicated: how many events arrived more than once.
        out_of_order: how many first arrived after a later one of their twin.
        unconfirmed: how many arrived though their acknowledgement never came.
        latency: seconds from sending to first arrival: percentiles and the longest.
    """

    sent: int
    received: int
    lost: tuple[str, ...]
    lost_count: int
    duplicated: int
    out_of_order: int
    unconfirmed: int
    latency: Mapping[str, float]

    @property
    def is_good(self) -> bool:
        """Whether everything arrived in order."""
        return not (self.lost_count or self.out_of_order)

    def as_json(self) -> dict[str, object]:
        """Return everything."""
        return asdict(self)


class Tally:
    """Arrivals at one destination, as they come.

    A destination has streams that each keep order; a twin's events are all on one. Arrivals
    are to be told in the order of their stream; that across streams does not matter.
    """

    def __init__(self) -> None:
        self._first: dict[Number, float] = {}
        self._repeated: set[Number] = set()
        self._late: set[Number] = set()
        self._furthest: defaultdict[int, int] = defaultdict(lambda: -1)

    def arrived(self, number: Number, at: float) -> None:
        """Enter an arrival."""
        if number in self._first:
            self._repeated.add(number)
            return
        self._first[number] = at
        if number.place < self._furthest[number.twin]:
            self._late.add(number)
        self._furthest[number.twin] = max(number.place, self._furthest[number.twin])

    def has_all(self, numbers: Iterable[Number]) -> bool:
        """Tell whether nothing of it is missing any more."""
        return all(number in self._first for number in numbers)

    def verdict(self, sent: Sent) -> Verdict:
        """Say what became of what was sent."""
        lost = sorted(sent.accepted - self._first.keys())
        known = self._first.keys() & sent.at.keys()
        return Verdict(
            sent=len(sent.accepted),
            received=len(sent.accepted & self._first.keys()),
            lost=tuple(map(str, lost[:_SHOWN])),
            lost_count=len(lost),
            duplicated=len(self._repeated),
            out_of_order=len(self._late),
            unconfirmed=len(known - sent.accepted),
            latency=_latency(sorted(self._first[each] - sent.at[each] for each in known)),
        )

    def __len__(self) -> int:
        return len(self._first)


def _latency(ordered: Sequence[float]) -> dict[str, float]:
    if not ordered:
        return {}
    nearest = {
        f"p{percent}": ordered[ceil(len(ordered) * percent / 100) - 1]
        for percent in _PERCENTILES
    }
    return {name: round(value, 3) for name, value in (nearest | {"max": ordered[-1]}).items()}
