"""What the doctor found: a check for every step of every subject, and one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from relay.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.causes import Cause


class Step(StrEnum):
    """What is looked at, in the order of the way there."""

    SETTINGS = "settings"
    NAME = "name"
    PORT = "port"
    TLS = "tls"
    TOKEN = "token"  # noqa: S105 - a step's name
    CBS = "cbs"
    LINK = "link"
    MARKER = "marker"
    POSTURE = "posture"


class Outcome(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """How it all ended."""

    WELL = "well"
    FAILED = "failed"
    UNUSABLE = "unusable"

    @property
    def exit_code(self) -> int:
        """What a pipeline is told."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One step of one subject.

    Attributes:
        subject: the ingress, route or container.
        step: what was looked at.
        outcome: how it ended.
        detail: what was seen, or why it was skipped; safe to print.
        cause: why it failed.
        remedy: the command that mends it; `""` where none does.
    """

    subject: str
    step: Step
    outcome: Outcome
    detail: str = ""
    cause: Cause | None = None
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for machines; the members are always the same."""
        return {
            "subject": self.subject,
            "step": self.step.value,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "cause": self.cause.value if self.cause else None,
            "meaning": self.cause.meaning if self.cause else None,
            "remedy": self.remedy or None,
            "page": self.cause.page if self.cause else None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, and what follows from them."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """What follows."""
        failed = [check for check in self.checks if check.outcome is Outcome.FAILED]
        if any(check.step is Step.SETTINGS for check in failed):
            return Verdict.UNUSABLE
        return Verdict.FAILED if failed else Verdict.WELL

    def as_json(self) -> dict[str, Any]:
        """Return one object for machines."""
        return {
            "verdict": self.verdict.value,
            "checks": [check.as_json() for check in self.checks],
        }


def passed(subject: str, step: Step, detail: str = "") -> Check:
    """Return a step that passed."""
    return Check(subject, step, Outcome.PASSED, redacted(detail))


def skipped(subject: str, step: Step, why: str) -> Check:
    """Return a step that was not tried."""
    return Check(subject, step, Outcome.SKIPPED, redacted(why))


def failed(subject: str, step: Step, cause: Cause, detail: str, remedy: str = "") -> Check:
    """Return a step that failed; words of others lose what is secret in them."""
    return Check(subject, step, Outcome.FAILED, redacted(detail), cause, remedy)


def failures(checks: Sequence[Check]) -> list[Check]:
    """Return those that failed."""
    return [check for check in checks if check.outcome is Outcome.FAILED]
