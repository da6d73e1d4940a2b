"""What is made of measurements: medians, spreads, ratios, percentiles; it measures nothing."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Run:
    """What a contestant did in one round.

    Attributes:
        events: delivered and acknowledged.
        seconds: by the clock on the wall.
        busy: of processor time, of all threads of the measured process.
        latencies: for each batch the seconds from handing it over until it was acknowledged.
    """

    events: int
    seconds: float
    busy: float
    latencies: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """Events for a second of processor time."""
        return self.events / self.busy

    @property
    def microseconds(self) -> float:
        """Processor time for an event."""
        return 1e6 * self.busy / self.events


@dataclass(frozen=True, slots=True)
class Middle:
    """A median, and between which values it lies."""

    median: float
    least: float
    most: float

    @property
    def spread(self) -> float:
        """How far apart the extremes are, as a part of the median."""
        return (self.most - self.least) / self.median if self.median else 0.0


def middle(values: Sequence[float]) -> Middle:
    """Return the median of measurements with their extremes.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("nothing was measured")
    return Middle(median(values), min(values), max(values))


def ratio(of: Sequence[float], to: Sequence[float]) -> Middle:
    """Return the ratio of two contestants: the median of the ratios in each round.

    Both ran in every round, one soon after the other: what slows the machine for a while is in
    both, and cancels out.

    Raises:
        ValueError: they did not run in the same rounds.
    """
    return middle([a / b for a, b in zip(of, to, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all do not exceed.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("nothing was measured")
    ranked = sorted(values)
    return ranked[max(0, -int(-len(ranked) * percent // 100) - 1)]
