"""A filter that can't be read: where, why, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from relay.filters.syntax import Span

_WIDTH: Final = 80
"""Characters of a long line that are shown around the place."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a place is for a person: line and column, both from 1."""

    line: int
    column: int

    @classmethod
    def of(cls, text: str, offset: int) -> Position:
        """Return where the character at `offset` stands in `text`."""
        return cls(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class Mistake(Exception):  # noqa: N818 - the parser's note to itself, never seen outside
    """What is wrong at a place, before it is known in which text."""

    def __init__(self, span: Span, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.span = span
        self.problem = problem
        self.remedy = remedy


class FilterError(ValueError):
    """A filter that does not parse; `str()` shows the place and the remedy.

    Attributes:
        line: the line of the mistake, from 1.
        column: its column in characters, from 1.
        problem: what is wrong, one clause.
        remedy: what to write instead, `""` when nothing obvious would mend it.
    """

    def __init__(self, text: str, mistake: Mistake) -> None:
        where = Position.of(text, mistake.span.start)
        lines = [f"{where}: {mistake.problem}", *_excerpt(text, mistake.span, where)]
        if mistake.remedy:
            lines.append(mistake.remedy)
        super().__init__("\n".join(lines))
        self.line = where.line
        self.column = where.column
        self.problem = mistake.problem
        self.remedy = mistake.remedy


def _excerpt(text: str, span: Span, where: Position) -> tuple[str, str]:
    """Return the offending line, cut around the place if it is long, and the caret below it."""
    line = text.split("\n")[where.line - 1]
    place = where.column - 1
    first = max(0, place - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = "".join(c if c.isprintable() else " " for c in line[first : first + _WIDTH])
    before = "…" if first else ""
    after = "…" if first + _WIDTH < len(line) else ""
    carets = max(1, min(span.end - span.start, len(shown) - (place - first)))
    indent = " " * (len(before) + place - first)
    return f"  {before}{shown}{after}", f"  {indent}{'^' * carets}"
