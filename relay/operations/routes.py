"""`routes`: the routes as the relay reads them, and what there is to know of their filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from relay.filters import lint
from relay.operations.console import AsJson, SettingsFile, out, read_settings, say_json

if TYPE_CHECKING:
    from relay.routing import Route


def command(*, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Show the routes as the relay reads them, and lint their filters."""
    routes = read_settings(settings, as_json=as_json).routes
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
        "findings": [
            {"concern": f.concern.value, "text": f.text, "remedy": f.remedy}
            for f in lint(route.filter.text)
        ],
    }
