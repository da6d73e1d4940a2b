"""`routes`: the routes as the relay reads them, their filters, and which want an event."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from relay import ingress
from relay.event import Event
from relay.filters import Concern, lint
from relay.operations.console import (
    TROUBLE,
    AsJson,
    SettingsFile,
    give_up,
    out,
    read_settings,
    say_json,
)
from relay.operations.event_routes.command import command as event_routes
from relay.routing import key, match

if TYPE_CHECKING:
    from relay.filters import Finding
    from relay.ingress import Malformed
    from relay.routing import Route

app: Final = typer.Typer(help="See the routes, and which of them want an event.")

_TROUBLE: Final = frozenset({Concern.NEVER, Concern.SURPRISE})


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context, *, settings: SettingsFile = None, as_json: AsJson = False
) -> None:
    """Show the routes as the relay reads them, and what there is to know of their filters."""
    if context.invoked_subcommand is None:
        _show(read_settings(settings, as_json=as_json).routes, as_json=as_json)
    elif settings or as_json:
        name = context.invoked_subcommand
        give_up(f"write the options behind it: routes {name} …", as_json=as_json)


app.command("adt")(event_routes)


@app.command("lint")
def lint_filters(*, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Say where a filter could surprise; exit with 1 if one could."""
    routes = read_settings(settings, as_json=as_json).routes
    found = [(route, finding) for route in routes for finding in lint(route.filter.text)]
    if as_json:
        told = [{"route": r.name, **_finding(f)} for r, f in found]
        say_json({"findings": told})
    for route, finding in [] if as_json else found:
        out().print(f"{route.name}: {finding.text} {finding.remedy}".rstrip(), markup=False)
    if not found and not as_json:
        out().print(f"Nothing to say of {len(routes)} routes.")
    if any(finding.concern in _TROUBLE for _, finding in found):
        raise typer.Exit(TROUBLE)


@app.command("explain")
def explain(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CloudEvents in JSON, one or an array, or Event Grid's schema."
        ),
    ],
    *,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Say which routes want the events of a file; exit with 1 if some can't be read."""
    read = read_settings(settings, as_json=as_json)
    try:
        given = file.read_bytes()
    except OSError as error:
        give_up(f"can't read {file}: {error.strerror}", as_json=as_json)
    arrivals = ingress.from_caller([given], datetime.now(UTC), read.event_grid_source)
    contents = [arrival.content for arrival in arrivals]
    told = [_explained(content, read.routes) for content in contents]
    if as_json:
        say_json({"events": told})
    else:
        _say(told, [route.name for route in read.routes])
    if not all(isinstance(content, Event) for content in contents):
        raise typer.Exit(TROUBLE)


def _explained(content: Event | Malformed, routes: tuple[Route, ...]) -> dict[str, Any]:
    if not isinstance(content, Event):
        return {"error": content.detail, "wantedBy": []}
    return {
        "id": content.id,
        "source": content.source,
        "type": content.type,
        "key": key(content),
        "wantedBy": [route.name for route in match(routes, content)],
    }


def _say(told: list[dict[str, Any]], routes: list[str]) -> None:
    table = Table("event", "type", "key", *routes)
    for event in told:
        if "error" in event:
            table.add_row(f"can't be read: {event['error']}", "", "", *("" for _ in routes))
            continue
        wanted = ("wants it" if name in event["wantedBy"] else "-" for name in routes)
        table.add_row(event["id"], event["type"], event["key"], *wanted)
    out().print(table)


def _show(routes: tuple[Route, ...], *, as_json: bool) -> None:
    if as_json:
        say_json({"routes": [_as_json(route) for route in routes]})
        return
    table = Table("route", "destination", "filter", "to know")
    for route in routes:
        findings = "\n".join(finding.text for finding in lint(route.filter.text))
        where = f"{route.destination.connection}/{route.destination.entity}"
        table.add_row(route.name, where, route.filter.text, findings)
    out().print(table)


def _as_json(route: Route) -> dict[str, Any]:
    destination = route.destination
    return {
        "name": route.name,
        "filter": route.filter.text,
        "ordered": route.ordered,
        "destination": {
            "connection": destination.connection,
            "kind": destination.kind.value,
            "entity": destination.entity,
            "session": destination.session,
        },
        "findings": [_finding(finding) for finding in lint(route.filter.text)],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "concern": finding.concern.value,
        "text": finding.text,
        "remedy": finding.remedy,
    }
