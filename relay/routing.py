"""Routes, and which of them want an event."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from relay.filters import Filter, View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.event import Event

LONGEST_NAME: Final = 128
"""Characters of a session id, partition key or message id, by the services' quotas."""


class Kind(StrEnum):
    """Kinds of destination; the value is the word that a route's JSON uses."""

    EVENT_HUB = "eventHub"
    QUEUE = "queue"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True)
class Destination:
    """The entity that a route names.

    Attributes:
        connection: the settings' prefix of its namespace, such as `ANALYTICS`.
        kind: what it is.
        entity: its name in the namespace.
        session: whether messages carry a session id, which a sessionful entity demands.
    """

    connection: str
    kind: Kind
    entity: str
    session: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A name, what it wants, and where that goes.

    Attributes:
        ordered: whether events of one twin must reach the destination in their order.
    """

    name: str
    filter: Filter
    destination: Destination
    ordered: bool = True


def match(routes: Iterable[Route], event: Event) -> list[Route]:
    """Return the routes that want an event, in their declared order; none is an answer too."""
    view = View(event)
    return [route for route in routes if route.filter(view)]


def key(event: Event) -> str:
    """Return what keeps an event in order inside a destination; never empty.

    The `partitionkey` extension when the event has one (CloudEvents Partitioning), else its
    twin, else its source.
    """
    return fitting(event.text("partitionkey") or event.twin_id or event.source)


def fitting(name: str) -> str:
    """Return a name as the services take it: one that is too long, by its digest.

    Equal names stay equal, which is all that order and duplicate detection need.
    """
    if len(name) <= LONGEST_NAME:
        return name
    return "sha256-" + hashlib.sha256(name.encode()).hexdigest()
