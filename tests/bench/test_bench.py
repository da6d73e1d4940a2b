"""The benchmarks of the event path run, and print what those who draw figures look for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 50


def printed(module: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a benchmark as its users do and return the JSON that it prints."""
    ended = subprocess.run(
        [sys.executable, "-m", f"bench.{module}", "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        text=True,
        check=False,
    )

    assert 0 == ended.returncode, ended.stderr
    rows: list[dict[str, Any]] = json.loads(ended.stdout)
    return rows


def test_throughput_compares_the_relay_with_every_other_way_and_says_where_time_goes() -> None:
    sizes = ["--events", "80", "--rounds", "1", "--sizes", "10", "--destinations", "queue"]

    [row] = printed("throughput", *sizes)

    ways = {"one_by_one", "grouped", "whole", "limit"}
    parts = {
        "decode", "filters", "placement", "encoding", "tokens", "sdk", "rest", "waiting",
    }  # fmt: skip
    assert {"destination", "batch", "relay", "parts"} <= row.keys()
    assert ways | {f"to_{way}" for way in ways} <= row.keys()
    assert parts == row["parts"].keys()
    assert all(row["parts"][part] > 0 for part in ("decode", "filters", "encoding"))


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
