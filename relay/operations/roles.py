"""`roles`: the role assignments that the settings need, and how Azure's differ from them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from relay import bicep
from relay.assignments import Assigned, Difference, Wanted, difference
from relay.identity import Identity
from relay.needs import needs_of, needs_of_the_host
from relay.operations.console import (
    TROUBLE,
    AsJson,
    SettingsFile,
    err,
    out,
    read_settings,
    say_json,
    silence_sdks,
)
from relay.operations.management import Management, MayNotReadError, NotAnsweredError
from relay.tokens import claims_of

if TYPE_CHECKING:
    from relay.needs import Need
    from relay.settings import ManagedIdentity, Settings

_TOKEN_SECONDS: Final = 20.0


class Format(StrEnum):
    """How the assignments are written."""

    TEXT = "text"
    AZ = "az"
    BICEP = "bicep"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Roles:
    """What the settings need and what there is.

    Attributes:
        wanted: the assignments that are needed.
        needs: for what, one for each.
        difference: to what is assigned; `None` where that was not asked or may not be read.
        unread: why it could not be read.
    """

    wanted: tuple[Wanted, ...]
    needs: tuple[Need, ...]
    difference: Difference | None = None
    unread: str = ""


def command(
    *,
    settings: SettingsFile = None,
    how: Annotated[
        Format, typer.Option("--format", help="Write text, az commands, Bicep or JSON.")
    ] = Format.TEXT,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Ask Azure what is assigned, and show the difference."),
    ] = False,
    in_json: AsJson = False,
) -> None:
    """Show the role assignments that the settings need, each at its narrowest scope."""
    how = Format.JSON if in_json else how
    silence_sdks()
    told = read_settings(settings, as_json=how is Format.JSON)
    roles = asyncio.run(find(told, compare=compare))
    _WRITE[how](roles)
    if compare and (roles.difference is None or not roles.difference.is_none):
        raise typer.Exit(TROUBLE)


async def find(settings: Settings, *, compare: bool) -> Roles:
    """Find out what is needed and, if asked, what is assigned."""
    needs = (*needs_of(settings), *needs_of_the_host(settings))
    identities = {
        need.identity: Identity(
            need.identity.client_id, need.identity.resource_id, retried=False
        )
        for need in needs
    }
    try:
        ids = {
            which: await _object_id(identity, settings, compare=compare)
            for which, identity in identities.items()
        }
        wanted = tuple(_wanted(need, ids[need.identity]) for need in needs)
        if not compare:
            return Roles(wanted, needs)
        return await _compared(settings, needs, wanted, identities)
    finally:
        for identity in identities.values():
            await identity.close()


async def _object_id(identity: Identity, settings: Settings, *, compare: bool) -> str:
    """Return whom roles are assigned to; only a token tells, and none is asked in vain."""
    if not compare:
        return ""
    try:
        async with asyncio.timeout(_TOKEN_SECONDS):
            token = await identity.get_token(f"{settings.cloud.management}/.default")
    except Exception:  # noqa: BLE001 - whatever it is, there is no object id
        return ""
    return claims_of(token.token).object_id


def _wanted(need: Need, object_id: str) -> Wanted:
    resource = need.resource
    return Wanted(need.subject, need.identity.name, object_id, resource.role, resource.scope)


async def _compared(
    settings: Settings,
    needs: tuple[Need, ...],
    wanted: tuple[Wanted, ...],
    identities: dict[ManagedIdentity, Identity],
) -> Roles:
    unknown = [need.setting for need in needs if not need.resource.resource_id]
    if not all(each.object_id for each in wanted):
        return Roles(wanted, needs, unread="the identity endpoint gave no token to ask with")
    management = Management(settings, tuple(identities.values()))
    accounts = {need.resource.resource_id for need in needs if need.resource.resource_id}
    whose = {each.object_id for each in wanted}
    held: list[Assigned] = []
    try:
        for account in sorted(accounts):
            for object_id in sorted(whose):
                held += await management.assigned_around(account, object_id)
    except (MayNotReadError, NotAnsweredError) as error:
        return Roles(wanted, needs, unread=str(error))
    known = tuple(
        each for each, need in zip(wanted, needs, strict=True) if need.resource.resource_id
    )
    names = ", ".join(dict.fromkeys(f"{name}__resourceId" for name in unknown))
    told = f"not compared with what is assigned, since not set: {names}" if unknown else ""
    return Roles(wanted, needs, difference(known, held), told)


# How it is written


def _as_text(roles: Roles) -> None:
    for each in roles.wanted:
        out().print(Text(each.subject, style="bold"))
        out().print(Text(f"  {each.role.name} ({each.role.id})"))
        out().print(Text(f"  for the {each.identity}"))
        out().print(Text(f"  at {each.scope}"))
    _show_difference(roles)


def _as_az(roles: Roles) -> None:
    for each, need in zip(roles.wanted, roles.needs, strict=True):
        out().print(Text(f"# {each.subject}: {each.role.name}, for the {each.identity}"))
        out().print(Text(_az(each, need)))
    _show_difference(roles)


def _az(wanted: Wanted, need: Need) -> str:
    return (
        "az role assignment create "
        f"--assignee-object-id {wanted.object_id or "'<object-id>'"} "
        f"--assignee-principal-type ServicePrincipal --role {wanted.role.id} "
        f"--scope {need.resource.scope_argument}"
    )


def _as_bicep(roles: Roles) -> None:
    out().print(Text(bicep.assignments(roles.needs)))
    _show_difference(roles)


def _as_json(roles: Roles) -> None:
    say_json(as_json(roles))


def as_json(roles: Roles) -> dict[str, Any]:
    """Return one object for machines."""
    found: dict[str, Any] = {
        "needed": [
            _wanted_json(each) | {"command": _az(each, need)}
            for each, need in zip(roles.wanted, roles.needs, strict=True)
        ]
    }
    if roles.unread:
        found["unread"] = roles.unread
    if roles.difference is not None:
        found["difference"] = {
            "missing": [_wanted_json(each) for each in roles.difference.missing],
            "too_broad": [
                _assigned_json(each.assigned) | {"why": each.why}
                for each in roles.difference.too_broad
            ],
            "unused": [_assigned_json(each) for each in roles.difference.unused],
        }
    return found


def _wanted_json(wanted: Wanted) -> dict[str, Any]:
    return {
        "subject": wanted.subject,
        "identity": wanted.identity,
        "object_id": wanted.object_id or None,
        "role": wanted.role.name,
        "role_id": wanted.role.id,
        "scope": wanted.scope,
    }


def _assigned_json(assigned: Assigned) -> dict[str, Any]:
    return {
        "id": assigned.id,
        "object_id": assigned.object_id,
        "role": assigned.role,
        "role_id": assigned.role_id,
        "scope": assigned.scope,
    }


def _show_difference(roles: Roles) -> None:
    if roles.unread:
        err().print(Text(roles.unread, style="yellow"))
    if roles.difference is None:
        return
    found = roles.difference
    if found.is_none:
        err().print(Text("What is assigned is what is needed.", style="green"))
    for each in found.missing:
        err().print(Text(f"missing: {each.role.name} at {each.scope}", style="red"))
    for excess in found.too_broad:
        one = excess.assigned
        err().print(Text(f"too broad: {one.role} at {one.scope}: {excess.why}", style="red"))
    for unused in found.unused:
        err().print(Text(f"unused: {unused.role} at {unused.scope}", style="yellow"))


_WRITE: Final = {
    Format.TEXT: _as_text,
    Format.AZ: _as_az,
    Format.BICEP: _as_bicep,
    Format.JSON: _as_json,
}
