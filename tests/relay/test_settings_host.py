"""What the host grants an invocation bounds what the relay takes for a batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relay.settings import SettingsError, read
from relay.settings.host import LONGEST_BUDGET
from tests.relay.test_settings import GOOD, HERE

ROOT = Path(__file__).parents[2]


def budget(tmp_path: Path, host_json: object, **settings: str) -> float:
    (tmp_path / "host.json").write_text(json.dumps(host_json))
    return read(GOOD | settings, tmp_path).budget


def lock(duration: str) -> dict[str, object]:
    return {"extensions": {"serviceBus": {"maxAutoLockRenewalDuration": duration}}}


def test_the_host_json_that_ships_grants_the_whole_budget() -> None:
    assert read(GOOD, ROOT).budget == LONGEST_BUDGET


def test_without_a_host_json_azures_defaults_hold() -> None:
    assert read(GOOD, HERE).budget == LONGEST_BUDGET


@pytest.mark.parametrize(
    ("host_json", "seconds"),
    [
        ({}, 120),
        ({"functionTimeout": "-1"}, 120),
        ({"functionTimeout": "1.00:00:00"}, 120),
        ({"functionTimeout": "00:02:00"}, 60),
        ({"functionTimeout": "00:00:59.5"}, 29.5),
        (lock("00:01:00"), 30),
        ({"functionTimeout": "00:03:00"} | lock("00:02:00"), 60),
        ([], 120),
        ({"extensions": "none"}, 120),
    ],
)
def test_the_shortest_of_what_the_host_grants_counts(
    tmp_path: Path, host_json: object, seconds: float
) -> None:
    assert budget(tmp_path, host_json) == seconds


def test_an_app_setting_overrides_the_file_as_it_does_for_the_host(tmp_path: Path) -> None:
    override = {"AzureFunctionsJobHost__functionTimeout": "00:01:00"}

    assert budget(tmp_path, {"functionTimeout": "00:10:00"}, **override) == 30


@pytest.mark.parametrize(
    ("host_json", "words"),
    [
        ({"functionTimeout": "five minutes"}, "host.json: functionTimeout: it is no time"),
        ({"functionTimeout": 300}, "it is no time"),
        ({"functionTimeout": "00:00:10"}, "leaves no time"),
        (lock("00:00:05"), "host.json: extensions.serviceBus.maxAutoLockRenewalDuration"),
    ],
)
def test_a_grant_that_cannot_do_stops_the_start(
    tmp_path: Path, host_json: object, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        budget(tmp_path, host_json)


def test_a_host_json_that_is_no_json_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{")

    with pytest.raises(SettingsError, match=r"host.json: it can't be read"):
        read(GOOD, tmp_path)
