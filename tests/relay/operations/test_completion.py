"""A shell completes the commands: asked of a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[3]


LINES = {
    "twin-relay serv": "service-tags",
    "twin-relay service-tags ru": "rules",
    "twin-relay service-tags rules x --target ev": "event-hubs",
}


def completions(lines: Iterable[str]) -> list[str]:
    """What bash would offer for the last word of each line, a line each."""
    path = f"{ROOT / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = "source <(twin-relay --show-completion bash)\n" + "".join(
        f"COMP_WORDS=({line}); COMP_CWORD={line.count(' ')}\n"
        '_twin_relay_completion twin-relay; echo "${COMPREPLY[*]}"\n'
        for line in lines
    )
    done = subprocess.run(
        ["bash", "-euc", script],
        env={"PATH": path, "HOME": "/nowhere"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_bash_completes_commands_and_values() -> None:
    for offered, expected in zip(completions(LINES), LINES.values(), strict=True):
        assert expected in offered.split()


def test_the_command_runs_from_anywhere() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "twin-relay", "--help"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )

    assert "Usage: twin-relay" in done.stdout


def test_the_module_offers_no_completion_that_could_not_work() -> None:
    """A shell completes one word, and `python -m relay` is three."""
    done = subprocess.run(
        [sys.executable, "-m", "relay", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "completion" not in done.stdout
