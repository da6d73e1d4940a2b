"""A run is shown whole, and written where the document wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import plot, report
from bench.budget import Verdict
from bench.contestants import ALL, ours, pairs

ROOT = Path(__file__).parents[2]
VERDICTS = [Verdict("faster than fast", 9.0, 8.0, at_least=True)]
TIMES = {"p50": 1.0, "p99": 2.0}
START = {
    "seconds": 1.5,
    "steps_seconds": {"start": 1.0, "first": 0.5},
    "steps_cpu_seconds": {"start": 0.9, "first": 0.1},
    "first_after_pause_seconds": 0.1,
    "peak_memory_mib": 80.0,
    "imports_seconds": {"aiohttp": 0.2, "in all": 0.9},
}


def a_run() -> dict[str, Any]:
    """Return the object that a run ends with, with figures of no meaning."""
    figures = {
        "events_per_cpu_second": 1_000.0,
        "events_per_second": 900.0,
        "spread": 0.1,
        "microseconds_per_event": 1_000.0,
        "peak_memory_mib": 50.0,
        "batch_ms": TIMES,
        "lone_event_ms": None,
    }
    growing = {
        "events": 10,
        "microseconds_per_event": 5.0,
        "microseconds_per_delivery": 5.0,
        "memory_mib": 50.0,
        "memory_grew_mib": 1.0,
    }
    return {
        "machine": {
            "when": "2026-01-01 00:00 UTC",
            "processor": "a processor",
            "cores": 2,
            "cores_apart": True,
            "memory_gib": 8,
            "system": "Linux 6",
            "python": "3.13",
            "node": "20",
            "packages": {"azure-eventhub": "5"},
            "load_before": 2.5,
            "quiet": False,
        },
        "form": "Five rounds.",
        "contestants": {
            each.key: {
                "destination": each.destination,
                "how": each.how,
                "way": each.way,
                **figures,
            }
            for each in ALL
        },
        "ratios": [
            {"of": of.key, "to": to.key, "times": 12.5, "least": 12, "most": 13}
            for of, to in pairs(ALL)
        ],
        "failures": {"somebody": "it died"},
        "parts": {"decoding": {"share": 1.0, "microseconds": 10.0}},
        "growth": [
            {"what": "routes", "value": 1, **growing},
            {"what": "routes", "value": 1_000, **growing},
            {"what": "twins", "value": 9, "failure": "it died"},
        ],
        "cold_start": {
            "relay": START,
            "quickstart": START,
            "ratio": 1.0,
            "rounds": 5,
            "waits_seconds": {"tokens": 0.1},
        },
    }


def test_every_contestant_has_its_row_with_its_ratio() -> None:
    found = [table for table in report.tables(a_run(), VERDICTS) if table.columns[0] == "way"]
    rows = [row for table in found for row in table.rows]

    assert len(ALL) == len(rows)
    assert sum(each == ours(each) for each in ALL) == sum(row[3] == "" for row in rows)
    assert {"", "12.5 times", "12.5 times (12.5)"} == {row[3] for row in rows}


def test_every_row_of_a_table_has_a_cell_for_each_column() -> None:
    for table in report.tables(a_run(), VERDICTS):
        assert {len(table.columns)} == {len(row) for row in table.rows}, table.title


def test_a_run_stands_between_the_marks_of_the_document_and_nowhere_else() -> None:
    document = f"before\n{report.BEGIN}\nwhat was\n{report.END}\nafter\n"

    once = report.written(document, a_run(), VERDICTS)
    twice = report.written(once, a_run(), VERDICTS)

    assert once == twice
    assert once.startswith(f"before\n{report.BEGIN}\n")
    assert once.endswith(f"{report.END}\nafter\n")
    assert "what was" not in once
    assert "faster than fast" in once
    assert "somebody failed: it died" in once


def test_other_work_on_the_machine_is_told() -> None:
    busy, quiet = a_run(), a_run()
    quiet["machine"]["quiet"] = True
    document = report.BEGIN + report.END

    assert "other work ran on it too" in report.written(document, busy, VERDICTS)
    assert "nothing else ran on it" in report.written(document, quiet, VERDICTS)


def test_a_document_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="it has no"):
        report.written("nothing\n", a_run(), VERDICTS)


def test_the_document_has_the_marks() -> None:
    document = (ROOT / "docs" / "performance.md").read_text("utf-8")

    assert (1, 1) == (document.count(report.BEGIN), document.count(report.END))


def test_the_same_run_gives_the_same_picture(tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    plot.draw(a_run(), first)
    plot.draw(a_run(), second)

    assert first.read_bytes() == second.read_bytes()
    assert "events per CPU second" in first.read_text("utf-8")
