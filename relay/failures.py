"""Why a delivery failed, whose fault that is, and what may be done about it.

| reason          | fault    | retried here | isolates    | redriven by | HTTP |
|-----------------|----------|--------------|-------------|-------------|------|
| malformed       | event    | no           | event       | nobody      | 400  |
| too_large       | event    | no           | event       | person      | 413  |
| rejected        | event    | no           | event       | person      | 422  |
| unauthenticated | identity | no           | destination | relay       | 503  |
| forbidden       | identity | no           | destination | relay       | 503  |
| network_denied  | network  | no           | destination | relay       | 503  |
| not_found       | route    | no           | destination | relay       | 503  |
| disabled        | route    | no           | destination | relay       | 503  |
| not_allowed     | route    | no           | destination | relay       | 503  |
| throttled       | load     | yes          | destination | relay       | 429  |
| quota_exceeded  | load     | no           | destination | relay       | 503  |
| timeout         | network  | no           | destination | relay       | 503  |
| unavailable     | network  | yes          | destination | relay       | 503  |
| unknown         | network  | yes          | destination | relay       | 503  |

A failure that is the *event's* fault isolates the event: its neighbours go on without it, and
its dead letter waits for a person. Every other failure is the destination's: the events behind
it share its fate, and the relay redrives them once the destination answers again, though often
enough a person must mend that first: grant a role, create an entity. A time-out is not retried
here, since it has cost its seconds already: a redrive will tell.

The value of a `Reason` is what telemetry calls `error.type` and what a dead letter carries;
there is no other list. HTTP is the status for a caller who waits: 503 and 429 say "later",
because a refusal of ours must never look like the caller's own (Event Grid drops what it is
refused).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relay.redaction import redacted


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
    NOT_ALLOWED = "not_allowed"
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


class Redriver(StrEnum):
    """Who sends again what failed, once the reason is gone."""

    RELAY = "relay"
    PERSON = "person"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Traits:
    """What follows from a reason.

    Attributes:
        fault: whose fault it is; `Fault.EVENT` isolates the event, all others the destination.
        retried: whether the same send may succeed within seconds.
        http_status: what a caller is told who waits for the outcome.
        redriven_by: who sends it again.
    """

    fault: Fault
    retried: bool
    http_status: int
    redriven_by: Redriver = Redriver.RELAY

    @property
    def isolates_event(self) -> bool:
        """Whether the event alone is to blame, not its destination."""
        return self.fault is Fault.EVENT


TRAITS: Final = {
    Reason.MALFORMED: Traits(
        Fault.EVENT, retried=False, http_status=400, redriven_by=Redriver.NOBODY
    ),
    Reason.TOO_LARGE: Traits(
        Fault.EVENT, retried=False, http_status=413, redriven_by=Redriver.PERSON
    ),
    Reason.REJECTED: Traits(
        Fault.EVENT, retried=False, http_status=422, redriven_by=Redriver.PERSON
    ),
    Reason.UNAUTHENTICATED: Traits(Fault.IDENTITY, retried=False, http_status=503),
    Reason.FORBIDDEN: Traits(Fault.IDENTITY, retried=False, http_status=503),
    Reason.NETWORK_DENIED: Traits(Fault.NETWORK, retried=False, http_status=503),
    Reason.NOT_FOUND: Traits(Fault.ROUTE, retried=False, http_status=503),
    Reason.DISABLED: Traits(Fault.ROUTE, retried=False, http_status=503),
    Reason.NOT_ALLOWED: Traits(Fault.ROUTE, retried=False, http_status=503),
    Reason.THROTTLED: Traits(Fault.LOAD, retried=True, http_status=429),
    Reason.QUOTA_EXCEEDED: Traits(Fault.LOAD, retried=False, http_status=503),
    Reason.TIMEOUT: Traits(Fault.NETWORK, retried=False, http_status=503),
    Reason.UNAVAILABLE: Traits(Fault.NETWORK, retried=True, http_status=503),
    Reason.UNKNOWN: Traits(Fault.NETWORK, retried=True, http_status=503),
}

LONGEST_DETAIL: Final = 1024
"""Characters of its detail that a dead letter keeps."""

REFUSALS: Final = frozenset(
    {Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.NETWORK_DENIED},
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The whole explanation of one refusal; every field is safe to print.

    Attributes:
        cause: what is wrong, in one sentence.
        remedy: the command that mends it, as any shell takes it; what is not known stands in it
            as a quoted placeholder.
    """

    reason: Reason
    identity: str
    client_id: str
    object_id: str
    destination: str
    audience: str
    role: str
    role_id: str
    scope: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        """Say it to the person on call."""
        return f"{self.cause}{_TO_MEND}{self.remedy}"


_TO_MEND: Final = " To mend it: "


def explained(words: str) -> tuple[str, str]:
    """Take a refusal's words apart again: what is wrong, and the command that mends it.

    The command is left out where the words were cut, and where they are no refusal's.
    """
    cause, mend, remedy = words.partition(_TO_MEND)
    return (cause, remedy) if mend and len(words) < LONGEST_DETAIL else (cause, "")


class DeliveryError(Exception):
    """A destination did not take what it was sent.

    A send takes events in order, so three numbers tell all: the first `accepted` events were
    taken, the error concerns the `suspects` that follow, and nothing after those was tried.

    Attributes:
        reason: why, in the relay's words.
        detail: why, in the destination's words; safe to print.
        accepted: how many leading events the destination has taken.
        suspects: how many events after those the error may concern; at least one.
        refusal: the explanation, where it is one.
        wait: seconds that the destination asks for before the next attempt.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        accepted: int = 0,
        suspects: int = 1,
        refusal: Refusal | None = None,
        wait: float = 0.0,
    ) -> None:
        detail = redacted(detail)  # a service may echo what it was shown
        super().__init__(f"{reason}: {detail if refusal is None else refusal}")
        self.reason = reason
        self.detail = detail
        self.accepted = accepted
        self.suspects = suspects
        self.refusal = refusal
        self.wait = wait
