"""What an instance has, what the relay wants, and the difference; nothing is asked here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class EventRoute:
    """An event route of Azure Digital Twins.

    Attributes:
        id: unique in the instance; upper and lower case differ.
        endpoint: the endpoint's name, in which they don't, as in all names of resources.
        filter: which events it lets through.
    """

    id: str
    endpoint: str
    filter: str

    def leads_to(self, endpoint: str) -> bool:
        """Whether it leads to an endpoint."""
        return self.endpoint.lower() == endpoint.lower()


class Part(StrEnum):
    """What differs."""

    MISSING = "missing"
    """The event route isn't there."""
    ENDPOINT = "endpoint"
    """It leads to another endpoint."""
    FILTER = "filter"
    """It lets other events through."""
    EXTRA = "extra"
    """Another one leads to the endpoint as well, so that events arrive twice."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise than wanted.

    Attributes:
        part: what differs.
        id: of the event route.
        found: what is there; `None` where nothing is.
        wanted: what should be; `None` where nothing should.
    """

    part: Part
    id: str
    found: str | None
    wanted: str | None


def differences(wanted: EventRoute, found: Iterable[EventRoute]) -> tuple[Difference, ...]:
    """Compare what there is with the one event route that is wanted for its endpoint.

    Event routes of other endpoints are no concern, unless one has the wanted id.
    """
    by_id = {route.id: route for route in found}
    own = by_id.pop(wanted.id, None)
    extra = [
        Difference(Part.EXTRA, route.id, route.filter, None)
        for route in by_id.values()
        if route.leads_to(wanted.endpoint)
    ]
    return (*_own(wanted, own), *extra)


def _own(wanted: EventRoute, own: EventRoute | None) -> Iterable[Difference]:
    if own is None:
        yield Difference(Part.MISSING, wanted.id, None, wanted.filter)
        return
    if not own.leads_to(wanted.endpoint):
        yield Difference(Part.ENDPOINT, wanted.id, own.endpoint, wanted.endpoint)
    if own.filter.strip() != wanted.filter.strip():
        yield Difference(Part.FILTER, wanted.id, own.filter, wanted.filter)
