"""The benchmarks of the event path run, and print what those who draw figures look for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import budget

ROOT = Path(__file__).parents[2]
SECONDS = 140
"""Far more than they take: with all other tests beside them they are slow."""

pytestmark = pytest.mark.timeout(SECONDS + 10)


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark as its users do."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        text=True,
        check=False,
    )


def printed(module: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a benchmark and return the JSON that it prints."""
    ended = run(f"bench.{module}", "--json", *arguments)

    assert 0 == ended.returncode, ended.stderr
    rows: list[dict[str, Any]] = json.loads(ended.stdout)
    return rows


def test_contestants_take_turns_and_are_compared() -> None:
    """All are measured, what they sent is counted, and the budget is held to what there is."""
    of = "event hub / from the decoded batch / Twin Relay"
    to = "event hub / from the decoded batch / one send an event (quickstart)"
    every = f"{of}, every event"
    empty = "event hub / whole function / empty function"
    chosen = ["--sections", "contestants", "--only", of, to, empty]
    ended = run("bench", "--smoke", "--json", *chosen)

    assert ended.returncode in {0, 1}, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert {} == found["failures"]
    assert {of, every, to, empty} == found["contestants"].keys()
    compared = {(each["of"], each["to"]) for each in found["ratios"]}
    assert {(of, to), (of, every), (every, to)} == compared
    for each in found["contestants"].values():
        assert each["events_per_cpu_second"] > 0
        assert each["peak_memory_mib"] > 10
        assert each["batch_ms"]["p99"] >= each["batch_ms"]["p50"] > 0
    assert None is found["growth"] is found["cold_start"] is found["parts"]
    assert {of} == {line["of"] for line in budget.read()["ratio"] if line["to"] == to}
    assert 1 == len(found["budget"])


def test_apart_tells_of_the_healthy_route_beside_one_in_trouble() -> None:
    sizes = ["--batches", "1", "--size", "10", "--destinations", "queue", "--partitions", "1"]

    undisturbed, refused = printed("apart", *sizes, "--troubles", "refused")

    assert ["undisturbed", "refused"] == [undisturbed["trouble"], refused["trouble"]]
    for row in (undisturbed, refused):
        assert {"median", "worst"} == row["accepted"].keys() == row["settled"].keys()
        assert {"accepted", "settled"} == row["ratios"].keys()
        assert row["settled"]["worst"] >= row["accepted"]["median"] > 0


def test_redrive_shows_memory_and_speed_of_a_backlog_and_the_gain_of_portions() -> None:
    sizes = ["--letters", "40", "--single", "0", "--away", "10", "--partitions", "1"]

    rows = printed("redrive", *sizes)

    assert ["40 letters", "one by one, away", "in portions, away"] == [x["case"] for x in rows]
    assert [40, 10, 10] == [row["letters"] for row in rows]
    assert all(row["per_second"] > 0 and row["memory_grew_mib"] >= 0 for row in rows)
    assert rows[-1]["gain"] > 0


def test_telemetry_compares_each_way_with_none_at_all() -> None:
    rows = printed("telemetry", "--batches", "1", "--size", "10", "--rounds", "1")

    assert ["off", "otlp", "sampled", "down"] == [row["telemetry"] for row in rows]
    assert all({"median", "worst"} == row["batch_seconds"].keys() for row in rows)
    assert all(row["processor_us_per_event"] > 0 for row in rows)
    assert {"median": 1.0, "lowest": 1.0, "highest": 1.0} == rows[0]["rate_to_off"]
