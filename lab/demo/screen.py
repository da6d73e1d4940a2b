"""How the demo speaks: a live table on a terminal, plain lines into a pipe, or JSON lines."""

from __future__ import annotations

import json
import sys
import textwrap
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from lab.demo.ledger import Ledger, Refusal, Tally
    from lab.demo.outcome import Outcome

_PLAIN_WIDTH: Final = 120
_STATES: Final = {"healthy": "green", "degraded": "yellow"}


class Screen(Protocol):
    """What the demo tells, in the order in which it happens."""

    def say(self, text: str) -> None:
        """Say what is being done."""

    def act(self, title: str) -> None:
        """Begin an act."""

    def watch(self, ledger: Ledger) -> AbstractContextManager[object]:
        """Show the routes for as long as the context lasts."""

    def routes(self, ledger: Ledger) -> None:
        """Show the routes as they are now."""

    def refusal(self, refusal: Refusal) -> None:
        """Explain a refusal in words."""

    def outcome(self, outcome: Outcome) -> None:
        """Show the end."""

    def fail(self, text: str) -> None:
        """Say why there is no outcome."""


class Terminal:
    """A person watches: colours and, on a real terminal, a table that moves.

    Args:
        console: where to; one that is no terminal gets a line from time to time instead.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """Print a line."""
        self._prose(text)

    def act(self, title: str) -> None:
        """Print a heading."""
        self._print()
        self._print(title, style="bold")

    def watch(self, ledger: Ledger) -> AbstractContextManager[object]:
        """Keep a table at the bottom of a terminal."""
        if not self._console.is_terminal:
            return nullcontext()
        return Live(
            console=self._console,
            get_renderable=lambda: _routes_table(ledger),
            refresh_per_second=5,
        )

    def routes(self, ledger: Ledger) -> None:
        """Print a line a route, where no table can move."""
        if self._console.is_terminal:
            return
        for route, tally in ledger.tallies.items():
            self.say(_routes_line(route, tally, ledger.rate(route)))

    def refusal(self, refusal: Refusal) -> None:
        """Print who was refused, by whom, for which role, and the command."""
        self._print()
        self._print(f"  Refused: route {refusal.route}", style="bold red")
        self._prose(refusal.cause)
        for label, value in (
            ("identity", f"{refusal.identity}, client id {refusal.client_id}"),
            ("object id", refusal.object_id),
            ("destination", f"{refusal.destination}, audience {refusal.audience}"),
            ("role", f"{refusal.role} ({refusal.role_id})"),
            ("scope", refusal.scope),
            ("remedy", refusal.remedy),
        ):
            self._print(f"    {label:<12} {value}")
        self._print()

    def outcome(self, outcome: Outcome) -> None:
        """Print the audit's table and the verdict."""
        self._print()
        self._console.print(_audit_table(outcome))
        self._print(
            f"  {outcome.report.sent} sent; {outcome.dead_lettered} became dead letters, "
            f"{outcome.redriven} of them redriven; "
            f"refusals explained: {len(outcome.refusals)}; {outcome.seconds:.0f} s"
        )
        for failure in outcome.failures():
            self._print(f"  FAILED: {failure}", style="bold red")
        if outcome.is_good:
            self._print("  Nothing lost, nothing out of order, nothing altered.", style="green")

    def fail(self, text: str) -> None:
        """Print one line where errors go."""
        print(text, file=sys.stderr)

    def _prose(self, text: str) -> None:
        """Print a sentence, on a terminal broken between words."""
        width = self._console.width if self._console.is_terminal else len(text) + 4
        self._print(
            textwrap.fill(
                text,
                width,
                initial_indent="  ",
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

    def _print(self, text: str = "", style: str | None = None) -> None:
        """Print text as it is: a command must stay one line to be copied."""
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


class JsonLines:
    """A program listens: one JSON object a line, the last one is the outcome."""

    def say(self, text: str) -> None:
        """Write what is being done."""
        _write({"kind": "progress", "text": text})

    def act(self, title: str) -> None:
        """Write the beginning of an act."""
        _write({"kind": "act", "title": title})

    def watch(self, _: Ledger) -> AbstractContextManager[object]:
        """Show nothing but what `routes` is told."""
        return nullcontext()

    def routes(self, ledger: Ledger) -> None:
        """Write every route's numbers."""
        _write({"kind": "routes", "routes": _routes_json(ledger)})

    def refusal(self, refusal: Refusal) -> None:
        """Write a refusal."""
        _write({"kind": "refusal", **refusal.as_json()})

    def outcome(self, outcome: Outcome) -> None:
        """Write the outcome."""
        _write(outcome.as_json())

    def fail(self, text: str) -> None:
        """Write the reason, here and where errors go."""
        _write({"kind": "failed", "text": text})
        print(text, file=sys.stderr)


def choose(*, as_json: bool) -> Screen:
    """Return the screen for where standard output goes."""
    if as_json:
        return JsonLines()
    console = Console(highlight=False)
    return Terminal(
        console
        if console.is_terminal
        else Console(highlight=False, width=_PLAIN_WIDTH, no_color=True)
    )


def _write(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _routes_table(ledger: Ledger) -> Table:
    table = Table("route", "delivered", "dead letters", "redriven", "per second", "state")
    for column in table.columns[1:5]:
        column.justify = "right"
    for route, tally in ledger.tallies.items():
        table.add_row(
            route,
            str(tally.delivered),
            str(tally.waiting),
            str(tally.redriven),
            f"{ledger.rate(route):.0f}",
            f"[{_STATES.get(tally.state, 'bold red')}]{_state(tally)}",
        )
    return table


def _routes_line(route: str, tally: Tally, rate: float) -> str:
    return (
        f"{route:<13} {tally.delivered:>6} delivered {tally.waiting:>5} dead-lettered "
        f"{tally.redriven:>5} redriven {rate:>6.0f}/s  {_state(tally)}"
    )


def _state(tally: Tally) -> str:
    return f"{tally.state} ({tally.reason})" if tally.reason else tally.state


def _routes_json(ledger: Ledger) -> dict[str, object]:
    return {
        route: {
            "delivered": tally.delivered,
            "waiting": tally.waiting,
            "redriven": tally.redriven,
            "rate": round(ledger.rate(route), 1),
            "state": tally.state,
            "reason": tally.reason,
        }
        for route, tally in ledger.tallies.items()
    }


def _audit_table(outcome: Outcome) -> Table:
    counted = ("dead letters", "duplicated", "lost", "out of order", "altered")
    table = Table(
        *("route", "expected", "delivered", *counted),
        title="Read back by independent consumers",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for route in outcome.report.routes:
        found = (route.duplicated, route.lost, route.out_of_order, route.altered)
        counts = (
            route.expected,
            route.delivered,
            route.dead_lettered,
            *(len(events) for events in found),
        )
        table.add_row(route.route, *map(str, counts))
    return table
