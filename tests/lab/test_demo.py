"""The demo as it is: a process of its own, the real relay, the real wire."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from lab.demo.__main__ import main

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("demo")]


async def start(*arguments: str, path: str | None = None) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab.demo", *arguments),
        cwd=ROOT,
        env={**os.environ, "PATH": path if path is not None else os.environ["PATH"]},
        stdout=PIPE,
        stderr=PIPE,
    )


async def test_every_event_arrives_in_order_and_the_refusal_is_explained() -> None:
    process = await start("--json", "--events", "1000", "--rate", "1000")
    output, errors = await process.communicate()
    lines = [json.loads(line) for line in output.splitlines()]
    last = lines[-1]
    assert (process.returncode, errors.decode()) == (0, ""), last
    assert last["kind"] == "outcome"
    assert last["sent"] == 1000
    assert last["delivered"] == last["expected"]
    assert last["dead_lettered"] == last["redriven"] > 0
    assert [last[n] for n in ("lost", "out_of_order", "altered", "unexpected")] == [0] * 4
    (refusal,) = last["refusals"]
    assert refusal["destination"] == "analytics/twin-changes"
    assert refusal["role"] == "Azure Event Hubs Data Sender"
    assert refusal["role_id"] == "2b629674-e913-4c01-ae53-ef4638d8f975"
    assert refusal["scope"].endswith("/namespaces/analytics/eventhubs/twin-changes")
    assert refusal["object_id"] in refusal["remedy"]
    assert all(refusal.values())


async def test_a_missing_node_is_said_in_one_line(tmp_path: Path) -> None:
    process = await start(path=str(tmp_path))
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert len(errors.decode().splitlines()) == 1
    assert b"Node" in errors


async def test_what_was_started_ends_when_the_demo_is_told_to() -> None:
    process = await start()
    assert process.stdout is not None
    while b"1. A plant sends" not in await process.stdout.readline():
        assert not process.stdout.at_eof()
    process.terminate()
    _, errors = await process.communicate()
    assert process.returncode == 130
    assert errors.decode() == "Interrupted; everything that was started has ended\n"


@pytest.mark.parametrize("arguments", [["--events", "499"], ["--rate", "-1"], ["--what"]])
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m lab.demo" in capsys.readouterr().err
