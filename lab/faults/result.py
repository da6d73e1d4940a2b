"""What came of a case, and of all of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lab.faults.entrance import Ingress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.faults.plan import Kind


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case; numbers of both routes together where nothing else is said.

    Attributes:
        case: its name.
        destination: the kind that was faulted.
        family: what the fault was about.
        sent: how many messages were sent to the ingress.
        delivered: how many different events the faulted route delivered.
        dead_lettered: how many stay in Blob, for a person.
        redriven: how many were in Blob for a while and then delivered, by the relay's word.
        duplicated: how many events arrived more than once.
        lost: how many are in no place.
        out_of_order: how many arrived after a later one of their lane and twin.
        altered: how many arrived changed, or where nobody wants them.
        delay: seconds that the healthy route's slowest event took from the ingress to its
            destination; `None` if none arrived.
        seconds: how long the case took.
        problems: why it proves nothing, or what else went wrong.
        ingress: the way in.
    """

    case: str
    destination: Kind
    sent: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    redriven: int = 0
    duplicated: int = 0
    lost: int = 0
    out_of_order: int = 0
    altered: int = 0
    delay: float | None = None
    seconds: float = 0
    problems: tuple[str, ...] = ()
    family: str = ""
    ingress: Ingress = Ingress.EVENT_HUB

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept, and the fault was real."""
        return not (self.lost or self.out_of_order or self.altered or self.problems)

    def as_json(self) -> dict[str, object]:
        """Return everything, delays rounded to milliseconds."""
        rounded = None if self.delay is None else round(self.delay, 3)
        return {**asdict(self), "delay": rounded, "seconds": round(self.seconds, 1)}


@dataclass(frozen=True, slots=True)
class Matrix:
    """All results."""

    results: Sequence[Result]

    @property
    def is_good(self) -> bool:
        """Whether every case is."""
        return all(result.is_good for result in self.results)

    def total(self, what: str) -> int:
        """Add up one number."""
        return sum(getattr(result, what) for result in self.results)

    def as_json(self) -> dict[str, object]:
        """Return the last object of the JSON output."""
        totals = ("lost", "out_of_order", "altered", "duplicated", "sent", "delivered")
        return {
            "kind": "outcome",
            "ok": self.is_good,
            "cases": len(self.results),
            **{name: self.total(name) for name in totals},
            "results": [result.as_json() for result in self.results],
        }
