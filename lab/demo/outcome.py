"""How the demo ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.audit import Report
    from lab.demo.ledger import Refusal


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end counts.

    Attributes:
        report: the independent audit's.
        dead_lettered: how many events the relay kept in Blob at some time.
        redriven: how many of them it delivered after all.
        refusals: what was refused, each explained by the relay.
        problems: what else went wrong, in sentences.
        seconds: how long the demo took after set-up.
    """

    report: Report
    dead_lettered: int
    redriven: int
    refusals: tuple[Refusal, ...]
    problems: tuple[str, ...]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether the relay kept its promises."""
        return not self.failures()

    def failures(self) -> list[str]:
        """Say what went wrong, a sentence each."""
        found = {
            "lost": self.report.lost,
            "out of order": self.report.out_of_order,
            "altered": self.report.altered,
            "delivered where nobody asked for them": self.report.unexpected,
        }
        return [f"{count} events {what}" for what, count in found.items() if count] + [
            *self.problems
        ]

    def as_json(self) -> dict[str, object]:
        """Return the last object of the demo's JSON output."""
        return {
            "kind": "outcome",
            "ok": self.is_good,
            "failures": self.failures(),
            "sent": self.report.sent,
            "delivered": self.report.delivered,
            "expected": {route.route: route.expected for route in self.report.routes},
            "dead_lettered": self.dead_lettered,
            "redriven": self.redriven,
            "lost": self.report.lost,
            "out_of_order": self.report.out_of_order,
            "altered": self.report.altered,
            "duplicated": self.report.duplicated,
            "unexpected": self.report.unexpected,
            "malformed": self.report.malformed,
            "refusals": [refusal.as_json() for refusal in self.refusals],
            "seconds": round(self.seconds, 1),
        }
