"""`app-roles`: the roles of the Entra application that stands for the relay."""

from __future__ import annotations

import json

import typer
from rich.table import Column, Table

from relay.operations.console import AsJson, SettingsFile, out, read_settings
from relay.permissions import all_roles, manifest


def command(*, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Print the roles and what each allows; as JSON, the application's manifest.

    Without settings, the built-in roles; with them, those that ACCESS_ROLES adds as well.
    """
    custom = {}
    if settings is not None:
        api = read_settings(settings, as_json=as_json).api
        custom = dict(api.roles) if api else {}
    told = manifest(custom)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    actions = all_roles(custom)
    columns = [Column(name, overflow="fold") for name in ("role", "id", "actions")]
    table = Table(*columns)
    for role in told["appRoles"]:
        allowed = ", ".join(sorted(actions[role["value"]]))
        table.add_row(role["value"], role["id"], allowed)
    out().print(table)
