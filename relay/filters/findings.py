"""What lint has to say, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from relay.filters.errors import Position

if TYPE_CHECKING:
    from relay.filters.syntax import Span


class Concern(StrEnum):
    """What a finding is about."""

    EXTENSION = "extension"
    """The relay's own: Azure Digital Twins would refuse the filter."""

    UNVERIFIED = "unverified"
    """Azure Digital Twins does not document it and may take it otherwise."""

    NEVER = "never"
    """Holds for no event that Azure Digital Twins writes."""

    SURPRISE = "surprise"
    """Means something, but perhaps not what was meant."""


class Advice(NamedTuple):
    """A finding before it is known in which text."""

    span: Span
    concern: Concern
    text: str
    remedy: str


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to know about a filter.

    Attributes:
        line: where it begins, from 1.
        column: where it begins, in characters from 1.
        concern: what it is about.
        text: what there is to know, one sentence.
        remedy: what to write instead, or what follows from it.
    """

    line: int
    column: int
    concern: Concern
    text: str
    remedy: str

    @classmethod
    def of(cls, text: str, advice: Advice) -> Finding:
        """Return the finding that `advice` is in the filter `text`."""
        where = Position.of(text, advice.span.start)
        return cls(where.line, where.column, advice.concern, advice.text, advice.remedy)

    def __str__(self) -> str:
        where = Position(self.line, self.column)
        return f"{where}: {self.concern}: {self.text} {self.remedy}"
