"""What a command has done to dead letters: told while it goes on, and summed up at the end."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from relay.observer import DeadLettered
from relay.operations.console import TROUBLE, err, out, say_json

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from relay.by_hand import Step
    from relay.twins_redrive import TwinsStep

_NAMED: Final = 20
"""How many blobs are named one by one, of each kind."""


class Outcome:
    """Counts steps; with `--json` each is a line, else a live count stands on stderr.

    Args:
        verb: what was done, such as `delivered`.
        stop: set if somebody asked to stop.
    """

    def __init__(self, verb: str, stop: asyncio.Event, *, as_json: bool) -> None:
        self._verb = verb
        self._stop = stop
        self._as_json = as_json
        self._done = self._held = self._put_behind = 0
        self._left: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}
        self._whys: dict[str, Any] = {}
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        console = err()
        is_quiet = as_json or not console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=is_quiet)
        self._task = self._progress.add_task(f"0 {verb}", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, step: Step) -> None:
        """Count a step by hand."""
        self._done += step.done
        self._held += step.held
        self._name("unreadable", step.unreadable)
        if step.why:
            refusal = step.error.refusal if step.error else None
            self._whys[step.why] = {
                "route": step.shelf.route,
                "why": step.why,
                "reason": step.error.reason.value if step.error else None,
                "remedy": refusal.remedy if refusal else None,
            }
        where = {"route": step.shelf.route, "fate": step.shelf.fate.value, "lane": step.lane}
        self._tell(where | {"held": step.held, "why": step.why or None}, step.done)

    def add_twins(self, step: TwinsStep) -> None:
        """Count a step with letters of Azure Digital Twins."""
        self._done += step.done
        self._name("unreadable", [f"{name}: {why}" for name, why in step.unreadable])
        self._name("unwanted", step.unwanted)
        if step.why:
            self._whys[step.why] = {"why": step.why, "reason": None, "remedy": None}
        self._tell({"why": step.why or None}, step.done)

    def hear(self, fact: object) -> None:
        """Hear what went behind into the relay's own dead letters."""
        if isinstance(fact, DeadLettered):
            self._put_behind += len(fact.letters)
            why = f"{fact.route.name} did not take them: {fact.letters[0].detail}"
            reason = fact.letters[0].reason.value
            self._whys.setdefault(why, {"why": why, "reason": reason, "remedy": None})

    def _name(self, kind: str, names: Sequence[str]) -> None:
        """Count blobs that are left, and keep the names of the first."""
        self._left[kind] += len(names)
        kept = self._names.setdefault(kind, [])
        kept += names[: _NAMED - len(kept)]

    def _tell(self, more: dict[str, Any], done: int) -> None:
        if self._as_json:
            say_json({"progress": more | {self._verb: done}})
        held = f", {self._held} at fault" if self._held else ""
        self._progress.update(self._task, description=f"{self._done} {self._verb}{held}")

    def say(self) -> int:
        """Sum up; return the exit code."""
        left = +self._left
        is_done = not (left or self._whys or self._held or self._stop.is_set())
        resume = None if is_done else shlex.join(["python", "-m", "relay", *sys.argv[1:]])
        if self._as_json:
            say_json(
                {
                    self._verb: self._done,
                    "held": self._held,
                    "dead_lettered": self._put_behind,
                    "why": list(self._whys.values()),
                    "left_where_they_are": dict(left),
                    "blobs": {kind: self._names[kind] for kind in left},
                    "stopped": self._stop.is_set(),
                    "resume": resume,
                }
            )
        else:
            self._say_in_words(left, resume)
        return 0 if is_done else TROUBLE

    def _say_in_words(self, left: Counter[str], resume: str | None) -> None:
        out().print(f"{self._done} {self._verb}.", markup=False)
        say = err()
        if self._held:
            say.print(
                f"{self._held} were found at fault themselves and are held: see "
                "'dead-letters show --fate held'.",
                style="yellow",
                markup=False,
            )
        if self._put_behind:
            say.print(
                f"{self._put_behind} wait in the relay's own dead letters and are redriven "
                "from there.",
                style="yellow",
                markup=False,
            )
        for why in self._whys:
            say.print(why, style="red", markup=False)
        for kind, count in left.items():
            say.print(f"{count} {_KINDS[kind]}:", style="yellow", markup=False)
            for name in self._names[kind]:
                say.print(f"  {name}", markup=False)
        if self._stop.is_set():
            say.print("Stopped, as you asked; nothing is lost.", markup=False)
        if resume:
            say.print(f"To take up what is left: {resume}", markup=False)


_KINDS: Final = {
    "unreadable": "blobs can't be read and are left where they are",
    "unwanted": "blobs hold events that no route wants, and are left where they are",
}
