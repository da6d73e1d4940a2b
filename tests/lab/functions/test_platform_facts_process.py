"""Platform facts: what becomes of a worker process, whatever its app does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lab.functions.failures import AppFailed, InvocationTimedOut, WorkerDied
from lab.functions.messages import Data, HttpRequest, Invocation
from lab.functions.metadata import Function
from lab.functions.process import WorkerProcess
from tests.lab.functions.hosting import APPS, DEADLINE_SECONDS, Logs

MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def worker(
    app: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[WorkerProcess, Mapping[str, Function], Logs]]:
    logs = Logs()
    process = await WorkerProcess.start(APPS / app, settings or {}, logs)
    try:
        found = await process.index(APPS / app)
        yield process, {function.name: function for function in found}, logs
    finally:
        process.kill()
        await process.ended()


def a_call(function: Function, id_: str = "i") -> Invocation:
    request = HttpRequest("GET", "http://localhost/", {}, {}, {})
    return Invocation(id_, function.id, {"req": Data("http", request)})


async def test_a_cancelled_error_gives_no_answer_and_harms_nobody_else() -> None:
    async with worker("impatient") as (process, functions, _):
        with pytest.raises(InvocationTimedOut, match=r"no answer within 0:00:00\.5"):
            await process.invoke(a_call(functions["cancelled"]), timedelta(seconds=0.5))
        answer = await process.invoke(a_call(functions["fine"], "j"), MINUTE)

    assert answer.succeeded


async def test_system_exit_ends_the_worker_with_its_code() -> None:
    async with worker("http") as (process, functions, _):
        with pytest.raises(WorkerDied, match="ended with code 3"):
            await process.invoke(a_call(functions["exits"]), MINUTE)

        assert await process.ended() == "the worker process ended with code 3"


async def test_what_is_asked_of_a_dead_worker_is_refused() -> None:
    async with worker("http") as (process, functions, _):
        process.kill()
        await process.ended()
        with pytest.raises(WorkerDied, match="ended by SIGKILL"):
            await process.invoke(a_call(functions["text"]), MINUTE)


async def test_a_kill_in_mid_invocation_leaves_no_answer() -> None:
    async with worker("http") as (process, functions, logs):
        call = asyncio.create_task(process.invoke(a_call(functions["blocks"]), MINUTE))
        await logs.until(lambda: "blocking" in logs.messages("app.http"))
        process.kill()

        with pytest.raises(WorkerDied, match="SIGKILL"):
            await call


async def test_an_app_is_imported_in_the_loop_that_runs_it_and_is_told_its_trace() -> None:
    async with worker("http") as (process, functions, _):
        call = replace(a_call(functions["trace"]), trace_parent="00-1-2-01")
        answer = await process.invoke(call, MINUTE)

    assert answer.returned == "00-1-2-01 True"


async def test_the_library_claims_what_this_host_takes_for_granted() -> None:
    """Bytes as bodies, collections; no cancelling, no farewell, no empty texts."""
    async with worker("http") as (process, _, _):
        capabilities = process.capabilities

    assert capabilities == {
        "RawHttpBodyBytes",
        "RpcHttpBodyOnly",
        "RpcHttpTriggerMetadataRemoved",
        "SharedMemoryDataTransfer",
        "TypedDataCollection",
        "WorkerStatus",
    }


async def test_a_list_in_an_annotation_takes_the_whole_app_down() -> None:
    with pytest.raises(
        AppFailed,
        match=r"cannot load the eh function: binding events has invalid non-type annotation "
        r"list\[azure\.functions\._eventhub\.EventHubEvent\]",
    ):
        async with worker("list_annotation"):
            pass


async def test_two_apps_are_one_too_many() -> None:
    with pytest.raises(AppFailed, match="More than one FunctionApp or other top level"):
        async with worker("two_apps"):
            pass


async def test_an_app_that_fails_when_imported_says_why() -> None:
    with pytest.raises(AppFailed, match="ValueError: RELAY_ROUTES is not set: name the routes"):
        async with worker("needs_setting"):
            pass

    async with worker("needs_setting", {"RELAY_ROUTES": "[]"}) as (_, functions, _):
        assert set(functions) == {"ok"}


async def test_an_app_that_ends_its_process_when_imported_is_quoted() -> None:
    with pytest.raises(AppFailed, match=r"(?s)ended with code 7 while indexing\nabout to die"):
        async with worker("dies"):
            pass


async def test_a_worker_dies_with_its_parent_even_while_its_app_blocks() -> None:
    """A parent of our own is killed while a function sleeps in the worker's only loop."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, str(APPS / "http")),
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = json.loads(await asyncio.wait_for(parent.stdout.readline(), DEADLINE_SECONDS))
    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    async with asyncio.timeout(DEADLINE_SECONDS):
        while _runs(pid):  # noqa: ASYNC110 - nothing tells of somebody else's child
            await asyncio.sleep(0.01)


_PARENT = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from lab.functions.messages import Data, HttpRequest, Invocation
from lab.functions.process import WorkerProcess

async def main():
    app = Path(sys.argv[1])
    def on_log(record):
        if record.message == "blocking":
            print(worker.pid, flush=True)
    worker = await WorkerProcess.start(app, {}, on_log)
    functions = {each.name: each for each in await worker.index(app)}
    request = Data("http", HttpRequest("GET", "http://localhost/", {}, {}, {}))
    call = Invocation("i", functions["blocks"].id, {"req": request})
    await worker.invoke(call, timedelta(minutes=1))

asyncio.run(main())
"""


def _runs(pid: int) -> bool:
    """Whether a process lives; one that waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
