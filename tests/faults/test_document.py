"""What docs/reliability.md says of tests is so: each that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

from lab.faults.report import document
from lab.faults.result import Matrix

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_document_names_is_there() -> None:
    text = document(Matrix([]))
    files = [ROOT / name for name in re.findall(r"`(tests/[\w/]+\.py)`", text)]
    sources = "".join(path.read_text("utf-8") for path in files)
    named = set(re.findall(r"`(test_\w+)`", text))

    assert len(named) > 5
    assert {name for name in named if f"def {name}(" not in sources} == set()
