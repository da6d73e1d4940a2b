"""docs/telemetry.md names everything that there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.settings import Exporter
from relay.telemetry.names import METRICS, Log, Metric

TEXT = (Path(__file__).parents[3] / "docs" / "telemetry.md").read_text("utf-8")
ROWS = {
    row[1]: row[0]
    for row in re.finditer(r"^\| `((?:relay|messaging)\.[\w.]+)` \|.*$", TEXT, re.MULTILINE)
}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_metric_has_its_row_with_its_attributes(metric: Metric) -> None:
    row = ROWS[metric.name]

    missing = {name for name in metric.attributes if f"`{name}`" not in row}
    assert not missing or "the same" in row


def test_no_other_metric_has_one() -> None:
    assert ROWS.keys() == {metric.name for metric in METRICS}


def test_each_log_and_each_exporter_is_named() -> None:
    assert [log for log in Log if f"`{log.value}`" not in TEXT] == []
    assert [each for each in Exporter if f"| `{each.value}` |" not in TEXT] == []
