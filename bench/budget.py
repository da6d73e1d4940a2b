"""Whether a run holds what `budget.toml` demands."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE = Path(__file__).with_name("budget.toml")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the budget, and what a run has found.

    Attributes:
        why: what it is about, in words.
        found: what the run shows; `None` if it was not measured.
        bound: what it must be at least or at most.
        at_least: which of the two.
    """

    why: str
    found: float | None
    bound: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether it is kept; what was not measured is not."""
        if self.found is None:
            return False
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def __str__(self) -> str:
        found = "not measured" if self.found is None else f"{self.found:.2f}"
        bound = f"at {'least' if self.at_least else 'most'} {self.bound:g}"
        return f"{self.why}: {found}, and must be {bound}"


def read(file: Path = FILE) -> dict[str, Any]:
    """Return the budget as it is written."""
    return tomllib.loads(file.read_text())


def verdicts(budget: Mapping[str, Any], found: Mapping[str, Any]) -> list[Verdict]:
    """Hold a run's figures to the budget.

    Args:
        budget: see `budget.toml`.
        found: the object that a run ends with. A part of it that is `None` was left out on
            purpose, and so is what the budget says of it.
    """
    return [*_ratios(budget, found), *_cold_start(budget, found), *_growth(budget, found)]


def _ratios(budget: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Verdict]:
    ratios = {(each["of"], each["to"]): each["times"] for each in found["ratios"]}
    for line in budget.get("ratio", []):
        times = ratios.get((line["of"], line["to"]))
        yield Verdict(line["why"], times, line["at_least"], at_least=True)


def _cold_start(budget: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Verdict]:
    line, measured = budget.get("cold_start"), found["cold_start"]
    if line and measured is not None:
        times = measured.get("ratio")
        yield Verdict(line["why"], times, line["at_most"], at_least=False)


def _growth(budget: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Verdict]:
    if found["growth"] is None:
        return
    for line in budget.get("growth", []):
        values = {
            row["value"]: row.get(line["figure"])
            for row in found["growth"]
            if row["what"] == line["what"]
        }
        of, to = values.get(line["of"]), values.get(line["to"])
        times = of / to if of is not None and to else None
        yield Verdict(line["why"], times, line["at_most"], at_least=False)
