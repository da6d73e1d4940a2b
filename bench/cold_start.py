"""From nothing to the first event delivered: a new process each time, and where its time goes.

The steps are those of the host: start the worker, let the library index the app (which imports
it), load its functions, hand over a first event. The relay and the quickstart's function take
turns. What imports take is told by Python itself, and what the first event waits for by looking
at what is awaited, each in runs of their own.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import cores, parts, sampling
from bench.contestants import HUB, ONE_BY_ONE, RELAY, WHOLE, Contestant
from bench.events import lanes
from bench.figures import middle, ratio
from bench.processes import FUNCTIONS, ROOT, Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from bench.azure import Azure

OURS = Contestant(HUB, WHOLE, RELAY)
NAIVE = Contestant(HUB, WHOLE, ONE_BY_ONE)

STARTING = "process, and the app imported and indexed"
FIRST = "first event: tokens, links, acknowledgement"

WORK = "work of the process itself"
TOKENS = "tokens"
FIRST_LINK = "the link that every event needs: connection, TLS, authorisation"
IMPORTS = "imports in a thread, where no link is waited for"
BLOB = "Blob: does anything wait there"
PARTITIONS = "the hub's partitions, over a connection of their own"
LINKS = "further links"
ANSWERS = "acknowledgement"
OTHER = "everything else"
LATER = "of all, while links are opened"
CAUSES: tuple[tuple[str, str], ...] = (
    (sampling.WORKS, WORK),
    ("/azure/identity/", TOKENS),
    ("/relay/identity.py", TOKENS),
    (":create_batch", FIRST_LINK),
    ("/relay/app.py:_loaded", IMPORTS),
    ("/relay/dead_letters/blobs.py:load", IMPORTS),
    ("/azure/storage/", BLOB),
    ("/relay/dead_letters/", BLOB),
    ("/relay/redrive.py", BLOB),
    (":get_partition_ids", PARTITIONS),
    (":_open", LINKS),
    (":open_async", LINKS),
    (":client_ready_async", LINKS),
    ("/azure/eventhub/", ANSWERS),
)
"""What is awaited and why, the first that fits: side by side, the first cause has the time."""

_IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
PAUSE_SECONDS = 2.0
"""From when an app is indexed to its first event, where a host takes its time."""
_CALM = 3
"""Rounds with such a pause."""
_LATER = "imported later"
"""Stands between what indexing the app imports and what it imports while links are opened."""
_LATER_BY_RELAY = ("relay.event_path", "azure.storage.blob.aio", "aiohttp")
_OF_AZURE = 2
"""How much of a module's name says what it belongs to: `azure.eventhub`, but `aiohttp`."""
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Start:
    """One start, in seconds on the wall and of processor time for each step."""

    wall: dict[str, float]
    busy: dict[str, float]
    memory: float

    @property
    def seconds(self) -> float:
        """From nothing to the first event delivered."""
        return sum(self.wall.values())


async def start(azure: Azure, contestant: Contestant, pause: float = 0.0) -> Start:
    """Start a contestant in a new process and let it deliver one event, after a pause."""
    app = ROOT if contestant.way == RELAY else FUNCTIONS
    plant = lanes(hub="twin-events-cold")
    [event] = [plant[0].invocation(1)]
    began = time.perf_counter()
    whole = await Whole.start(app, contestant.settings(azure), plant)
    try:
        indexed = time.perf_counter()
        busy = [cores.processor_seconds(whole.pid)]
        await asyncio.sleep(pause)
        handed = time.perf_counter()
        await whole.invoke(event)
        delivered = time.perf_counter()
        busy.append(cores.processor_seconds(whole.pid))
        return Start(
            {STARTING: indexed - began, FIRST: delivered - handed},
            {STARTING: busy[0], FIRST: busy[1] - busy[0]},
            cores.memory(whole.pid),
        )
    finally:
        await whole.stop()


def imports(azure: Azure, contestant: Contestant) -> tuple[dict[str, float], float]:
    """Return the seconds of all imports by package, the dearest first, and of those made later.

    Later is when the app has been indexed: the relay then imports what no opening of a link
    needs. What that is stands here, and in `relay/app.py`.
    """
    is_ours = contestant.way == RELAY
    app = ROOT if is_ours else FUNCTIONS
    program = [
        "import importlib, sys, function_app",
        f"print({_LATER!r}, file=sys.stderr)",
        *(f"importlib.import_module({name!r})" for name in _LATER_BY_RELAY if is_ours),
    ]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with cores.measured():
        done = subprocess.run(  # noqa: S603 - what is run stands above
            [sys.executable, "-P", "-X", "importtime", "-c", "\n".join(program)],
            env={**kept, **contestant.settings(azure), "PYTHONPATH": str(app)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    lines = done.stderr.splitlines()
    later = lines[lines.index(_LATER) :]
    return by_package(lines), sum(by_package(later).values())


def by_package(lines: Iterable[str]) -> dict[str, float]:
    """Sum up what `-X importtime` says, in seconds: each module's own time, by package."""
    found: Counter[str] = Counter()
    for line in lines:
        if match := _IMPORTED.match(line):
            found[_package(match[2])] += int(match[1])
    return {name: microseconds / 1e6 for name, microseconds in found.most_common()}


def _package(module: str) -> str:
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return "Python's own library"
    return ".".join(parts[: _OF_AZURE if parts[0] == "azure" else 1])


async def measure(
    azure: Azure, scratch: Path, rounds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Compare cold starts; see the module."""
    starts: dict[Contestant, list[Start]] = {OURS: [], NAIVE: []}
    calm: dict[Contestant, list[Start]] = {OURS: [], NAIVE: []}
    for n in range(rounds):
        for contestant, its in starts.items():
            say(f"cold start {n + 1} of {rounds}: {contestant.way}")
            its.append(await start(azure, contestant))
            if n < _CALM:
                calm[contestant].append(await start(azure, contestant, PAUSE_SECONDS))
    say("what the relay's first event waits for")
    waits = [await _waits(azure, scratch) for _ in range(min(rounds, 3))]
    packages = await _packages(azure, min(rounds, 3), say)
    ours, naive = starts[OURS], starts[NAIVE]
    return {
        "relay": _figures(ours, calm[OURS]) | {"imports_seconds": packages[OURS]},
        "quickstart": _figures(naive, calm[NAIVE]) | {"imports_seconds": packages[NAIVE]},
        "ratio": ratio([s.seconds for s in ours], [s.seconds for s in naive]).median,
        "rounds": rounds,
        "waits_seconds": {cause: median(each[cause] for each in waits) for cause in waits[0]},
    }


def by_cause(samples: Iterable[tuple[Sequence[str], float]]) -> dict[str, float]:
    """Sum up seconds by what was awaited in them."""
    found = dict.fromkeys([*(cause for _, cause in CAUSES), OTHER], 0.0)
    for awaited, seconds in samples:
        told = " ".join(awaited)
        found[next((cause for text, cause in CAUSES if text in told), OTHER)] += seconds
    return found


async def _waits(azure: Azure, scratch: Path) -> dict[str, float]:
    """Return what the relay's first event waits for, in seconds."""
    file = scratch / "waits.json"
    settings = OURS.settings(azure) | {sampling.FILE: str(file), sampling.WAITS: "1"}
    plant = lanes(hub="twin-events-cold")
    event = plant[0].invocation(1)
    whole = await Whole.start(parts.SAMPLED, settings, plant)
    try:
        await parts.samples(whole.pid, file)  # of what was before
        await whole.invoke(event)
        return by_cause(await parts.samples(whole.pid, file))
    finally:
        await whole.stop()


async def _packages(
    azure: Azure, rounds: int, say: Callable[[str], None]
) -> dict[Contestant, dict[str, float]]:
    """Return what the dearest packages of either app cost each of them."""
    found: dict[Contestant, list[tuple[dict[str, float], float]]] = {}
    for contestant in (OURS, NAIVE):
        say(f"imports of {contestant.way}")
        found[contestant] = [imports(azure, contestant) for _ in range(rounds)]
    dearest = [name for its in found.values() for name in list(its[0][0])[:_SHOWN]]
    return {
        contestant: {
            name: median(each.get(name, 0.0) for each, _ in its)
            for name in dict.fromkeys(dearest)
        }
        | {
            LATER: median(later for _, later in its),
            "in all": median(sum(each.values()) for each, _ in its),
        }
        for contestant, its in found.items()
    }


def _figures(starts: Sequence[Start], calm: Sequence[Start]) -> dict[str, Any]:
    steps = starts[0].wall
    whole = middle([each.seconds for each in starts])
    return {
        "seconds": whole.median,
        "spread": whole.spread,
        "steps_seconds": {step: median(each.wall[step] for each in starts) for step in steps},
        "steps_cpu_seconds": {
            step: median(each.busy[step] for each in starts) for step in steps
        },
        "first_after_pause_seconds": median(each.wall[FIRST] for each in calm),
        "peak_memory_mib": median(each.memory for each in starts),
    }
