"""The command line: it gathers the commands, each of which stands in a file of its own.

Exit codes: 0 all is well, 1 the command found or met trouble, 2 the settings or the arguments
are of no use.
"""

from __future__ import annotations

from typing import Final

import typer

from relay.operations import dead_letters, doctor, probe, roles, routes, security_report
from relay.operations.service_tags import commands as service_tags

app: Final = typer.Typer(
    name="python -m relay", no_args_is_help=True, pretty_exceptions_enable=False
)


@app.callback()
def relay() -> None:
    """See and mend what the function app of Twin Relay does."""


app.command("doctor")(doctor.command)
app.command("roles")(roles.command)
app.command("routes")(routes.command)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("probe")(probe.command)
app.command("security-report")(security_report.command)
app.add_typer(service_tags.app, name="service-tags")
