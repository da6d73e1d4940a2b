"""`python -m lab up`: run the plant's local Azure and say how to use it."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from lab.azurite import AzuriteError
from lab.control_http import ControlServer
from lab.local_azure import LocalAzure
from lab.local_settings import LocalSettingsError, write_local_settings
from lab.plan import plant_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

IDENTITY_PORT: Final = 8461
STORAGE_PORT: Final = 8462
CONTROL_PORT: Final = 8463
EVENT_GRID_PORT: Final = 8465
MANAGEMENT_PORT: Final = 8466

ROUTES: Final = {"relay": {"RELAY_ROUTES_FILE": "lab/demo/routes.json"}}
"""The routes of the app that has some: the demo's, as a path from where it is deployed."""

WHAT_IT_IS: Final = (
    "A local Azure for development and tests: real protocols, real tokens, no real cloud. It "
    "forgets all events and blobs when it ends, was never compared with Azure itself, and is "
    "never to be deployed."
)


@dataclass(frozen=True, slots=True)
class Up:
    """What `lab up` was told.

    Attributes:
        app: whose settings to show.
        state_dir: where the signing key and the certificates are kept.
        block: the beginning of the namespaces' addresses.
        as_json: whether to print one JSON object instead of tables.
        local_settings: the file to write for Core Tools.
        identity_port, storage_port, control_port, event_grid_port, management_port: where to
            listen; 0 is any.
        proxied: whether a proxy stands before everything, to spoil connections.
    """

    app: str
    state_dir: Path
    block: str
    as_json: bool
    local_settings: Path | None
    identity_port: int
    storage_port: int
    control_port: int
    event_grid_port: int
    proxied: bool
    management_port: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = _parser().parse_args(arguments)
    options = vars(given)
    options.pop("command")
    try:
        asyncio.run(_up(Up(**options)))
    except (OSError, AzuriteError, LookupError, LocalSettingsError) as error:
        print(f"The lab can't start: {_text(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=WHAT_IT_IS)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run until Ctrl-C", description=WHAT_IT_IS)
    add = up.add_argument
    add("--app", default="relay", help="whose settings to show: relay, digital-twins, auditor")
    add("--json", dest="as_json", action="store_true", help="print one JSON object")
    add(
        "--local-settings",
        type=Path,
        metavar="FILE",
        help="write the settings into this local.settings.json, for Core Tools",
    )
    add("--state-dir", type=Path, default=Path(".lab"), help="where keys are kept")
    add("--block", default="127.0.0", help="the namespaces' addresses begin so")
    add("--identity-port", type=int, default=IDENTITY_PORT)
    add("--storage-port", type=int, default=STORAGE_PORT)
    add("--control-port", type=int, default=CONTROL_PORT)
    add("--event-grid-port", type=int, default=EVENT_GRID_PORT)
    add("--proxied", action="store_true", help="put a proxy that can misbehave before it all")
    add("--management-port", type=int, default=MANAGEMENT_PORT)
    return parser


async def _up(told: Up) -> None:
    asked_to_end = _asked_to_end()
    azure = LocalAzure(
        plant_plan(told.block),
        told.state_dir.absolute(),
        identity_port=told.identity_port,
        storage_port=told.storage_port,
        event_grid_port=told.event_grid_port,
        proxied=told.proxied,
        management_port=told.management_port,
    )
    async with azure:
        control = ControlServer(azure.control, port=told.control_port)
        await control.start()
        try:
            settings = azure.settings(told.app) | ROUTES.get(told.app, {})
            if told.local_settings is not None:
                write_local_settings(told.local_settings, settings)
            if told.as_json:
                _print_json(azure, settings, control.url)
            else:
                _print_tables(azure, settings, told, control.url)
            await asked_to_end.wait()
        finally:
            await control.stop()
    if not told.as_json:
        print("Ended: every process and port of the lab is gone.")


def _asked_to_end() -> asyncio.Event:
    """Return what is set by Ctrl-C, or by a polite request to end."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, asked.set)
    return asked


def _print_json(azure: LocalAzure, settings: Mapping[str, str], control: str) -> None:
    ready = {"settings": settings, "control": control, "state": azure.control.state()}
    print(json.dumps(ready), flush=True)


def _print_tables(
    azure: LocalAzure, settings: Mapping[str, str], told: Up, control: str
) -> None:
    console = Console()
    console.print(WHAT_IT_IS, "\n", highlight=False)
    heading = f"The settings of {told.app!r}; in a shell say 'set -a', then paste them:"
    assigned = (f"{name}={shlex.quote(value)}" for name, value in settings.items())
    _print_lines(console, [heading, "", *assigned, ""])
    console.print(_roles_table(azure))
    example = '{"identity": "relay", "role": "Azure Event Hubs Data Sender", '
    example += '"scope": "analytics/telemetry"}'
    lines = [
        f"What else can be done to it: curl {control}/",
        f"What it holds now:           curl {control}/state",
        f"Take a role away:            curl {control}/roles/revoke --json '{example}'",
        *_core_tools(azure, told),
        "Ctrl-C ends it.",
    ]
    _print_lines(console, lines)


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print lines as they are, however long, so that what is copied from them is whole."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _roles_table(azure: LocalAzure) -> Table:
    table = Table(title="Who may do what", title_justify="left")
    for column in ("identity", "role", "scope"):
        table.add_column(column, overflow="fold")
    short = {scope: name for name, scope in azure.control.scopes().items()}
    for each in azure.directory.assignments():
        identity = azure.directory.principal(each.object_id).name
        table.add_row(identity, each.role.name, short.get(each.scope, each.scope))
    return table


def _core_tools(azure: LocalAzure, told: Up) -> list[str]:
    """Say how Core Tools runs the app here: its .NET part trusts what OpenSSL is told to.

    It takes Python from the active virtual environment. docs/local.md says the same.
    """
    if told.local_settings is None:
        return []
    ca_file = shlex.quote(str(azure.tls.ca_file))
    return [
        "Run the app with Core Tools, in another terminal:",
        f"  . .venv/bin/activate && SSL_CERT_FILE={ca_file} func start",
    ]


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
