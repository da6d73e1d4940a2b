"""What the event path tells to whoever listens: facts, and it never asks anything back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.dead_letters import Backlog, DeadLetter
    from relay.failures import DeliveryError
    from relay.ingress import Arrival
    from relay.routing import Route


@dataclass(frozen=True, slots=True)
class Delivered:
    """A destination accepted events, the last of them at the given attempt (1 is the first)."""

    route: Route
    arrivals: Sequence[Arrival]
    attempts: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt to send one batch succeeded, within so many seconds."""

    route: Route
    arrivals: Sequence[Arrival]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """One attempt at a destination failed; others may follow.

    Attributes:
        arrivals: what was to be sent; nothing where the destination was only probed.
        seconds: how long the attempt took.
    """

    route: Route
    error: DeliveryError
    arrivals: Sequence[Arrival] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """Events are durable in Blob instead of being delivered.

    Attributes:
        error: what is wrong with the destination; `None` while nothing is known against it.
    """

    route: Route
    letters: Sequence[DeadLetter]
    error: DeliveryError | None = None


@dataclass(frozen=True, slots=True)
class Redriven:
    """A destination accepted so many dead letters after all, and left so many others."""

    route: Route
    count: int
    left: int = 0


@dataclass(frozen=True, slots=True)
class MalformedKept:
    """So many messages could not be read and are durable in Blob."""

    letters: Sequence[DeadLetter]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A blob among a route's dead letters can't be read; it is left where it is."""

    route: Route
    blob: str


@dataclass(frozen=True, slots=True)
class Unrouted:
    """No route wanted so many events."""

    count: int


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was not taken; the status is the answer's, 4xx or 5xx.

    Attributes:
        detail: why.
        action: what was asked for, `""` for what is no action or is there for everybody.
        caller: who asked, `""` while that is not known.
    """

    status: int
    detail: str
    action: str = ""
    caller: str = ""


@dataclass(frozen=True, slots=True)
class ServiceTagsLooked:
    """The ranges of a service were compared with those that the rules are made of."""

    tag: str
    added: Sequence[str]
    removed: Sequence[str]


@dataclass(frozen=True, slots=True)
class ServiceTagsRefused:
    """Azure Resource Manager, or the identity endpoint for it, let nobody see the ranges."""

    error: DeliveryError


@dataclass(frozen=True, slots=True)
class BlobFailed:
    """A call of Blob storage failed, whomever it was for."""

    error: DeliveryError


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What is in Blob for a route, whichever instance of the app put it there."""

    route: Route
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class Knocked:
    """Somebody tried whether an ingress lets the relay in.

    Attributes:
        ingress: what people call it, as the doctor does.
        error: why it does not, `None` if it does.
    """

    ingress: str
    error: DeliveryError | None = None


@dataclass(frozen=True, slots=True)
class BlobLooked:
    """Somebody looked into Blob, and could or could not; a failure is told as such, too."""

    error: DeliveryError | None = None


type Fact = (
    Delivered
    | Sent
    | Failed
    | DeadLettered
    | Redriven
    | MalformedKept
    | Unreadable
    | Unrouted
    | RequestRefused
    | ServiceTagsLooked
    | ServiceTagsRefused
    | BlobFailed
    | Surveyed
    | Knocked
    | BlobLooked
)
type Observer = Callable[[Fact], None]
"""Hears facts as they happen; must be quick and must not raise."""


def tell_all(*observers: Observer) -> Observer:
    """Make one observer of several."""

    def tell(fact: Fact) -> None:
        for observer in observers:
            observer(fact)

    return tell
