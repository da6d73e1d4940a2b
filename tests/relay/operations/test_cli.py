"""The command line, as an operator calls it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from relay.operations.cli import app

ROOT = Path(__file__).parents[3]
SETTINGS = {
    "INGRESS__fullyQualifiedNamespace": "plant.servicebus.windows.net",
    "INGRESS__credential": "managedidentity",
    "INGRESS_EVENT_HUB": "twin-events",
    "INGRESS_CONSUMER_GROUP": "relay",
    "ANALYTICS__fullyQualifiedNamespace": "analytics.servicebus.windows.net",
    "DEAD_LETTERS__blobServiceUri": "https://plant.blob.core.windows.net",
    "DEAD_LETTERS_CONTAINER": "dead-letters",
    "RELAY_ROUTES": json.dumps(
        [
            {
                "name": "all-of-it",
                "filter": "true",
                "destination": {"connection": "ANALYTICS", "eventHub": "everything"},
            }
        ]
    ),
}


COMMANDS = typer.main.get_command(app)


def call(*arguments: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relay", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def commands(found: Any = COMMANDS, *names: str) -> Iterator[tuple[str, ...]]:
    """Every command that does something, by its words."""
    below = getattr(found, "commands", {})
    if not below or found.invoke_without_command:
        yield names
    for name, each in below.items():
        yield from commands(each, *names, name)


ALL = [each for each in commands() if each]
NEEDED = {
    ("probe",): ["--read", "event-hub:ANALYTICS/everything"],
    ("routes", "explain"): ["nowhere.json"],
    ("routes", "adt"): ["--endpoint", "landing"],
    ("service-tags", "rules"): ["nowhere.json", "--target", "storage"],
    ("service-tags", "diff"): ["nowhere.json", "nowhere.json"],
    ("service-tags", "fetch"): ["/dev/null/x", "--subscription", "s", "--location", "l"],
}
"""What commands can't do without, of no use here."""


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_whatever_goes_wrong_with_a_command_json_has_it(command: tuple[str, ...]) -> None:
    """One object on standard output and nothing else, for a program that waits for it."""
    settings = [] if command[0] == "service-tags" else ["--settings", "nowhere.json"]
    done = CliRunner().invoke(app, [*command, "--json", *settings, *NEEDED.get(command, [])])

    assert done.exit_code in {1, 2}, done.output
    told = json.loads(done.stdout)
    assert told.keys() == {"error"}
    assert told["error"]


def test_the_table_in_the_docs_has_every_command() -> None:
    table = re.findall(
        r"^\| (`.*?) \|", (ROOT / "docs" / "cli.md").read_text("utf-8"), re.MULTILINE
    )
    words = {word for line in table for word in re.findall(r"[a-z-]{3,}", line)}

    assert {word for each in ALL for word in each} <= words


def test_the_routes_are_shown_as_json() -> None:
    done = call("routes", "--json", settings=SETTINGS)

    assert (done.returncode, done.stderr) == (0, "")
    (route,) = json.loads(done.stdout)["routes"]
    assert route["name"] == "all-of-it"
    assert route["destination"]["entity"] == "everything"


def test_the_routes_are_shown_to_people() -> None:
    done = call("routes", settings=SETTINGS)

    assert done.returncode == 0
    assert "ANALYTICS/everything" in done.stdout


def test_settings_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": SETTINGS}))

    done = call("routes", "--json", "--settings", str(file), settings={})

    assert done.returncode == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"Values": []}'])
def test_a_file_that_holds_no_settings_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(text)

    done = call("routes", "--settings", str(file), settings={})

    assert done.returncode == 2
    assert "local.settings.json: it holds no object 'Values'" in done.stderr


def test_options_before_a_subcommand_are_not_dropped_unseen() -> None:
    done = call("routes", "--json", "lint", settings=SETTINGS)

    assert done.returncode == 2
    assert "behind it: routes lint" in json.loads(done.stdout)["error"]


def test_unusable_settings_are_all_said_with_exit_code_2() -> None:
    done = call("routes", "--json", settings={"RELAY_ROUTES": "[]"})

    assert done.returncode == 2
    assert "INGRESS_EVENT_HUB: there is no way in" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["redrive", "--reason", "forbiden"], "'forbiden' is no reason"),
        (["list", "--fate", "lost"], "'lost' is no fate: there are waiting, held"),
        (["redrive", "--since", "yesterday"], "is no time"),
        (["redrive", "--to", "all-of-it"], "--to needs --route"),
        (["redrive", "--route", "x", "--to", "y"], "there are the routes all-of-it"),
        (["redrive", "--adt", "https://x/y?sig=abc"], "never by a SAS"),
        (["redrive", "--adt", "adt", "--reason", "timeout"], "have no reason"),
        (["show", "--after", "x"], "is no place that a page named"),
        (["purge"], "needs --yes"),
    ],
)
def test_arguments_of_no_use_are_refused_with_exit_code_2(
    arguments: list[str], complaint: str
) -> None:
    done = CliRunner().invoke(app, ["dead-letters", *arguments, "--json"], env=SETTINGS)

    assert done.exit_code == 2
    assert complaint in json.loads(done.stdout)["error"]


def test_the_roles_of_the_surface_are_shown_and_as_a_manifest() -> None:
    shown = call("app-roles", settings={"COLUMNS": "200"})
    manifest = call("app-roles", "--json", settings={})

    assert "c82b9adb-4f5e-4305-8acf-da4734f2f82f" in shown.stdout
    assert json.loads(manifest.stdout).keys() == {"appRoles", "api"}


def test_the_manifest_has_the_roles_that_the_settings_add(tmp_path: Path) -> None:
    more = {
        "RELAY_HTTP_API": "true",
        "ACCESS_TENANT": "756d37c6-57f3-5189-9c1e-239a167454ad",
        "ACCESS_AUDIENCE": "api://twin-relay",
        "ACCESS_ROLES": '{"Relay.Shift": ["deadLetters/*"]}',
    }
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"Values": SETTINGS | more}))
    done = call("app-roles", "--json", "--settings", str(file), settings={})

    assert json.loads(done.stdout)["appRoles"][-1]["value"] == "Relay.Shift"
