"""`routes adt`: the event route that brings the relay its events, compared and put right."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from relay.filters import Concern, FilterError, lint, widened
from relay.operations.console import (
    TROUBLE,
    AsJson,
    SettingsFile,
    environment,
    err,
    give_up,
    out,
    read_settings,
    say_json,
    silence_sdks,
)
from relay.operations.event_routes.explaining import Attempt, explained
from relay.operations.event_routes.instance import Instance
from relay.operations.event_routes.patience import Patience, TroubleError
from relay.operations.event_routes.plan import Difference, EventRoute, Part
from relay.operations.event_routes.settling import Course, compare, settle
from relay.operations.event_routes.sign_in import SignIn, credential
from relay.operations.reaching import is_private, resolve
from relay.settings import SettingsError, is_in_azure, is_twins_address, routes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.operations.event_routes.sign_in import Credential

_WHEN_APPLYING: Final = 600
"""Seconds: as long as a role assignment takes at most."""
_WHEN_COMPARING: Final = 30


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done.

    Attributes:
        address: of the instance.
        wanted: the event route.
        applies: whether to change what differs.
        prunes: whether to delete others that lead to the endpoint.
        seconds: how long to try.
        ca_file: authorities to trust instead of the public ones.
    """

    address: str
    wanted: EventRoute
    applies: bool
    prunes: bool
    seconds: float
    ca_file: str | None

    @property
    def host(self) -> str:
        """The instance's host name."""
        return urlsplit(self.address).hostname or self.address


def command(
    *,
    endpoint: Annotated[
        str, typer.Option(help="The instance's endpoint that leads to the relay.")
    ],
    applies: Annotated[
        bool,
        typer.Option("--apply/--diff", help="Change what differs, or only say it."),
    ] = False,
    instance: Annotated[
        str, typer.Option(help="The instance's host name; else TWINS_URL says it.")
    ] = "",
    route_id: Annotated[
        str, typer.Option(help="Of the event route; twin-relay-<endpoint> unless given.")
    ] = "",
    filter_: Annotated[
        str,
        typer.Option(
            "--filter", help="Let these events through, instead of all that routes want."
        ),
    ] = "",
    routes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read the routes alone, and no settings: as RELAY_ROUTES."
        ),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Delete other event routes that lead to this endpoint."),
    ] = False,
    wait: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help=f"How long to try; {_WHEN_APPLYING} with --apply, else {_WHEN_COMPARING}.",
        ),
    ] = None,
    sign_in: Annotated[
        SignIn, typer.Option(help="Whose sign-in counts; auto finds one.")
    ] = SignIn.AUTO,
    client_id: Annotated[str, typer.Option(help="Of a user-assigned managed identity.")] = "",
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare Azure Digital Twins' event route with what the routes want; exit 1 on drift.

    It lets through all that any route of the relay wants, and more where filters of Azure
    Digital Twins can't say it. --apply creates or changes this event route, and no other.
    """
    silence_sdks()
    if prune and not applies:
        give_up("--prune goes with --apply: --diff changes nothing", as_json=as_json)
    told = environment(settings, as_json=as_json)
    wish = Wish(
        _address(instance or told.get("TWINS_URL", ""), as_json=as_json),
        EventRoute(
            route_id or f"twin-relay-{endpoint}",
            endpoint,
            _filter(filter_, routes, settings, as_json=as_json),
        ),
        applies,
        prune,
        (_WHEN_APPLYING if applies else _WHEN_COMPARING) if wait is None else wait,
        told.get("RELAY_CA_FILE") or None,
    )
    course = Course()
    who = _signed_in(sign_in, client_id, as_json=as_json)
    trouble = asyncio.run(_run(wish, who, course))
    _tell(wish, course, trouble, as_json=as_json)
    if trouble or (course.differs and not applies):
        raise typer.Exit(TROUBLE)


def _address(instance: str, *, as_json: bool) -> str:
    if not instance:
        give_up("say which instance: --instance <host name>, or TWINS_URL", as_json=as_json)
    address = instance.strip().rstrip("/").lower()
    address = address if "://" in address else f"https://{address}"
    if not is_twins_address(address, is_local=not is_in_azure(os.environ)):
        give_up(
            f"{instance} is no instance of Azure Digital Twins: give its host name, such as "
            "plant.api.weu.digitaltwins.azure.net",
            as_json=as_json,
        )
    return address


def _filter(given: str, file: Path | None, settings: Path | None, *, as_json: bool) -> str:
    """Return the filter that is given, or the one that all routes together need."""
    if given:
        return _checked(given, as_json=as_json)
    if file is None:
        whole = read_settings(settings, as_json=as_json).routes
        return widened(route.filter.text for route in whole)
    try:
        alone = routes_of(str(file), file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        give_up(f"can't read {file}: {why}", as_json=as_json)
    except SettingsError as error:
        give_up(str(error), as_json=as_json)
    return widened(route.filter.text for route in alone)


def _checked(text: str, *, as_json: bool) -> str:
    try:
        findings = lint(text)
    except FilterError as error:
        give_up(f"--filter does not parse: {error}", as_json=as_json)
    for finding in findings:
        if finding.concern is Concern.EXTENSION:
            give_up(f"--filter: {finding.text} {finding.remedy}", as_json=as_json)
    return text


def _signed_in(how: SignIn, client_id: str, *, as_json: bool) -> Credential:
    try:
        return credential(how, client_id, os.environ)
    except ValueError as error:
        give_up(f"--sign-in {how}: {error}", as_json=as_json)


async def _run(wish: Wish, who: Credential, course: Course) -> str:
    """Do it; return what went wrong, or `""`."""
    instance = Instance(wish.address, who, wish.ca_file)
    patience = Patience(wish.seconds, lambda text: err().print(text, markup=False, style="dim"))
    try:
        if wish.applies:
            await settle(instance, wish.wanted, patience, course, prunes=wish.prunes)
        else:
            await compare(instance, wish.wanted, patience, course)
    except TroubleError as trouble:
        attempt = Attempt(
            wish.host,
            wish.wanted,
            who.principal,
            wish.applies,
            course.found or (),
            await _is_inside(wish.host),
        )
        return explained(trouble, attempt)
    finally:
        await who.close()
    return ""


async def _is_inside(host: str) -> bool:
    try:
        addresses = await resolve(host, 443)
    except OSError:
        return False
    return all(map(is_private, addresses))


def _tell(wish: Wish, course: Course, trouble: str, *, as_json: bool) -> None:
    if as_json:
        say_json(_as_json(wish, course, trouble))
        return
    _show(wish, course)
    if trouble:
        err().print(trouble, markup=False, style="red")


def _show(wish: Wish, course: Course) -> None:
    say = out()
    if not wish.applies:
        for each in course.differs:
            say.print(_in_words(each, wish.wanted), markup=False)
    for done in course.done:
        say.print(done, markup=False)
    if course.found is not None and not (course.differs or course.done):
        say.print(f"Nothing differs: {_described(wish.wanted)}", markup=False)
    if wish.applies and not wish.prunes:
        for each in course.extra:
            err().print(_in_words(each, wish.wanted), markup=False, style="yellow")


def _described(route: EventRoute) -> str:
    return f"{route.id} leads to {route.endpoint} with the filter: {route.filter}"


def _in_words(difference: Difference, wanted: EventRoute) -> str:
    if difference.part is Part.MISSING:
        return f"missing: {_described(wanted)}"
    if difference.part is Part.EXTRA:
        return (
            f"extra: {difference.id} leads to {wanted.endpoint} too, so that events arrive "
            "twice; --apply --prune deletes it"
        )
    return (
        f"{difference.part} of {difference.id} differs:\n"
        f"  is      {difference.found}\n"
        f"  should  {difference.wanted}"
    )


def _as_json(wish: Wish, course: Course, trouble: str) -> Mapping[str, Any]:
    return {
        "instance": wish.host,
        "eventRoute": {
            "id": wish.wanted.id,
            "endpointName": wish.wanted.endpoint,
            "filter": wish.wanted.filter,
        },
        "differences": [
            {
                "part": each.part.value,
                "id": each.id,
                "found": each.found,
                "wanted": each.wanted,
            }
            for each in course.differs
        ],
        "done": course.done,
        **({"error": trouble} if trouble else {}),
    }
