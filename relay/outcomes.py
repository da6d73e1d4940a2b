"""What became of each event that somebody waits for, route by route."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from relay.observer import DeadLettered, Delivered, Fact, MalformedKept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relay.event import Event
    from relay.failures import Reason
    from relay.ingress import Arrival, Malformed


class Ending(StrEnum):
    """How an event ended; the value is telemetry's outcome."""

    DELIVERED = "delivered"
    DEAD_LETTERED = "dead_lettered"
    UNROUTED = "unrouted"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an event ended on one route.

    Attributes:
        route: its name; `""` for an event that no route wants, and for what is no event.
        reason: why it was not delivered, `None` if it was.
        detail: the same in words; safe to print.
    """

    route: str
    ending: Ending
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event: delivered or durable in Blob, on each route that wants it."""

    content: Event | Malformed
    outcomes: tuple[Outcome, ...]

    @property
    def is_delivered(self) -> bool:
        """Whether nothing of it waits in Blob."""
        return all(each.ending in {Ending.DELIVERED, Ending.UNROUTED} for each in self.outcomes)


class Outcomes:
    """Follows arrivals while they are settled; an `Observer`."""

    def __init__(self) -> None:
        self._followed: dict[int, list[Outcome]] = {}  # by the identity of the arrival

    @contextmanager
    def of(self, arrivals: Sequence[Arrival]) -> Iterator[Callable[[], list[Result]]]:
        """Follow arrivals; what is yielded returns their results once they are settled."""
        found: dict[int, list[Outcome]] = {id(each): [] for each in arrivals}
        self._followed |= found
        try:
            yield lambda: [Result(each.content, _ended(found[id(each)])) for each in arrivals]
        finally:
            for identity in found:
                del self._followed[identity]

    def __call__(self, fact: Fact) -> None:
        """Hear a fact."""
        if not self._followed:
            return
        match fact:
            case Delivered(route, arrivals):
                for arrival in arrivals:
                    self._note(arrival, Outcome(route.name, Ending.DELIVERED))
            case DeadLettered(route, letters):
                for letter in letters:
                    outcome = Outcome(
                        route.name, Ending.DEAD_LETTERED, letter.reason, letter.detail
                    )
                    self._note(letter.arrival, outcome)
            case MalformedKept(letters):
                for letter in letters:
                    outcome = Outcome("", Ending.MALFORMED, letter.reason, letter.detail)
                    self._note(letter.arrival, outcome)
            case _:
                pass

    def _note(self, arrival: Arrival, outcome: Outcome) -> None:
        followed = self._followed.get(id(arrival))
        if followed is not None:
            followed.append(outcome)


def _ended(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    return tuple(outcomes) or (Outcome("", Ending.UNROUTED),)
