"""Looks, while a process works, where it is: in the measured process itself.

By processor time: a timer of what the process has used interrupts it, and the frame that runs
then is one sample of its function and of those that called it. By the clock on the wall: a
thread looks what every task awaits. Either costs little, and needs nothing of what it looks at
to be as it was when this was written.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

FILE = "BENCH_SAMPLES"
"""The setting that names the file to which samples are written, at the signal `SIGUSR1`."""
WAITS = "BENCH_WAITS"
"""The setting that lets the clock on the wall count, and not processor time."""
EVERY_SECONDS = 0.001
WORKS = "works"
"""What stands in the place of a stack while the process waits for nothing."""

type Stack = tuple[str, ...]
"""Where functions are, the innermost first: their files, or `file:name` of what is awaited."""


def start() -> None:
    """Look from now on, if the setting says so; in the event loop's own thread."""
    if FILE not in os.environ:
        return
    seen: Counter[Stack] = Counter()
    _write_when_asked(Path(os.environ[FILE]), seen)
    if WAITS in os.environ:
        about = seen, asyncio.get_running_loop(), threading.get_ident()
        threading.Thread(target=_look_at_waits, args=about, daemon=True).start()
        return

    def look(_: int, frame: FrameType | None) -> None:
        seen[stack(frame)] += 1

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)


def _write_when_asked(target: Path, seen: Counter[Stack]) -> None:
    def write(_: int, __: FrameType | None) -> None:
        unfinished = target.with_suffix(".unfinished")
        unfinished.write_text(json.dumps([[files, count] for files, count in seen.items()]))
        unfinished.rename(target)
        seen.clear()

    signal.signal(signal.SIGUSR1, write)


def _look_at_waits(seen: Counter[Any], loop: asyncio.AbstractEventLoop, thread: int) -> None:
    """Count seconds, by what was awaited when they had passed."""
    before = time.perf_counter()
    while True:
        time.sleep(EVERY_SECONDS)
        now = time.perf_counter()
        running = sys._current_frames().get(thread)  # noqa: SLF001 - documented all the same
        waits = running is not None and running.f_code.co_name == "select"
        awaited = tuple(sorted(awaits(each) for each in asyncio.all_tasks(loop)))
        seen[sum(awaited, ()) if waits else (WORKS,)] += now - before
        before = now


def awaits(task: asyncio.Task[Any]) -> Stack:
    """Return what a task awaits, the innermost first, as `file:name`."""
    found: list[str] = []
    step: Any = task.get_coro()
    while (code := getattr(step, "cr_code", None)) is not None:
        found.insert(0, f"{code.co_filename}:{code.co_name}")
        step = step.cr_await
    return tuple(found)


def stack(frame: FrameType | None) -> Stack:
    """Return the files of a frame and of all that called it; one that repeats, once."""
    files: list[str] = []
    while frame is not None:
        if not files or files[-1] != frame.f_code.co_filename:
            files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return tuple(files)
