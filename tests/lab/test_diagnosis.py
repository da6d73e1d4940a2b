"""Each cause on each path, and the doctor's word for it: as the page says, and right."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab.diagnosis.bench import PATHS, Bench, a_bench
from lab.diagnosis.cases import CASES, UNKNOWN_TEXT, Case
from lab.diagnosis.documents import DIAGNOSIS
from lab.diagnosis.matrix import HIDDEN, SPOKEN, WELL, confusion, diagnose
from relay.causes import Cause
from relay.operations.checks import Outcome

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("diagnosis"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def spoken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path_factory.mktemp("spoken"), SPOKEN) as bench:
        yield bench


@pytest_asyncio.fixture(loop_scope="module")
async def hidden(tmp_path: Path) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path, HIDDEN) as bench:
        yield bench


SPEAKING = [case for case in CASES if not case.hides_words]
HIDING = [case for case in CASES if case.hides_words]


def assert_right(case: Case, said: dict[str, str], line: str) -> None:
    assert said == dict.fromkeys((p for p in PATHS if p in case.paths), case.name)
    assert line == f"| `{case.name}` | {case.how} | {len(said)} | `{case.name}` {len(said)}x |"


def line_of(case: Case) -> str:
    page = (ROOT / DIAGNOSIS).read_text("utf-8")
    return next(line for line in page.splitlines() if line.startswith(f"| `{case.name}` |"))


@pytest.mark.parametrize("case", SPEAKING, ids=lambda case: str(case.name))
async def test_the_doctor_names_the_cause_on_every_path_as_the_page_says(
    spoken: Bench, case: Case
) -> None:
    row = await diagnose(case, spoken)

    assert_right(case, dict(row.said), line_of(case))


@pytest.mark.parametrize("case", HIDING, ids=lambda case: str(case.name))
async def test_where_services_hide_why_the_doctor_says_so(hidden: Bench, case: Case) -> None:
    row = await diagnose(case, hidden)

    assert_right(case, dict(row.said), line_of(case))


async def test_what_no_table_knows_is_shown_in_its_own_words(spoken: Bench) -> None:
    (case,) = [each for each in CASES if each.cause is Cause.UNKNOWN]
    row = await diagnose(case, spoken)

    assert all(
        UNKNOWN_TEXT in check.detail
        for path, checks in row.checks.items()
        for check in checks
        if not path.startswith("Storage")
    )
    assert "Novel" in row.checks["Storage, write"][0].detail


async def test_after_every_case_all_is_well_again_and_the_marker_is_gone(spoken: Bench) -> None:
    (case,) = [each for each in CASES if each.cause is None]
    async with case.produce(spoken) as told:
        report = await spoken.examine(told)

    assert {check.outcome for check in report.checks} == {Outcome.PASSED}


async def test_the_matrix_counts_what_was_said_beside_what_was_produced(spoken: Bench) -> None:
    (case,) = [each for each in CASES if each.cause is None]
    matrix = confusion([await diagnose(case, spoken)])

    assert re.search(rf"^ 1  {WELL} +{len(PATHS)}$", matrix, re.MULTILINE)
