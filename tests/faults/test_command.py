"""`python -m lab.faults`, with stages that cost nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.faults import __main__ as command
from lab.faults import readme
from lab.faults.case import Case
from lab.faults.plan import Kind
from lab.faults.result import Result

CASES = (Case("a fault"), Case("another", quick=(Kind.QUEUE,)))


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Play nothing; remember what would have been played."""
    names: list[str] = []

    async def play(case: Case, kind: Kind, stage: object, script: object) -> Result:
        names.append(f"{case.name}, {kind}")
        return Result(case.name, kind, sent=1, delivered=1, delay=0.1)

    @asynccontextmanager
    async def open_stage(*_: object) -> AsyncIterator[None]:
        yield None

    monkeypatch.setattr("lab.faults.matrix.play", play)
    monkeypatch.setattr(command, "open_stage", open_stage)
    monkeypatch.setattr(command, "CASES", CASES)
    monkeypatch.setattr(command, "DOCUMENT", tmp_path / "reliability.md")
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    command.README.write_text(f"{readme.BEGIN}\n{readme.END}\n")
    monkeypatch.setattr(command, "_be_quiet", lambda: None)
    return names


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return line


def test_the_whole_matrix_is_played_and_written_down(
    played: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == command.main(["--json"])

    assert 4 == len(played) == last_line(capsys)["cases"]
    assert "4 cases: 0 lost" in command.DOCUMENT.read_text()
    assert "| all of it | 4 | 4 | 0 | 0 |" in command.README.read_text()


@pytest.mark.parametrize("part", [["--quick"], ["--only", "another"]])
def test_a_part_of_it_is_not_written_down(part: list[str], played: list[str]) -> None:
    assert 0 == command.main([*part, "--json"])

    assert {"another, Service Bus queue"} <= set(played)
    assert "a fault, Event Hub" not in played
    assert not command.DOCUMENT.exists()
    assert "all of it" not in command.README.read_text()


def test_a_case_that_breaks_is_told_and_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def open_stage(*_: object) -> Any:
        raise OSError("no loopback address is free")

    monkeypatch.setattr(command, "open_stage", open_stage)

    assert 1 == command.main(["--json", "--quick"])
    last = last_line(capsys)
    assert last["ok"] is False
    assert ["OSError: no loopback address is free"] == last["results"][0]["problems"]


def test_whoever_ends_it_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def open_stage(*_: object) -> AsyncIterator[None]:
        os.kill(os.getpid(), signal.SIGTERM)
        yield None

    async def play(*_: object) -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(command, "open_stage", open_stage)
    monkeypatch.setattr("lab.faults.matrix.play", play)

    assert 130 == command.main(["--json"])
    assert "Interrupted" in capsys.readouterr().err
    assert not command.DOCUMENT.exists()


def test_words_that_name_no_case_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == command.main(["--only", "no such thing"])
    assert "no case is called like 'no such thing'" in capsys.readouterr().err
