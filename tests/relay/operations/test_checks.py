"""What follows from checks, and that nothing secret stands in them."""

from __future__ import annotations

import pytest

from relay.causes import Cause
from relay.operations.checks import Check, Report, Step, Verdict, failed, passed, skipped
from tests.relay.test_redaction import ECHOES, MARKS

WELL = passed("route a", Step.PORT)
SKIPPED = skipped("route a", Step.LINK, "why")
BAD = failed("route a", Step.LINK, Cause.MISSING_ROLE, "said")
USELESS = failed("RELAY_ROUTES", Step.SETTINGS, Cause.SETTINGS_UNUSABLE, "said")


@pytest.mark.parametrize(
    ("checks", "verdict", "code"),
    [
        ((), Verdict.WELL, 0),
        ((WELL, SKIPPED), Verdict.WELL, 0),
        ((WELL, BAD, SKIPPED), Verdict.FAILED, 1),
        ((BAD, USELESS), Verdict.UNUSABLE, 2),
    ],
)
def test_the_verdict_is_that_of_the_worst(
    checks: tuple[Check, ...], verdict: Verdict, code: int
) -> None:
    report = Report(checks)

    assert (report.verdict, report.verdict.exit_code) == (verdict, code)
    assert report.as_json()["verdict"] == verdict.value


@pytest.mark.parametrize("text", ECHOES.values(), ids=ECHOES.keys())
def test_what_a_service_echoes_is_in_no_check(text: str) -> None:
    checks = (
        passed("a", Step.LINK, text),
        skipped("a", Step.LINK, text),
        failed("a", Step.LINK, Cause.UNKNOWN, text),
    )
    shown = f"{Report(checks).as_json()}"

    assert not [mark for mark in MARKS if mark in shown]
