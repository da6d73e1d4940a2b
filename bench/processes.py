"""The measured processes as seen from outside: start one, let it do a round, end it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from uuid import uuid4

from bench import cores
from bench.figures import Run
from lab.functions.messages import Invocation
from lab.functions.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.events import Lane
    from lab.functions.messages import LogRecord
    from lab.functions.metadata import Function
    from lab.functions.trigger_data import TriggerData

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "bench" / "functions"
NODE_PROGRAM = ROOT / "bench" / "forward.mjs"

_ROUND_SECONDS = 120.0
_LAST_WORDS = 15
_LINE_BYTES = 1 << 24


class MeasuringFailed(Exception):  # noqa: N818 - says what happened
    """A process did not do what was to be measured; in its own words."""


class Measured(Protocol):
    """A process on the measured core."""

    @property
    def pid(self) -> int:
        """Its id."""

    async def round(self, batches: int, size: int, lanes: int = 4) -> Run:
        """Deliver so many batches on each lane, the lanes side by side.

        Raises:
            MeasuringFailed: it could not.
        """

    async def stop(self) -> None:
        """End it."""


class Program:
    """A process that gets its events decoded and measures its own rounds."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def python(cls, settings: Mapping[str, str], *arguments: str) -> Self:
        """Start `bench.decoded`."""
        return await cls._start(
            settings, sys.executable, "-P", "-m", "bench.decoded", *arguments
        )

    @classmethod
    async def node(cls, settings: Mapping[str, str], *arguments: str) -> Self:
        """Start the forwarder on Node."""
        trusting = {**settings, "NODE_EXTRA_CA_CERTS": settings["RELAY_CA_FILE"]}
        # The lab is known by its address, of which Node warns.
        options = ("--disable-warning=DEP0123",)
        return await cls._start(trusting, "node", *options, str(NODE_PROGRAM), *arguments)

    @classmethod
    async def _start(cls, settings: Mapping[str, str], *command: str) -> Self:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with cores.measured():
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=ROOT,
                env={**kept, **settings, "PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_BYTES,
            )
        return cls(process)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    async def round(self, batches: int, size: int, lanes: int = 4) -> Run:
        """Deliver so many batches on each lane, the lanes side by side."""
        asked = {"batches": batches, "size": size, "lanes": lanes}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            await self._process.stdin.drain()
            async with asyncio.timeout(_ROUND_SECONDS):
                line = await self._process.stdout.readline()
        except (TimeoutError, ConnectionError) as error:
            raise MeasuringFailed(f"{error!r}: {self._last_words()}") from error
        if not line:
            await self._listening
            raise MeasuringFailed(self._last_words())
        done = json.loads(line)
        return Run(done["events"], done["seconds"], done["busy"], tuple(done["latencies"]))

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._words.append(line.decode(errors="replace").rstrip())

    def _last_words(self) -> str:
        return "\n".join(self._words) or "it ended without a word"

    async def stop(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._listening.cancel()


class Whole:
    """A function app in the real worker library, driven as the host drives it."""

    def __init__(
        self, worker: WorkerProcess, function: Function, plant: Sequence[Lane]
    ) -> None:
        self._worker = worker
        self._function = function
        self._plant = plant

    @classmethod
    async def start(
        cls, directory: Path, settings: Mapping[str, str], plant: Sequence[Lane]
    ) -> Self:
        """Start a worker and let it index the app, whose function for events is taken."""
        with cores.measured():
            worker = await WorkerProcess.start(directory, settings, _unheard)
        try:
            functions = await worker.index(directory)
        except BaseException:
            worker.kill()
            await worker.ended()
            raise
        [function] = [each for each in functions if each.trigger_type == "eventHubTrigger"]
        return cls(worker, function, plant)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._worker.pid

    async def round(self, batches: int, size: int, lanes: int = 4) -> Run:
        """Deliver so many batches on each lane, the lanes side by side."""
        plant = self._plant[:lanes]
        ready = [[lane.invocation(size) for _ in range(batches)] for lane in plant]
        latencies: list[float] = []
        gc.collect()
        start, busy = time.perf_counter(), cores.processor_seconds(self.pid)
        await asyncio.gather(*(self._lane(its, latencies) for its in ready))
        return Run(
            batches * size * len(plant),
            time.perf_counter() - start,
            cores.processor_seconds(self.pid) - busy,
            tuple(latencies),
        )

    async def _lane(self, invocations: Sequence[TriggerData], latencies: list[float]) -> None:
        for data in invocations:
            start = time.perf_counter()
            await self.invoke(data)
            latencies.append(time.perf_counter() - start)

    async def invoke(self, data: TriggerData) -> None:
        """Hand a batch over and wait until it is acknowledged.

        Raises:
            MeasuringFailed: the function failed.
        """
        name = str(self._function.trigger["name"])
        call = Invocation(str(uuid4()), self._function.id, {name: data.input}, data.metadata)
        answer = await self._worker.invoke(call, timedelta(seconds=_ROUND_SECONDS))
        if not answer.succeeded:
            raise MeasuringFailed(f"{answer.error}\n{answer.stack}")

    async def stop(self) -> None:
        """End it."""
        self._worker.kill()
        await self._worker.ended()


def _unheard(_: LogRecord) -> None:
    """Let what is logged go: it is sent, which is part of what is measured."""


def as_node_reads(plant: Sequence[Lane], each: int) -> list[dict[str, Any]]:
    """Return the first events of each lane for a program that decodes nothing itself."""
    return [
        {
            "partition": lane.partition.id,
            "events": [
                {"body": one.data.decode(), "properties": dict(one.received().properties)}
                for one in lane.updates(each)
            ],
        }
        for lane in plant
    ]
