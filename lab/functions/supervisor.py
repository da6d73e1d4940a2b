"""Keeps one worker process running: whenever it ends, another takes its place."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from lab.functions.failures import AppFailed, WorkerDied
from lab.functions.messages import LogRecord
from lab.functions.mishaps import CLOCK
from lab.functions.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lab.functions.metadata import Function

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0


class Supervisor:
    """The worker of one app.

    Attributes:
        deaths: workers that ended without being asked to.
    """

    def __init__(
        self,
        app_directory: Path,
        settings: Mapping[str, str],
        on_log: Callable[[LogRecord], None],
        *,
        time_scale: float,
    ) -> None:
        self.deaths = 0
        self._app_directory = app_directory
        self._settings = settings
        self._on_log = on_log
        self._time_scale = time_scale
        self._worker: WorkerProcess | None = None
        self._ready = asyncio.Event()
        self._in_a_row = 0
        self._clock_off = 0.0
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id, `None` while there is no worker."""
        return self._worker.pid if self._worker else None

    async def start(self) -> Sequence[Function]:
        """Start the first worker and return the app's functions.

        Raises:
            AppFailed: with the app's own words.
        """
        self._worker, functions = await self._new()
        self._keeping = asyncio.create_task(self._keep(self._worker))
        return functions

    async def worker(self) -> WorkerProcess:
        """Return the worker, as soon as there is one.

        Raises:
            WorkerDied: there will be none, the host has stopped.
        """
        if self._keeping is None:
            raise WorkerDied("the host is stopped")
        while self._worker is None or not self._worker.alive:
            self._ready.clear()
            await self._ready.wait()
        return self._worker

    def answered(self) -> None:
        """Hear that the worker is of use: its next death is its first again."""
        self._in_a_row = 0

    def kill(self) -> None:
        """Kill the worker; another follows."""
        if self._worker is not None:
            self._worker.kill()

    def crash(self, how: str) -> None:
        """Let the worker end itself; another follows."""
        if self._worker is not None:
            self._worker.befall(how)

    def set_clock(self, seconds_off: float) -> None:
        """Let the wall clock of the worker, and of those that follow, be off by so much."""
        self._clock_off = seconds_off
        if self._worker is not None:
            self._worker.befall(f"{CLOCK} {seconds_off}")

    async def stop(self) -> None:
        """End the worker for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        if self._worker is not None:
            self._worker.kill()
            await self._worker.ended()
            self._worker = None

    async def _keep(self, worker: WorkerProcess) -> None:
        while True:
            how = await worker.ended()
            self._worker = None
            self.deaths += 1
            self._say(f"{how}; another is started")
            self._worker = worker = await self._replacement()
            self._ready.set()

    async def _replacement(self) -> WorkerProcess:
        while True:
            await asyncio.sleep(self._pause() * self._time_scale)
            self._in_a_row += 1
            try:
                worker, _ = await self._new()
            except AppFailed as error:
                self._say(str(error))
            else:
                return worker

    async def _new(self) -> tuple[WorkerProcess, Sequence[Function]]:
        starting = asyncio.create_task(
            WorkerProcess.start(self._app_directory, self._settings, self._on_log)
        )
        try:
            # Half a process could not be ended; a whole one can, at any moment.
            worker = await asyncio.shield(starting)
            if self._clock_off:
                worker.befall(f"{CLOCK} {self._clock_off}")
            return worker, await worker.index(self._app_directory)
        except BaseException:
            worker = await starting
            worker.kill()
            await worker.ended()
            raise

    def _pause(self) -> float:
        """Nothing after a first death; longer each time while nothing is answered."""
        if self._in_a_row == 0:
            return 0.0
        growth = 2.0 ** min(self._in_a_row - 1, 8)
        return min(_FIRST_PAUSE_SECONDS * growth, _LONGEST_PAUSE_SECONDS)

    def _say(self, message: str) -> None:
        self._on_log(LogRecord(logging.ERROR, "Host", message))
