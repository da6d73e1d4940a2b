"""Looks, while a process works, where it is: in the measured process itself.

A timer of the processor time that the process has used interrupts it, and the frame that runs
then is one sample of its function and of those that called it. It costs little, and it needs
nothing of what it looks at to be as it was when this was written.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

FILE = "BENCH_SAMPLES"
"""The setting that names the file to which samples are written, at the signal `SIGUSR1`."""
EVERY_SECONDS = 0.001

type Stack = tuple[str, ...]
"""The files of the functions that ran, the innermost first."""


def start() -> None:
    """Look from now on, if the setting says so."""
    if FILE not in os.environ:
        return
    target = Path(os.environ[FILE])
    seen: Counter[Stack] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        seen[stack(frame)] += 1

    def write(_: int, __: FrameType | None) -> None:
        unfinished = target.with_suffix(".unfinished")
        unfinished.write_text(json.dumps([[files, count] for files, count in seen.items()]))
        unfinished.rename(target)
        seen.clear()

    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR1, write)
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)


def stack(frame: FrameType | None) -> Stack:
    """Return the files of a frame and of all that called it; one that repeats, once."""
    files: list[str] = []
    while frame is not None:
        if not files or files[-1] != frame.f_code.co_filename:
            files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return tuple(files)
