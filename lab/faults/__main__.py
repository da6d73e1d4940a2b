"""`python -m lab.faults`: play the matrix of faults; `make faults` calls it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.faults import readme
from lab.faults.cases import CASES
from lab.faults.matrix import choose, play_all
from lab.faults.report import document
from lab.faults.screen import choose as choose_screen
from lab.faults.stage import open_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.faults.matrix import Round
    from lab.faults.result import Matrix
    from lab.faults.screen import Screen

WHAT_IT_DOES: Final = (
    "Inject faults for real while twin events flow through the relay, then read everything "
    "back and count what was lost, reordered or altered."
)
ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "reliability.md"
README: Final = ROOT / "README.md"

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, and return the exit code: 0 only if every promise was kept."""
    given = _parser().parse_args(arguments)
    screen = choose_screen(as_json=given.as_json)
    rounds = choose(CASES, quick=given.quick, words=given.only)
    if not rounds:
        screen.fail(f"no case is called like {' or '.join(map(repr, given.only))}")
        return 2
    _be_quiet()
    try:
        matrix = asyncio.run(_play(rounds, screen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.fail("Interrupted; everything that was started has ended")
        return _INTERRUPTED
    if not (given.quick or given.only):
        _write_down(document(matrix))
    screen.outcome(matrix)
    return 0 if matrix.is_good else 1


async def _play(rounds: Sequence[Round], screen: Screen) -> Matrix:
    playing = asyncio.current_task()
    assert playing is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    return await play_all(rounds, open_stage, screen)


def _write_down(text: str) -> None:
    DOCUMENT.write_text(text, encoding="utf-8")
    README.write_text(readme.put(README.read_text("utf-8"), text), encoding="utf-8")


def _be_quiet() -> None:
    """Leave out what servers and SDKs say about faults: they are meant to happen."""
    for name in ("aiohttp", "asyncio", "azure", "lab"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.faults", description=WHAT_IT_DOES)
    parser.add_argument("--json", dest="as_json", action="store_true", help="JSON lines")
    parser.add_argument("--quick", action="store_true", help="a representative fifth")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORDS",
        help="cases or ways in called like this; may be given more than once",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
