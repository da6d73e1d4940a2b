"""What an operator is told of filters, and of events that he has in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from relay.formats import json_format
from relay.operations.cli import app
from tests.fakes import an_event
from tests.relay.operations.test_cli import SETTINGS


def routes(*filters: str) -> str:
    return json.dumps(
        [
            {
                "name": f"route-{number}",
                "filter": text,
                "destination": {"connection": "ANALYTICS", "eventHub": "hub"},
            }
            for number, text in enumerate(filters)
        ]
    )


def run(*arguments: str, filters: tuple[str, ...] = ("true",)) -> Result:
    settings = SETTINGS | {"RELAY_ROUTES": routes(*filters)}
    return CliRunner().invoke(app, ["routes", *arguments], env=settings)


def a_file(directory: Path, text: str | bytes) -> str:
    file = directory / "event.json"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(file)


def explained(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)["events"]
    return found


def test_each_event_of_a_file_is_told_with_the_routes_that_want_it(tmp_path: Path) -> None:
    other = an_event(id="2", type="microsoft.iot.telemetry")
    written = ",".join(json_format.encode(event) for event in (an_event(), other))
    file = a_file(tmp_path, f"[{written}]")
    filters = ("true", "type = 'microsoft.iot.telemetry'", "type = 'nobody'")
    done = run("explain", file, "--json", filters=filters)

    assert done.exit_code == 0
    assert [each["wantedBy"] for each in explained(done)] == [
        ["route-0"],
        ["route-0", "route-1"],
    ]
    assert explained(done)[0]["id"] == an_event().id


def test_people_see_it_too(tmp_path: Path) -> None:
    file = a_file(tmp_path, json_format.encode(an_event()))
    done = run("explain", file)

    assert (done.exit_code, "wants it" in done.stdout) == (0, True)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"specversion": "1.0"}', "x"])
@pytest.mark.parametrize("option", [["--json"], []])
def test_what_is_no_event_is_told_as_such(tmp_path: Path, text: str, option: list[str]) -> None:
    done = run("explain", a_file(tmp_path, text), *option)

    assert done.exit_code == 1
    assert "error" in done.stdout or "can't be read" in done.stdout


def test_a_file_that_is_not_there_is_named() -> None:
    done = run("explain", "nowhere.json", "--json")

    assert done.exit_code == 2
    assert "can't read nowhere.json" in json.loads(done.stdout)["error"]


def test_a_filter_that_could_surprise_fails_the_lint() -> None:
    done = run("lint", "--json", filters=("true", "type = 'a' AND type = 'b'"))
    found = json.loads(done.stdout)["findings"]

    assert done.exit_code == 1
    assert {finding["route"] for finding in found} == {"route-1"}
    assert "route-1: " in run("lint", filters=("true", "type = 'a' AND type = 'b'")).stdout


def test_filters_without_surprise_pass_the_lint() -> None:
    done = run("lint")

    assert (done.exit_code, done.stdout) == (0, "Nothing to say of 1 routes.\n")
