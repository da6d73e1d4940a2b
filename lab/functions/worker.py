"""The worker process: the real worker library behind a socket that its parent holds.

`python -m lab.functions.worker <file descriptor> <app directory> <parent's process id>`

It does what Microsoft's own shell does (workers/proxy_worker in
Azure/azure-functions-python-worker): answer each request in a task of its own, tie log
records to the invocation, and let what is no `Exception` take its course.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import azure_functions_runtime as runtime

from lab.functions.framing import frame, read
from lab.functions.messages import LogRecord, rpc_log
from lab.functions.mishaps import obey_standard_input
from lab.functions.protocol import protos

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.functions.messages import Json

# Request field → response field, handler.
_HANDLERS: Final = {
    "worker_init_request": ("worker_init_response", runtime.worker_init_request),
    "functions_metadata_request": (
        "function_metadata_response",
        runtime.functions_metadata_request,
    ),
    "function_load_request": ("function_load_response", runtime.function_load_request),
    "invocation_request": ("invocation_response", runtime.invocation_request),
}
_STANDARD_FIELDS: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_SYSTEM_LOGGERS: Final = ("azure.functions", "azure_functions_worker")
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class _Request:
    """What the library's handlers take."""

    name: str
    request: Any
    properties: Mapping[str, Any]


class _Channel:
    """Sends messages from whatever thread."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def send(self, **content: Any) -> None:
        data = frame(**content)
        if threading.get_ident() == self._thread:
            self._writer.write(data)
        else:
            self._loop.call_soon_threadsafe(self._writer.write, data)


class _ToParent(logging.Handler):
    """Hands every log record to the parent, with what the app put into `extra`."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self._channel.send(
            rpc_log=rpc_log(
                LogRecord(
                    level=record.levelno,
                    category=record.name,
                    message=self.format(record),
                    properties=_extra(record),
                    invocation_id=runtime.invocation_id_cv.get() or "",
                    system=record.name.startswith(_SYSTEM_LOGGERS),
                )
            )
        )


def _extra(record: logging.LogRecord) -> Mapping[str, Json]:
    return {
        name: _plain(value)
        for name, value in vars(record).items()
        if name not in _STANDARD_FIELDS
    }


def _plain(value: object) -> Json:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case _:
            return str(value)


async def _answer(channel: _Channel, message: Any) -> None:
    kind = message.WhichOneof("content")
    response_field, handler = _HANDLERS[kind]
    if kind == "invocation_request":
        runtime.invocation_id_cv.set(message.invocation_request.invocation_id)
    properties = {"protos": protos, "host": "127.0.0.1"}
    response = await handler(_Request(kind, message, properties))
    channel.send(request_id=message.request_id, **{response_field: response})


async def _serve(descriptor: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
    channel = _Channel(writer)
    _log_to(channel)
    runtime.start_threadpool_executor()
    tasks: set[asyncio.Task[None]] = set()
    while (message := await read(reader)) is not None:
        task = asyncio.create_task(_answer(channel, message))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    # The host kills its workers: no thread or atexit handler of the app delays the end.
    os._exit(0)


def _log_to(channel: _Channel) -> None:
    root = logging.getLogger()
    debug = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in {"1", "true"}
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.addHandler(_ToParent(channel))


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process with its parent, even if the app blocks the loop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _become(app_directory: str) -> None:
    """Leave no trace of the lab on the app's import path."""
    lab = str(Path(__file__).parents[2])
    os.environ.pop("PYTHONPATH", None)
    sys.path[:] = [app_directory, *(path for path in sys.path if path != lab)]


def main() -> None:
    """Serve until the parent is gone."""
    descriptor, app_directory, parent = sys.argv[1:]
    _die_with(int(parent))
    _become(app_directory)
    obey_standard_input()
    asyncio.run(_serve(int(descriptor)))


if __name__ == "__main__":
    main()
