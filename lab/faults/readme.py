"""The table of faults in short, for the README: made of the document, so that both agree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lab.faults.entrance import Ingress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BEGIN: Final = "<!-- faults: written by `make faults` -->"
END: Final = "<!-- end of faults -->"
HEADINGS: Final = (
    "what goes wrong",
    "rounds",
    "sent",
    "lost",
    "out of order",
    "duplicated, at worst",
    "other route's delay, at worst",
)

_BY: Final = "Some of it, by "
_NUMBER: Final = re.compile(r"\d+")


@dataclass(slots=True)
class _Family:
    """All rows about one thing."""

    rows: list[Mapping[str, str]] = field(default_factory=list)

    def total(self, column: str) -> int:
        return sum(int(row[column]) for row in self.rows)

    def worst(self, column: str) -> str:
        """Return the highest of bounds such as `≤ 3 s`; what is beyond all is highest."""
        return max((row[column] for row in self.rows), key=_height)

    def cells(self, name: str) -> tuple[str, ...]:
        return (
            name,
            str(len(self.rows)),
            *(str(self.total(column)) for column in ("sent", "lost", "out of order")),
            self.worst("duplicated"),
            self.worst("healthy route's worst delay"),
        )


def put(readme: str, document: str) -> str:
    """Return a README with the document's table, in short, between the two marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README lacks the line {BEGIN} or the line {END}")
    return f"{before}{begin}\n\n{table(document)}\n\n{end}{after}"


def table(document: str) -> str:
    """Return one row a family of faults by an Event Hub, one a way in else, and one of all."""
    families = _families(document.splitlines())
    everything = _Family([row for family in families.values() for row in family.rows])
    aligned = ("---", *(["---:"] * (len(HEADINGS) - 1)))
    rows = [family.cells(name) for name, family in families.items()]
    if rows:
        rows.append(everything.cells("all of it"))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADINGS, aligned, *rows))


def _families(lines: Iterable[str]) -> dict[str, _Family]:
    """Read the document's rows, by the heading that they stand below or by their way in."""
    found: dict[str, _Family] = {}
    name = ""
    headings: tuple[str, ...] = ()
    for line in lines:
        if line.startswith("#"):
            name, headings = line.lstrip("# "), ()
        elif line.startswith("|") and not headings:
            headings = tuple(_cells(line))
        elif line.startswith("|") and not line.startswith("| ---"):
            row = dict(zip(headings, _cells(line), strict=True))
            found.setdefault(_group(name, row["ingress"]), _Family()).rows.append(row)
    # Other ways in come last, wherever they stand among the rows.
    return dict(sorted(found.items(), key=lambda each: each[0].startswith(_BY)))


def _group(family: str, ingress: str) -> str:
    return family if ingress == Ingress.EVENT_HUB else f"{_BY}{ingress}"


def _cells(line: str) -> Iterator[str]:
    return (cell.strip() for cell in line.strip("|").split("|"))


def _height(bound: str) -> float:
    number = _NUMBER.search(bound)
    if number is None:
        return float("inf")
    return int(number[0]) + (0.5 if bound.startswith(">") else 0)
