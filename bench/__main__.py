"""`make bench`: the relay against what one would otherwise run, and against the limits.

    python -m bench [--quick] [--growth] [--json] [--only TEXT ...] [--[no-]document]

The whole of it takes about a quarter of an hour on two quiet cores and writes
`docs/performance.md` and its picture; `--quick` takes some three minutes and writes nothing;
`--growth` adds what takes long. It exits with 1 if `budget.toml` is not kept or a contestant
failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import budget, cold_start, cores, growth, machine, parts, plot, report, rounds
from bench.azure import a_local_azure
from bench.contestants import ALL, HUB, RELAY, WHOLE, Contestant, entities, pairs
from bench.events import BATCH
from bench.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.azure import Azure
    from bench.rounds import Turns

DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "performance.svg"
EVERY = ""
"""What is in the name of every contestant."""
SECTIONS = ("contestants", "parts", "growth", "cold start")


@dataclass(frozen=True, slots=True)
class Form:
    """How thorough a run is.

    Attributes:
        words: what is said of it in the document.
        rounds: of the contestants.
        seconds: of processor time in a contestant's turn, about.
        lone: single events for the latencies.
        sampled: seconds of processor time in which the parts are looked at.
        starts: of each in the comparison of cold starts.
        backlogs: how many letters are redriven.
        batch: how many events the contestants are given at once.
    """

    words: str
    rounds: int
    seconds: float
    lone: int
    sampled: float
    starts: int
    backlogs: tuple[int, ...]
    batch: int = BATCH


QUICK = Form("A quick run: two rounds.", 2, 0.5, 50, 4.0, 2, (2_000,))
USUAL = Form("Five rounds, in which all took turns.", 5, 1.2, 200, 12.0, 5, growth.BACKLOG)


def chosen_form(arguments: argparse.Namespace) -> Form:
    form = QUICK if arguments.quick else USUAL
    if arguments.growth:
        form = replace(form, backlogs=growth.LARGE_BACKLOG)
    if arguments.smoke:
        form = replace(form, rounds=1, seconds=0.0, lone=2, starts=1, batch=20)
    return form


async def measure(
    azure: Azure,
    arguments: argparse.Namespace,
    contestants: Sequence[Contestant],
    scratch: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Return the object of everything that is measured; what was left out is `None`."""
    form, wanted = chosen_form(arguments), arguments.sections
    turns: list[Turns] = []
    if "contestants" in wanted:
        turns = await rounds.take_turns(
            azure,
            contestants,
            scratch,
            rounds=form.rounds,
            seconds=form.seconds,
            lone=form.lone,
            batch=form.batch,
            say=say,
        )
    run: dict[str, Any] = {
        "form": form.words,
        "contestants": rounds.figures(turns),
        "failures": {turn.contestant.key: turn.failure for turn in turns if turn.failure},
        "ratios": _ratios(turns),
        "parts": None,
        "growth": None,
        "cold_start": None,
    }
    if "parts" in wanted:
        say("where a microsecond goes")
        run["parts"] = await _part(run, "parts", parts.measure(azure, scratch, form.sampled))
    if "growth" in wanted:
        many, quick = arguments.growth, arguments.quick
        run["growth"] = await growth.measure(azure, scratch, whole=many, quick=quick, say=say)
    if "cold start" in wanted:
        starting = cold_start.measure(azure, scratch, form.starts, say)
        run["cold_start"] = await _part(run, "cold start", starting)
    _weigh(run)
    return run


async def _part(run: dict[str, Any], name: str, measuring: Any) -> dict[str, Any]:
    """Let a part that fails say so, and the others be measured."""
    try:
        found: dict[str, Any] = await measuring
    except (*rounds.FAILURES, ValueError) as error:
        run["failures"][name] = f"{type(error).__name__}: {error}"
        return {}
    return found


def _weigh(run: dict[str, Any]) -> None:
    """Give each part its share of what the relay took where nobody looked at it."""
    whole = run["contestants"].get(Contestant(HUB, WHOLE, RELAY).key)
    if run["parts"] and whole:
        each = whole["microseconds_per_event"]
        run["parts"] = {
            name: {"share": share, "microseconds": share * each}
            for name, share in run["parts"].items()
        }
    else:
        run["parts"] = None


def _ratios(turns: Sequence[Turns]) -> list[dict[str, Any]]:
    found = rounds.ratios(turns, list(pairs(turn.contestant for turn in turns)))
    return [
        {"of": of, "to": to, "times": each.median, "least": each.least, "most": each.most}
        for (of, to), each in found.items()
    ]


def add_backlogs(
    azure: Azure, arguments: argparse.Namespace, run: dict[str, Any], say: Callable[[str], None]
) -> None:
    """Measure what has an event loop of its own."""
    if "growth" in arguments.sections:
        run["growth"] += growth.backlog(azure, chosen_form(arguments).backlogs, say)


def progress() -> Callable[[str], None]:
    """Return what says on standard error how far a run is: a line each, with the time."""
    start = time.monotonic()

    def say(what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        print(f"{minutes:3}:{seconds:02}  {what}", file=sys.stderr, flush=True)

    return say


def parsed(given: Sequence[str] | None) -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="some three minutes")
    options.add_argument("--growth", action="store_true", help="also what takes long")
    options.add_argument("--json", action="store_true", help="end with one JSON object")
    options.add_argument(
        "--only", nargs="+", default=[EVERY], help="contestants in whose names one of these is"
    )
    options.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="what of it"
    )
    options.add_argument(
        "--document",
        action=argparse.BooleanOptionalAction,
        help="write docs/performance.md; only a complete run does so by itself",
    )
    options.add_argument("--smoke", action="store_true", help="hardly anything: does it run?")
    return options.parse_args(given)


def is_complete(arguments: argparse.Namespace) -> bool:
    """Whether a run measures everything, in the form that the document shows."""
    is_short = arguments.quick or arguments.smoke
    return not is_short and arguments.only == [EVERY] and set(arguments.sections) == {*SECTIONS}


def main(given: Sequence[str] | None = None) -> int:
    """Measure, show, write, and return the exit code."""
    arguments, say = parsed(given), progress()
    started, about = time.monotonic(), machine.described()
    cores.stay_with_the_lab()
    contestants = [x for x in ALL if any(text in x.key for text in arguments.only)]
    there = entities(ALL)
    there = replace(there, hubs=(*there.hubs, *growth.HUBS))
    with a_local_azure(there) as azure, tempfile.TemporaryDirectory() as scratch:
        run = asyncio.run(measure(azure, arguments, contestants, Path(scratch), say))
        add_backlogs(azure, arguments, run, say)
    minutes = (time.monotonic() - started) / 60
    run = {"machine": about, "minutes": round(minutes, 1), **run}
    complete = is_complete(arguments)
    verdicts = [
        each
        for each in budget.verdicts(budget.read(), run)
        if complete or each.found is not None
    ]
    run["budget"] = [
        {"why": each.why, "found": each.found, "bound": each.bound, "holds": each.holds}
        for each in verdicts
    ]
    if complete if arguments.document is None else arguments.document:
        DOCUMENT.write_text(report.written(DOCUMENT.read_text("utf-8"), run, verdicts), "utf-8")
        plot.draw(run, PICTURE)
        say(f"written: {DOCUMENT.relative_to(ROOT)}, {PICTURE.relative_to(ROOT)}")
    broken = [each for each in verdicts if not each.holds]
    if arguments.json:
        print(json.dumps(run))
    else:
        report.show(run, verdicts)
    for each in broken:
        print(f"over budget: {each}", file=sys.stderr)
    return 1 if broken or run["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
