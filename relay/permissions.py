"""What may be done over HTTP, and the roles that allow it.

Actions are named as Azure names permission scopes. Whatever no role allows is denied. The ids
of the built-in roles never change: assignments in Entra name them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    type Roles = Mapping[str, frozenset[Action]]

_CUSTOM: Final = UUID("5a1c1e0b-51f3-4a35-8c55-7f3c2b0d9b64")


class Action(StrEnum):
    """What may be done."""

    ROUTES_READ = "routes/read"
    DEAD_LETTERS_READ = "deadLetters/read"
    DEAD_LETTERS_REDRIVE = "deadLetters/redrive/action"
    DOCTOR = "doctor/action"
    EVENTS_WRITE = "events/write"


TWINS: Final = "twins/*"
"""What the proxy for pages is asked for: no action here, since tokens for it are Azure Digital
Twins' own, and its role assignments decide."""


@dataclass(frozen=True, slots=True)
class AppRole:
    """A role of the Entra application that stands for the relay.

    Attributes:
        id: in every tenant the same.
        value: what stands in a token's claim `roles`.
        name: what the portal shows.
        description: whom it is for.
        actions: what it allows.
    """

    id: str
    value: str
    name: str
    description: str
    actions: frozenset[Action]


READER: Final = AppRole(
    "c82b9adb-4f5e-4305-8acf-da4734f2f82f",
    "Relay.Reader",
    "Twin Relay Reader",
    "See how routes fare and what waits in dead letters; change nothing.",
    frozenset({Action.ROUTES_READ, Action.DEAD_LETTERS_READ}),
)
OPERATOR: Final = AppRole(
    "bd566209-5b86-42d2-ba3e-2ab3b701cb08",
    "Relay.Operator",
    "Twin Relay Operator",
    "All that a reader may; redrive dead letters and run the doctor.",
    READER.actions | {Action.DEAD_LETTERS_REDRIVE, Action.DOCTOR},
)
SENDER: Final = AppRole(
    "8d190ff4-d805-4f21-b586-92fff8680d2b",
    "AzureEventGridSecureWebhookSubscriber",
    "Twin Relay Sender",
    "Send events to the webhook. The value is the one that Event Grid's own scripts create.",
    frozenset({Action.EVENTS_WRITE}),
)
BUILT_IN: Final = (READER, OPERATOR, SENDER)

SCOPES: Final = {
    "Relay.Read": ("40a99766-d1b7-4c51-a159-4d0ea0068da3", READER.actions),
    "Relay.Operate": ("173013c5-aa8d-4cde-b846-ab3ffbc9afa6", OPERATOR.actions),
}
"""What an application may do in the name of a user, whatever more the user may himself."""


class UnknownActionError(ValueError):
    """A pattern that no action matches."""


def matching(patterns: Iterable[str]) -> frozenset[Action]:
    """Return the actions that patterns such as `deadLetters/*` mean.

    Raises:
        UnknownActionError: naming the pattern that means none.
    """
    found: set[Action] = set()
    for pattern in patterns:
        meant = {action for action in Action if fnmatchcase(action, pattern)}
        if not meant or any(char in pattern for char in "?["):
            raise UnknownActionError(pattern)
        found |= meant
    return frozenset(found)


def all_roles(custom: Roles) -> dict[str, frozenset[Action]]:
    """Return the actions of every role by its value."""
    return {role.value: role.actions for role in BUILT_IN} | dict(custom)


def manifest(custom: Roles) -> dict[str, Any]:
    """Return what the Entra application's manifest needs: roles, and scopes for users."""
    own = [
        AppRole(
            str(uuid5(_CUSTOM, value)),
            value,
            value,
            f"May: {', '.join(sorted(actions))}.",
            actions,
        )
        for value, actions in sorted(custom.items())
    ]
    return {
        "appRoles": [_role(role) for role in (*BUILT_IN, *own)],
        "api": {"oauth2PermissionScopes": [_scope(value) for value in SCOPES]},
    }


def _role(role: AppRole) -> dict[str, Any]:
    """Events are sent by applications; all else is done by people too."""
    members = ["Application"] if role == SENDER else ["Application", "User"]
    return {
        "id": role.id,
        "value": role.value,
        "displayName": role.name,
        "description": role.description,
        "allowedMemberTypes": members,
        "isEnabled": True,
    }


def _scope(value: str) -> dict[str, Any]:
    scope_id, actions = SCOPES[value]
    may = f"May, where the user may: {', '.join(sorted(actions))}."
    return {
        "id": scope_id,
        "value": value,
        "type": "Admin",
        "adminConsentDisplayName": value,
        "adminConsentDescription": may,
        "isEnabled": True,
    }
