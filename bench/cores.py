"""Who runs on which core, and what a process has cost.

The lab and whoever drives a measurement share the first core; what is measured has the second
for itself. Costs are read from outside, by the kernel's own clock of the process, so that
Python and Node are measured alike.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOCK_OF_PROCESS = 2
"""`CPUCLOCK_SCHED` of Linux: nanoseconds that all threads of a process ran, ended ones too."""
_ALLOWED = sorted(os.sched_getaffinity(0))
ARE_APART = len(_ALLOWED) > 1
"""Whether there are two cores, without which the lab takes time from what is measured."""


def stay_with_the_lab() -> None:
    """Keep this process, and what it starts, off the core that is measured."""
    os.sched_setaffinity(0, _ALLOWED[:1])


@contextmanager
def measured() -> Iterator[None]:
    """Let what is started inside run on the core that nobody else has."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _ALLOWED[-1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process with all its threads, since it began."""
    return time.clock_gettime((~pid << 3) | _CLOCK_OF_PROCESS)


def memory(pid: int, *, peak: bool = True) -> float:
    """Return the resident memory of a process in MiB: its most, or what it is now."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
