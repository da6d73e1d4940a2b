"""Why a delivery failed, whose fault that is, and what may be done about it.

| reason          | fault    | retried here | redriven by | HTTP |
|-----------------|----------|--------------|-------------|------|
| malformed       | event    | no           | a person    | 400  |
| too_large       | event    | no           | a person    | 413  |
| rejected        | event    | no           | a person    | 422  |
| unauthenticated | identity | no           | itself      | 503  |
| forbidden       | identity | no           | itself      | 503  |
| network_denied  | network  | no           | itself      | 503  |
| not_found       | route    | no           | a person    | 503  |
| disabled        | route    | no           | itself      | 503  |
| throttled       | load     | yes          | itself      | 429  |
| quota_exceeded  | load     | no           | itself      | 503  |
| timeout         | network  | yes          | itself      | 503  |
| unavailable     | network  | yes          | itself      | 503  |
| unknown         | network  | yes          | itself      | 503  |

A failure that is the *event's* fault isolates the event: its neighbours go on without it. Every
other failure is the destination's, and the events behind it share its fate. The value of a
`Reason` is what telemetry calls `error.type` and what a dead letter carries; there is no other
list. HTTP is the status for a caller who waits: 503 and 429 say "again later", because a
refusal of ours must never look like the caller's own (Event Grid drops what it is refused).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a delivery failed; the set is closed."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    REJECTED = "rejected"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NETWORK_DENIED = "network_denied"
    NOT_FOUND = "not_found"
    DISABLED = "disabled"
    THROTTLED = "throttled"
    QUOTA_EXCEEDED = "quota_exceeded"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"

    @property
    def traits(self) -> Traits:
        """What follows from this reason."""
        return TRAITS[self]

    @property
    def is_refusal(self) -> bool:
        """Whether telemetry counts it as an authorization failure."""
        return self in REFUSALS


class Fault(StrEnum):
    """Whose fault a failure is."""

    EVENT = "event"
    ROUTE = "route"
    IDENTITY = "identity"
    NETWORK = "network"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class Traits:
    """What follows from a reason.

    Attributes:
        fault: whose fault it is; `Fault.EVENT` isolates the event, all others the destination.
        retried: whether the same send may succeed within seconds.
        redriven: whether the relay may redrive such dead letters by itself; else a person must.
        http_status: what a caller is told who waits for the outcome.
    """

    fault: Fault
    retried: bool
    redriven: bool
    http_status: int


TRAITS: Final = {
    Reason.MALFORMED: Traits(Fault.EVENT, retried=False, redriven=False, http_status=400),
    Reason.TOO_LARGE: Traits(Fault.EVENT, retried=False, redriven=False, http_status=413),
    Reason.REJECTED: Traits(Fault.EVENT, retried=False, redriven=False, http_status=422),
    Reason.UNAUTHENTICATED: Traits(
        Fault.IDENTITY, retried=False, redriven=True, http_status=503
    ),
    Reason.FORBIDDEN: Traits(Fault.IDENTITY, retried=False, redriven=True, http_status=503),
    Reason.NETWORK_DENIED: Traits(Fault.NETWORK, retried=False, redriven=True, http_status=503),
    Reason.NOT_FOUND: Traits(Fault.ROUTE, retried=False, redriven=False, http_status=503),
    Reason.DISABLED: Traits(Fault.ROUTE, retried=False, redriven=True, http_status=503),
    Reason.THROTTLED: Traits(Fault.LOAD, retried=True, redriven=True, http_status=429),
    Reason.QUOTA_EXCEEDED: Traits(Fault.LOAD, retried=False, redriven=True, http_status=503),
    Reason.TIMEOUT: Traits(Fault.NETWORK, retried=True, redriven=True, http_status=503),
    Reason.UNAVAILABLE: Traits(Fault.NETWORK, retried=True, redriven=True, http_status=503),
    Reason.UNKNOWN: Traits(Fault.NETWORK, retried=True, redriven=True, http_status=503),
}

REFUSALS: Final = frozenset(
    {Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.NETWORK_DENIED},
)


class DeliveryError(Exception):
    """A destination did not take what it was sent.

    A send takes events in order, so three numbers tell all: the first `accepted` events were
    taken, the error concerns the `suspects` that follow, and nothing after those was tried.

    Attributes:
        reason: why, in the relay's words.
        detail: why, in the destination's words; safe to print.
        accepted: how many leading events the destination has taken.
        suspects: how many events after those the error may concern; at least one.
    """

    def __init__(
        self, reason: Reason, detail: str, *, accepted: int = 0, suspects: int = 1
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.accepted = accepted
        self.suspects = suspects
