"""Runs the conformance suites and says how many sentences hold: `python tests/conformance`.

`--json` prints one object of `passed`, `failed` and `skipped` for each suite, and nothing else;
`--write` puts the table into `docs/conformance.md`. It fails if a sentence does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs" / "conformance.md"
TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end -->)", re.DOTALL)
SPECIFICATION = "https://github.com/cloudevents/spec/blob/main/cloudevents"
SUITES = {
    "cloudevents_features": (
        "CloudEvents' conformance features for HTTP",
        "https://github.com/cloudevents/conformance/tree/main/features",
    ),
    "http_binding": (
        "CloudEvents' HTTP protocol binding, what a receiver must",
        f"{SPECIFICATION}/bindings/http-protocol-binding.md",
    ),
    "webhook": (
        "CloudEvents' web hooks for event delivery, what a target must",
        f"{SPECIFICATION}/http-webhook.md",
    ),
    "knative_data_plane": (
        "Knative Eventing's data plane, what a recipient must",
        "https://github.com/knative/specs/blob/main/specs/eventing/data-plane.md",
    ),
}


class Counting:
    """Counts results by suite; a plugin of pytest."""

    def __init__(self) -> None:
        self.counts = {suite: Counter(passed=0, failed=0, skipped=0) for suite in SUITES}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: by its call, or by what kept it from being called."""
        if report.when == "call" or report.outcome != "passed":
            suite = Path(report.fspath).stem.removeprefix("test_")
            self.counts[suite][report.outcome] += 1


def run(*, quiet: bool) -> dict[str, Counter[str]]:
    """Run every suite; a suite that can't even be read has failed."""
    counting = Counting()
    arguments = ["-q", "-p", "no:cacheprovider", *(str(HERE / f"test_{s}.py") for s in SUITES)]
    said = io.StringIO() if quiet else sys.stdout
    with contextlib.redirect_stdout(said):
        pytest.main(arguments, [counting])
    for counts in counting.counts.values():
        counts["failed"] += not sum(counts.values())
    return counting.counts


def table(counts: dict[str, Counter[str]]) -> str:
    """Return the results as a table of Markdown."""
    rows = [
        f"| [{name}]({address}) | {counts[suite]['passed']} | {counts[suite]['failed']} |"
        for suite, (name, address) in SUITES.items()
    ]
    return "\n".join(["| suite | hold | fail |", "|---|---|---|", *rows, ""])


def main() -> int:
    """Run, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    counts = run(quiet=wanted.json)
    sys.stdout.write(f"{json.dumps(counts)}\n" if wanted.json else f"\n{table(counts)}")
    if wanted.write:
        DOCS.write_text(TABLE.sub(table(counts), DOCS.read_text("utf-8")), "utf-8")
    return int(any(each["failed"] or each["skipped"] for each in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
