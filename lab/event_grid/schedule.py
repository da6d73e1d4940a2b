"""What becomes of an event after a delivery: done, tried again, or given up.

Source: MicrosoftDocs/azure-docs articles/event-grid/delivery-and-retry.md, its newest published
text (schedule, limits, what is not retried) and that of 2020 (the least delays by status). The
names of outcomes are its own where it has some; `PayloadTooLarge` and `GenericError` are
guesses, and so are the reasons of dead letters for other statuses than 400.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.event_grid.model import Subscription

ACCEPTED: Final = frozenset({200, 201, 202, 203, 204})
NOT_RETRIED: Final = frozenset({400, 401, 403, 413})
"""For webhooks. The list has changed over the years; this is the newest."""

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
SCHEDULE: Final = (
    10.0,
    30.0,
    _MINUTE,
    5 * _MINUTE,
    10 * _MINUTE,
    30 * _MINUTE,
    _HOUR,
    3 * _HOUR,
    6 * _HOUR,
    12 * _HOUR,
)
"""Seconds before the second attempt, the third and so on; the last is repeated."""
_LEAST: Final[Mapping[int, float]] = {404: 5 * _MINUTE, 408: 2 * _MINUTE, 503: 30.0}
_OUTCOMES: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "TimedOut",
    413: "PayloadTooLarge",
    429: "Busy",
    503: "Busy",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a delivery ended.

    Attributes:
        status: the HTTP status; 0 when there was no answer.
        name: as dead letters have it in `lastDeliveryOutcome`.
    """

    status: int
    name: str

    @classmethod
    def of(cls, status: int) -> Outcome:
        """Return the outcome of an answer."""
        if status in ACCEPTED:
            return cls(status, "Success")
        return cls(status, _OUTCOMES.get(status, "GenericError"))


TIMED_OUT: Final = Outcome(0, "TimedOut")
SOCKET_ERROR: Final = Outcome(0, "SocketError")


@dataclass(frozen=True, slots=True)
class Delivered:
    """The webhook has it."""


@dataclass(frozen=True, slots=True)
class Again:
    """It is tried once more, after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """It is dead-lettered or dropped; the reason as in `deadLetterReason`."""

    reason: str


type Verdict = Delivered | Again | GivenUp


def verdict(
    outcome: Outcome, *, attempts: int, age_seconds: float, subscription: Subscription
) -> Verdict:
    """Decide about an event.

    Args:
        outcome: of the last attempt.
        attempts: how many there were, that one included.
        age_seconds: since it was published.
        subscription: its limits.
    """
    if outcome.status in ACCEPTED:
        return Delivered()
    if outcome.status in NOT_RETRIED:
        return GivenUp(f"UndeliverableDueToHttp{outcome.name}")
    if attempts >= subscription.max_attempts:
        return GivenUp("MaxDeliveryAttemptsExceeded")
    seconds = max(
        SCHEDULE[min(attempts, len(SCHEDULE)) - 1], _LEAST.get(outcome.status, SCHEDULE[0])
    )
    if age_seconds + seconds > subscription.ttl_minutes * _MINUTE:
        return GivenUp("TimeToLiveExceeded")
    return Again(seconds)
