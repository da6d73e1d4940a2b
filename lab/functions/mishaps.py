"""What befalls a worker from inside, on the wish of whoever holds its standard input.

One wish a line: `exit`, `segfault`, or `clock SECONDS`, how far the wall clock is off from now
on. The clock of Python is meant, by which credentials and SDKs judge tokens; monotonic time
runs on as it does when an operator or a time server sets a machine's clock.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from time_machine import travel

EXIT: Final = "exit"
SEGFAULT: Final = "segfault"
CLOCK: Final = "clock"
EXIT_CODE: Final = 70
"""Of a worker that was wished to exit."""


def obey_standard_input() -> None:
    """Fulfil wishes in a thread of its own, for as long as the process lives."""
    threading.Thread(target=_obey, args=(sys.stdin,), daemon=True, name="mishaps").start()


def _obey(wishes: Iterable[str]) -> None:
    clock = _Clock()
    for wish in wishes:
        match wish.split():
            case ["exit"]:
                os._exit(EXIT_CODE)
            case ["segfault"]:
                ctypes.string_at(0)
            case ["clock", seconds]:
                clock.be_off(float(seconds))


class _Clock:
    """The wall clock of this process."""

    def __init__(self) -> None:
        self._travel: travel | None = None

    def be_off(self, seconds: float) -> None:
        """Be ahead of the true time by so much; behind, if that is less than nothing."""
        from time_machine import travel

        if self._travel is not None:
            self._travel.stop()
        self._travel = travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True)
        self._travel.start()
