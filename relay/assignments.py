"""Role assignments: what the configuration needs, what there is, and how the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from relay.refusals import (
    BLOB_CONTRIBUTOR,
    BLOB_OWNER,
    EVENT_HUBS_RECEIVER,
    EVENT_HUBS_SENDER,
    METRICS_PUBLISHER,
    SERVICE_BUS_RECEIVER,
    SERVICE_BUS_SENDER,
    Role,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EVENT_HUBS_OWNER: Final = Role(
    "Azure Event Hubs Data Owner", "f526a384-b230-433a-b45c-95f59c4a2dec"
)
SERVICE_BUS_OWNER: Final = Role(
    "Azure Service Bus Data Owner", "090c5cfd-751d-490a-894a-3ce6f1109419"
)
BLOB_READER: Final = Role("Storage Blob Data Reader", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1")
READER: Final = Role("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7")
CONTRIBUTOR: Final = Role("Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c")
OWNER: Final = Role("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635")

_KNOWN: Final = {
    role.id: role
    for role in (
        EVENT_HUBS_SENDER,
        EVENT_HUBS_RECEIVER,
        EVENT_HUBS_OWNER,
        SERVICE_BUS_SENDER,
        SERVICE_BUS_RECEIVER,
        SERVICE_BUS_OWNER,
        BLOB_READER,
        BLOB_CONTRIBUTOR,
        BLOB_OWNER,
        METRICS_PUBLISHER,
        READER,
        CONTRIBUTOR,
        OWNER,
    )
}
_INCLUDED: Final = {
    EVENT_HUBS_OWNER.id: frozenset({EVENT_HUBS_SENDER.id, EVENT_HUBS_RECEIVER.id}),
    SERVICE_BUS_OWNER.id: frozenset({SERVICE_BUS_SENDER.id, SERVICE_BUS_RECEIVER.id}),
    BLOB_OWNER.id: frozenset({BLOB_CONTRIBUTOR.id, BLOB_READER.id}),
    BLOB_CONTRIBUTOR.id: frozenset({BLOB_READER.id}),
}
"""Which roles another one includes; *Owner* and *Contributor* include no data role."""
_OVER_RESOURCES: Final = frozenset({CONTRIBUTOR.id, OWNER.id})
_HARMLESS: Final = frozenset({READER.id, METRICS_PUBLISHER.id})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A role that the configuration needs.

    Attributes:
        subject: for what.
        identity: which identity, in words.
        object_id: its object id; `""` where no token told it.
        role: the role.
        scope: the narrowest scope that does.
    """

    subject: str
    identity: str
    object_id: str
    role: Role
    scope: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """A role assignment as Azure Resource Manager tells it.

    Attributes:
        id: its resource id.
        object_id: who holds it.
        role_id: the role's GUID.
        scope: where.
        created: when, in seconds since 1970; 0 where it does not say.
    """

    id: str
    object_id: str
    role_id: str
    scope: str
    created: float = 0.0

    @property
    def role(self) -> str:
        """What people call the role; its id where this list does not know it."""
        known = _KNOWN.get(self.role_id)
        return known.name if known else self.role_id

    def grants(self, role_id: str) -> bool:
        """Whether it is this role or one that includes it."""
        return role_id == self.role_id or role_id in _INCLUDED.get(self.role_id, ())

    def covers(self, scope: str) -> bool:
        """Whether it holds at a scope: there or above."""
        above, below = self.scope.rstrip("/").lower(), scope.rstrip("/").lower()
        return below == above or below.startswith(above + "/")

    def answers(self, wanted: Wanted) -> bool:
        """Whether it gives what is wanted."""
        return (
            self.object_id.lower() == wanted.object_id.lower()
            and self.grants(wanted.role.id)
            and self.covers(wanted.scope)
        )


@dataclass(frozen=True, slots=True)
class Excess:
    """An assignment that gives more than is needed, and why."""

    assigned: Assigned
    why: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Between what is needed and what there is.

    Attributes:
        missing: needed and not there.
        too_broad: there, and more than needed.
        unused: there, and needed by nothing.
    """

    missing: tuple[Wanted, ...]
    too_broad: tuple[Excess, ...]
    unused: tuple[Assigned, ...]

    @property
    def is_none(self) -> bool:
        """Whether all is as it should be."""
        return not (self.missing or self.too_broad or self.unused)


def difference(wanted: Sequence[Wanted], held: Iterable[Assigned]) -> Difference:
    """Compare what is needed with what there is."""
    mine = {each.object_id.lower() for each in wanted if each.object_id}
    found = [each for each in dict.fromkeys(held) if each.object_id.lower() in mine]
    too_broad = [Excess(each, why) for each in found for why in _excesses(each, wanted)]
    broad = {excess.assigned for excess in too_broad}
    return Difference(
        missing=tuple(each for each in wanted if not any(one.answers(each) for one in found)),
        too_broad=tuple(too_broad),
        unused=tuple(
            each
            for each in found
            if each.role_id in _KNOWN
            and each.role_id not in _HARMLESS
            and each not in broad
            and not any(each.answers(one) for one in wanted)
        ),
    )


def _excesses(assigned: Assigned, wanted: Sequence[Wanted]) -> Iterable[str]:
    """Yield what an assignment gives beyond what is needed of it."""
    if assigned.role_id in _OVER_RESOURCES:
        yield "it rules over resources, reads keys where there are any, and sends nothing"
        return
    answered = [each for each in wanted if assigned.answers(each)]
    if not answered:
        return
    scopes = sorted({each.scope for each in answered})
    if assigned.scope.rstrip("/").lower() not in {scope.lower() for scope in scopes}:
        yield f"its scope lies above what is needed: {', '.join(scopes)}"
    if all(each.role.id != assigned.role_id for each in answered):
        roles = sorted({each.role.name for each in answered})
        yield f"its role includes more than what is needed: {', '.join(roles)}"


def assigned_of(told: Mapping[str, Any]) -> Assigned:
    """Read one role assignment of Azure Resource Manager.

    Raises:
        KeyError: it is none.
    """
    properties = told["properties"]
    return Assigned(
        id=str(told["id"]),
        object_id=str(properties["principalId"]),
        role_id=str(properties["roleDefinitionId"]).rpartition("/")[2].lower(),
        scope=str(properties["scope"]),
        created=_moment(properties.get("createdOn")),
    )


def _moment(told: object) -> float:
    try:
        return datetime.fromisoformat(str(told)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
