"""The command line: it gathers the commands, each of which stands in a file of its own.

Exit codes: 0 all is well, 1 the command found or met trouble, 2 the settings or the arguments
are of no use.
"""

from __future__ import annotations

from typing import Final

import typer

from relay.operations import (
    app_roles,
    dead_letters,
    doctor,
    probe,
    roles,
    routes,
    security_report,
)
from relay.operations.service_tags import commands as service_tags


def relay() -> None:
    """See and mend what the function app of Twin Relay does."""


def build(*, completes: bool = False) -> typer.Typer:
    """Gather the commands.

    Args:
        completes: whether shells are offered to complete them, which only one word lets them.
    """
    built = typer.Typer(
        name="python -m relay",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=completes,
    )
    built.callback()(relay)
    built.command("app-roles")(app_roles.command)
    built.add_typer(dead_letters.app, name="dead-letters")
    built.command("doctor")(doctor.command)
    built.command("probe")(probe.command)
    built.command("roles")(roles.command)
    built.command("security-report")(security_report.command)
    built.add_typer(routes.app, name="routes")
    built.add_typer(service_tags.app, name="service-tags")
    return built


app: Final = build()
