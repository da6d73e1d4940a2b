"""Fuzzes every decoder: `python tests/fuzz`.

Each target runs in a process of its own under Atheris, with bounds for the time of one input
and for memory; the inputs are shared out evenly. `--json` ends with one object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.fuzz.targets import TARGETS, seeds  # noqa: E402 - the path is set above

LONGEST_INPUT = 4096
SECONDS_AN_INPUT = 5
MEGABYTES = 1024
PROGRESS = re.compile(r"#(\d+)\s.*cov: (\d+)")


@contextmanager
def corpus(target: str) -> Iterator[tuple[Path, Path]]:
    """Yield a folder of good inputs, and one for what is found."""
    with TemporaryDirectory(prefix="twin-relay-fuzz-") as directory:
        good, found = Path(directory) / "corpus", Path(directory) / "found"
        good.mkdir()
        found.mkdir()
        for number, seed in enumerate(seeds(target)):
            (good / str(number)).write_bytes(seed)
        yield good, found


def fuzz(target: str, inputs: int, *, quiet: bool) -> dict[str, object]:
    """Run one target; return how many inputs it had, and the one that it failed with."""
    began = time.monotonic()
    with corpus(target) as (good, found):
        options = (
            f"-runs={inputs}",
            f"-max_len={LONGEST_INPUT}",
            f"-timeout={SECONDS_AN_INPUT}",
            f"-rss_limit_mb={MEGABYTES}",
            f"-artifact_prefix={found}/",
            str(good),
        )
        command = [sys.executable, str(ROOT / "tests/fuzz/guided.py"), target, *options]
        done, tail = 0, []
        with subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                tail = [*tail[-40:], line]
                progress = PROGRESS.match(line)
                if progress:
                    done = int(progress[1])
                    say(f"{target:12}{done:>10,} inputs, {progress[2]} places", quiet=quiet)
        failures = [repr(path.read_bytes()[:400]) for path in found.iterdir()]
        if process.returncode and not failures:
            failures = ["".join(tail)]
    seconds = round(time.monotonic() - began, 1)
    if failures:
        say("".join(tail), quiet=False)
    return {"inputs": max(done, 0), "seconds": seconds, "failures": failures}


def say(text: str, *, quiet: bool) -> None:
    """Print a line of progress."""
    if not quiet:
        sys.stderr.write(f"{text}\n")


def main() -> int:
    """Run every target, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--inputs", type=int, default=1_000_000, help="for all decoders together"
    )
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    results = {}
    share = -(-wanted.inputs // len(TARGETS))
    for target in TARGETS:
        results[target] = fuzz(target, share, quiet=wanted.json)
        told = results[target]
        say(
            f"{target:12}{told['inputs']:>10,} inputs in {told['seconds']} s", quiet=wanted.json
        )
    if wanted.json:
        sys.stdout.write(f"{json.dumps(results)}\n")
    return int(any(told["failures"] for told in results.values()))


if __name__ == "__main__":
    sys.exit(main())
