"""`doctor`: whether the relay can reach and may use everything that its settings name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Column, Table
from rich.text import Text

from relay.causes import Cause
from relay.operations.checks import Check, Outcome, Report, Step, Verdict, failed
from relay.operations.console import (
    APP,
    AsJson,
    SettingsFile,
    environment,
    err,
    out,
    say_json,
    silence_sdks,
)
from relay.operations.examination import Examination
from relay.settings import Settings, SettingsError, read

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKS: Final = {
    Outcome.PASSED: Text("passed", style="green"),
    Outcome.FAILED: Text("FAILED", style="bold red"),
    Outcome.SKIPPED: Text("skipped", style="dim"),
}


def command(*, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Check name, network, TLS, token, role and link of everything that the settings name."""
    silence_sdks()
    report = asyncio.run(_examine(environment(settings, as_json=as_json), quiet=as_json))
    if as_json:
        say_json(report.as_json())
    else:
        _show(report)
    raise typer.Exit(report.verdict.exit_code)


async def as_json(values: Mapping[str, str]) -> dict[str, Any]:
    """Examine what app settings name, and return what an HTTP surface may answer with."""
    return (await _examine(values, quiet=True)).as_json()


async def _examine(values: Mapping[str, str], *, quiet: bool) -> Report:
    try:
        told = read(values, APP)
    except SettingsError as error:
        return _unusable(error)
    if quiet:
        return await Examination(told).run()
    return await _watched(told)


def _unusable(error: SettingsError) -> Report:
    return Report(
        tuple(
            failed(
                problem.setting,
                Step.SETTINGS,
                Cause.SETTINGS_UNUSABLE,
                f"{problem.setting}: {problem.what.rstrip('.')}. {problem.remedy}.",
            )
            for problem in error.problems
        )
    )


async def _watched(told: Settings) -> Report:
    columns = SpinnerColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task("examining")
        done = 0

        def on_check(check: Check) -> None:
            nonlocal done
            done += 1
            progress.update(task, description=f"{done} checks; {check.subject}: {check.step}")

        return await Examination(told, on_check=on_check).run()


def _show(report: Report) -> None:
    table = Table("subject", "step", "", Column("seen", overflow="fold"))
    for check in report.checks:
        table.add_row(check.subject, check.step, _MARKS[check.outcome], Text(check.detail))
    out().print(table)
    for check in report.checks:
        if check.cause is not None:
            _explain(check)
    words = {
        Verdict.WELL: Text("All is well.", style="green"),
        Verdict.FAILED: Text("Something is not as it should be.", style="bold red"),
        Verdict.UNUSABLE: Text("The settings are of no use.", style="bold red"),
    }
    out().print(words[report.verdict])


def _explain(check: Check) -> None:
    assert check.cause is not None
    console = out()
    console.print(Text(f"\n{check.subject}, {check.step}: {check.cause}", style="bold"))
    for sentence in (check.cause.meaning, check.cause.advice):
        console.print(Text(f"  {sentence.replace('*', '')}"))  # emphasis is the page's
    if check.remedy:
        console.print(Text(f"  To mend it: {check.remedy}", style="cyan"))
    console.print(Text(f"  See {check.cause.page}", style="dim"))
