"""How the matrix speaks: lines and a table for a person, JSON lines for a program."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Console
from rich.table import Table

from lab.faults.report import HEADINGS, NUMBERS_FROM

if TYPE_CHECKING:
    from lab.faults.result import Matrix, Result

_WIDTH: Final = 200


class Screen(Protocol):
    """What is told, in the order in which it happens."""

    def begin(self, cases: int) -> None:
        """Say how much is to be done."""

    def result(self, result: Result, done: int, cases: int) -> None:
        """Say what came of a case."""

    def outcome(self, matrix: Matrix) -> None:
        """Show the end."""

    def fail(self, text: str) -> None:
        """Say why there is no outcome."""


class Terminal:
    """A person reads."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, cases: int) -> None:
        """Print a line."""
        self._say(f"Playing {cases} cases, each on a local Azure of its own")

    def result(self, result: Result, done: int, cases: int) -> None:
        """Print a line, and more if something went wrong."""
        verdict = "ok" if result.is_good else "FAILED"
        place = f"{done:>{len(str(cases))}}/{cases}"
        self._say(
            f"{place}  {verdict:<6} {result.seconds:>4.0f} s  "
            f"{result.case}, {result.ingress} to {result.destination}"
        )
        for problem in result.problems:
            self._say(f"{'':{len(place)}}  {problem}")

    def outcome(self, matrix: Matrix) -> None:
        """Print the table, exact, and the verdict."""
        table = Table(*HEADINGS)
        for column in table.columns[:NUMBERS_FROM]:
            column.no_wrap = True
        for column in table.columns[NUMBERS_FROM:]:
            column.justify = "right"
        for result in matrix.results:
            table.add_row(*_cells(result), style=None if result.is_good else "bold red")
        self._console.print(table)
        verdict = "Nothing lost, nothing out of order, nothing altered."
        bad = sum(not result.is_good for result in matrix.results)
        self._say(f"FAILED: {bad} of {len(matrix.results)} cases" if bad else verdict)

    def fail(self, text: str) -> None:
        """Print one line where errors go."""
        print(text, file=sys.stderr)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class JsonLines:
    """A program listens: one JSON object a line, the last one is the outcome."""

    def begin(self, cases: int) -> None:
        """Write how much is to be done."""
        _write({"kind": "begin", "cases": cases})

    def result(self, result: Result, done: int, cases: int) -> None:
        """Write what came of a case."""
        _write({"kind": "result", "done": done, "of": cases, **result.as_json()})

    def outcome(self, matrix: Matrix) -> None:
        """Write everything once more, with totals."""
        _write(matrix.as_json())

    def fail(self, text: str) -> None:
        """Write the reason, here and where errors go."""
        _write({"kind": "failed", "text": text})
        print(text, file=sys.stderr)


def choose(*, as_json: bool) -> Screen:
    """Return the screen for where standard output goes."""
    if as_json:
        return JsonLines()
    console = Console(highlight=False)
    if console.is_terminal:
        return Terminal(console)
    return Terminal(Console(highlight=False, width=_WIDTH, no_color=True))


def _cells(result: Result) -> tuple[str, ...]:
    delay = "-" if result.delay is None else f"{result.delay:.1f} s"
    exact = (
        result.sent,
        result.delivered,
        result.dead_lettered,
        result.lost,
        result.out_of_order,
        result.altered,
        result.redriven,
        result.duplicated,
    )
    return (result.case, result.ingress, result.destination, *map(str, exact), delay)


def _write(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
