"""A shell completes the commands: asked of a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def completions(*words: str) -> list[str]:
    """What bash would offer for the last word."""
    path = f"{ROOT / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = f"""
        source <(twin-relay --show-completion bash)
        COMP_WORDS=({" ".join(words)})
        COMP_CWORD={len(words) - 1}
        _twin_relay_completion twin-relay
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-euc", script],
        env={"PATH": path, "HOME": "/nowhere"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("twin-relay", "serv"), "service-tags"),
        (("twin-relay", "service-tags", "ru"), "rules"),
        (("twin-relay", "service-tags", "rules", "x", "--target", "ev"), "event-hubs"),
    ],
)
def test_bash_completes_a_word(words: tuple[str, ...], expected: str) -> None:
    assert expected in completions(*words)


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
