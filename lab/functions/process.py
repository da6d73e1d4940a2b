"""The parent's handle on one worker process: start it, index the app, invoke, kill."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lab.functions.failures import AppFailed, InvocationTimedOut, WorkerDied
from lab.functions.framing import frame, read
from lab.functions.messages import (
    Answer,
    Invocation,
    LogRecord,
    answer,
    invocation_request,
    log_record,
)
from lab.functions.metadata import Function, functions
from lab.functions.protocol import protos

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    type OnLog = Callable[[LogRecord], None]

CONSOLE: Final = "Host.Function.Console"
_HOST_VERSION: Final = "4.1052.200"
# What a process needs beside the app's settings; everything else would hide a missing one.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_START_SECONDS: Final = 60.0
_LINE_BYTES: Final = 1 << 20
_LAST_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class _Stream:
    """The two ends that the parent holds."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class WorkerProcess:
    """A running worker; made by `start`.

    Attributes:
        capabilities: what the library says it can do, known after `index`.
        http_address: where it serves HTTP itself; `""` where it does not.
    """

    def __init__(self, process: Process, stream: _Stream, on_log: OnLog) -> None:
        self._process = process
        self._stream = stream
        self._on_log = on_log
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._alive = True
        self.capabilities: frozenset[str] = frozenset()
        self.http_address = ""
        self._console = asyncio.create_task(self._read_console())
        self._ended = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, app_directory: Path, settings: Mapping[str, str], on_log: OnLog
    ) -> WorkerProcess:
        """Start a process whose environment is `settings` and the bare necessities."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-u", "-m", "lab.functions.worker"),
                *(str(theirs.fileno()), str(app_directory), str(os.getpid())),
                cwd=app_directory,
                env=_environment(settings),
                stdin=PIPE,
                stdout=PIPE,
                stderr=STDOUT,
                limit=_LINE_BYTES,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the parent, which then ends the worker.
                start_new_session=True,
            )
        ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
        stream = _Stream(*await asyncio.open_connection(sock=ours))
        return cls(process, stream, on_log)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it may still be asked; false as soon as its end is certain."""
        return self._alive

    async def index(self, app_directory: Path) -> tuple[Function, ...]:
        """Let the library find the app's functions, and load them.

        Raises:
            AppFailed: with the app's own words.
        """
        try:
            async with asyncio.timeout(_START_SECONDS):
                return await self._index(app_directory)
        except WorkerDied as error:
            last = "\n".join(self._last_lines)
            raise AppFailed(f"{app_directory}: {error} while indexing\n{last}") from error
        except TimeoutError as error:
            text = f"{app_directory}: not indexed within {_START_SECONDS:.0f} s"
            raise AppFailed(text) from error

    async def _index(self, app_directory: Path) -> tuple[Function, ...]:
        request = protos.WorkerInitRequest(
            host_version=_HOST_VERSION, function_app_directory=str(app_directory)
        )
        started = (await self._ask("init", worker_init_request=request)).worker_init_response
        _check(started.result, app_directory)
        self.capabilities = frozenset(started.capabilities)
        self.http_address = str(started.capabilities.get("HttpUri", ""))
        everything = protos.FunctionsMetadataRequest(function_app_directory=str(app_directory))
        answered = await self._ask("metadata", functions_metadata_request=everything)
        found = answered.function_metadata_response.function_metadata_results
        for metadata in found:
            load = protos.FunctionLoadRequest(
                function_id=metadata.function_id, metadata=metadata
            )
            loaded = await self._ask(metadata.function_id, function_load_request=load)
            _check(loaded.function_load_response.result, app_directory)
        return functions(answered.function_metadata_response)

    async def invoke(self, invocation: Invocation, timeout: timedelta) -> Answer:  # noqa: ASYNC109 - the function's own time, not the caller's patience
        """Run a function and return how it ended.

        Raises:
            InvocationTimedOut: no answer in time; only a new process helps.
            WorkerDied: the process ended before it answered.
        """
        request = invocation_request(invocation)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                message = await self._ask(invocation.id, invocation_request=request)
        except TimeoutError:
            raise InvocationTimedOut(f"no answer within {timeout}") from None
        return answer(message.invocation_response)

    async def _ask(self, request_id: str, **content: Any) -> Any:
        if self._ended.done():
            raise WorkerDied(self._epitaph())
        future = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        try:
            self._stream.writer.write(frame(request_id=request_id, **content))
            return await future
        finally:
            self._waiting.pop(request_id, None)

    async def _read(self) -> None:
        try:
            while (message := await read(self._stream.reader)) is not None:
                self._take(message)
        except BaseException:
            self.kill()
            raise
        finally:
            self._alive = False
            # The socket closes before the exit code is known.
            await self._process.wait()
            await self._console
            self._stream.writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(WorkerDied(self._epitaph()))

    def _take(self, message: Any) -> None:
        if message.WhichOneof("content") == "rpc_log":
            self._on_log(log_record(message.rpc_log))
            return
        future = self._waiting.get(message.request_id)
        # One that was given up in the meantime waits no longer.
        if future is not None and not future.done():
            future.set_result(message)

    async def _read_console(self) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self._last_lines.append(text)
            self._on_log(LogRecord(logging.INFO, CONSOLE, text))

    def _epitaph(self) -> str:
        code = self._process.returncode
        if code is not None and code < 0:
            return f"the worker process was ended by {signal.Signals(-code).name}"
        return f"the worker process ended with code {code}"

    def befall(self, mishap: str) -> None:
        """Let something happen to the process from inside; see `lab.functions.mishaps`."""
        if self._process.stdin is not None and self._alive:
            self._process.stdin.write(f"{mishap}\n".encode())

    async def ended(self) -> str:
        """Wait for the end of the process and say how it ended."""
        await asyncio.shield(self._ended)
        return self._epitaph()

    def kill(self) -> None:
        """End the process at once, as the host does: nothing is flushed."""
        self._alive = False
        if self._process.returncode is None:
            self._process.kill()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, **settings, "PYTHONPATH": str(Path(__file__).parents[2])}


def _check(result: Any, app_directory: Path) -> None:
    """Raise what the library says went wrong, in the app's own words; the stack is a note."""
    if result.status != protos.StatusResult.Success:
        failed = AppFailed(f"{app_directory}: {result.exception.message}")
        failed.add_note(result.exception.stack_trace)
        raise failed
