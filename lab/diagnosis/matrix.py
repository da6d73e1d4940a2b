"""Runs the cases and puts what the doctor said beside what was produced."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.diagnosis.bench import PATHS, a_bench
from lab.diagnosis.cases import CASES
from lab.messaging.switches import Switches
from relay.operations.checks import failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from lab.diagnosis.bench import Bench
    from lab.diagnosis.cases import Case
    from relay.operations.checks import Check, Report

WELL: Final = "well"
SPOKEN: Final = Switches(put_token_condition=False)
HIDDEN: Final = Switches(put_token_condition=True)


@dataclass(frozen=True, slots=True)
class Row:
    """What the doctor said to one cause.

    Attributes:
        case: what was produced.
        said: the causes that it named, by path; `well` where it found nothing.
        checks: the failed ones, by path.
    """

    case: Case
    said: Mapping[str, str]
    checks: Mapping[str, Sequence[Check]]

    @property
    def is_right(self) -> bool:
        """Whether it named this cause and no other, on every path."""
        return all(said == self.case.name for said in self.said.values())


async def diagnose(case: Case, bench: Bench) -> Row:
    """Produce one cause and ask the doctor."""
    async with case.produce(bench) as told:
        report = await bench.examine(told)
    found = {path: _failed(report, PATHS[path]) for path in PATHS if path in case.paths}
    said = {
        path: " + ".join(dict.fromkeys(str(check.cause) for check in checks)) or WELL
        for path, checks in found.items()
    }
    return Row(case, said, found)


def _failed(report: Report, subject: str) -> Sequence[Check]:
    return [check for check in failures(report.checks) if check.subject == subject]


async def diagnose_all(state_dir: Path) -> AsyncIterator[Row]:
    """Go through every case: where services say why, then where they keep it to themselves."""
    for hides, switches in ((False, SPOKEN), (True, HIDDEN)):
        async with a_bench(state_dir / str(hides), switches) as bench:
            for case in CASES:
                if case.hides_words is hides:
                    yield await diagnose(case, bench)


def confusion(rows: Sequence[Row]) -> str:
    """Return the matrix of cause and verdict: how many paths, produced down, said across."""
    names = [row.case.name for row in rows]
    others = sorted({said for row in rows for said in row.said.values()} - set(names))
    columns = [*names, *others]
    width = max(map(len, columns))
    lines = [f"{'':{width + 4}} " + " ".join(f"{n:2}" for n in range(1, len(columns) + 1))]
    for number, row in enumerate(rows, 1):
        counts = Counter(row.said.values())
        cells = " ".join(f"{counts[column] or '·':>2}" for column in columns)
        lines.append(f"{number:2}  {row.case.name:{width}} {cells}")
    lines += [f"{len(names) + n:2}  {name}" for n, name in enumerate(others, 1)]
    return "\n".join(lines)
