"""`python -m lab.diagnosis`: run the matrix and write its page, or the other pages only."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from lab.diagnosis.documents import DIAGNOSIS, TROUBLESHOOTING, diagnosis, troubleshooting
from lab.diagnosis.matrix import confusion, diagnose_all

if TYPE_CHECKING:
    from lab.diagnosis.matrix import Row

ROOT: Final = Path(__file__).parents[2]


async def _run(*, as_json: bool) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as state:
        async for row in diagnose_all(Path(state)):
            rows.append(row)
            _tell(row, as_json=as_json)
    return rows


def _tell(row: Row, *, as_json: bool) -> None:
    if as_json:
        told = {"produced": row.case.name, "right": row.is_right, "said": dict(row.said)}
        sys.stdout.write(json.dumps(told) + "\n")
        return
    mark = "[green]right[/]" if row.is_right else f"[red]wrong: {dict(row.said)}[/]"
    Console(highlight=False).print(f"{row.case.name:32}{len(row.said)} paths  {mark}")


def main() -> int:
    """Write what was asked for; 1 if a diagnosis was wrong."""
    parser = argparse.ArgumentParser(prog="python -m lab.diagnosis", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument(
        "--documents", action="store_true", help="run nothing; write docs/troubleshooting.md"
    )
    asked = parser.parse_args()
    (ROOT / TROUBLESHOOTING).write_text(troubleshooting(), "utf-8")
    if asked.documents:
        return 0
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # the checks say it better
    rows = asyncio.run(_run(as_json=asked.json))
    (ROOT / DIAGNOSIS).write_text(diagnosis(rows), "utf-8")
    if not asked.json:
        sys.stdout.write(confusion(rows) + "\n")
    return int(not all(row.is_right for row in rows))


if __name__ == "__main__":
    sys.exit(main())
