"""The table in the docs is what the suites hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "conformance.md"


def test_the_docs_count_every_sentence_and_none_that_fails() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(
        [*command, str(HERE)], cwd=HERE.parents[1], capture_output=True, text=True, check=True
    ).stdout
    there_are = len(re.findall(r"^\S+::", listed, re.MULTILINE)) - 1  # this one
    rows = re.findall(r"^\| \[.*\| (\d+) \| (\d+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)

    assert 4 == len(rows)
    assert (there_are, 0) == (sum(int(row[0]) for row in rows), sum(int(r[1]) for r in rows))
