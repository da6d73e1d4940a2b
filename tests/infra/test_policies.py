"""The templates hold to every policy, and every policy notices when they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.__main__ import as_document
from tests.infra.mutants import mutants
from tests.infra.policies.all import POLICIES
from tests.infra.project import ROOT, SCENARIOS, Project
from tests.infra.sabotages import SABOTAGES, Sabotage

PROJECT = Project.read()


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_holds(name: str) -> None:
    assert [str(each) for each in POLICIES[name].broken(PROJECT)] == []


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: each.what)
def test_a_sabotage_is_noticed_by_the_policy_that_it_breaks(sabotage: Sabotage) -> None:
    assert POLICIES[sabotage.policy].is_broken(sabotage.done_to(PROJECT))


def test_every_policy_is_seen_to_fail() -> None:
    assert {each.policy for each in SABOTAGES} == POLICIES.keys()
    assert len({each.what for each in SABOTAGES}) == len(SABOTAGES) >= 40


def test_a_sabotage_that_changes_nothing_is_none() -> None:
    with pytest.raises(LookupError, match="holds 0 times"):
        PROJECT.with_edit("infra/main.bicep", "no such text", "")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_makes_something_to_look_at(scenario: str) -> None:
    made = {each.type for each in PROJECT.deployments[scenario].resources}

    assert {
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.DigitalTwins/digitalTwinsInstances/endpoints",
        "Microsoft.Network/privateEndpoints",
        "Microsoft.Storage/storageAccounts",
        "Microsoft.Web/sites/config",
    } <= made


def test_everything_that_main_takes_is_tried_with_another_value() -> None:
    """A parameter that no scenario changes may do what it wants."""
    main = next(each for each in PROJECT.bicep if each.path == "infra/main.bicep")
    changed = {name for scenario in SCENARIOS.values() for name in scenario}

    assert {each.name for each in main.of("param")} - changed == {
        "deadLetterRedundancy",  # a word among those that the template allows
        "destinationPartitions",  # a number, handed on
        "environmentName",  # given by azd, in every scenario
        "ingressPartitions",  # a number, handed on
        "location",  # given by azd, in every scenario
        "memory",  # a number among those that the template allows
        "mostInstances",  # a number, handed on
        "namespacesNeedEndpoints",  # false where the network has them: then nothing is made
        "networkAddresses",  # a range, handed on
        "principalId",  # given by azd, in every scenario
        "routes",  # the file that the relay reads
        "serviceBusUnits",  # a number among those that the template allows
        "settings",  # none: what is set there is the operator's
        "twinsLocation",  # a region, handed on
    }


def test_the_page_says_what_is_checked() -> None:
    page = ROOT / "docs" / "infra-check.md"

    assert page.read_text("utf-8") == as_document(), "make infra-check DOCUMENT=1"


def test_the_shapes_name_the_packages_that_they_come_from() -> None:
    from tests.infra.bicep import shapes

    pinned = Path(shapes.__file__).with_name("shapes.txt").read_text("utf-8").split()

    assert sorted(pinned) == sorted(f"{name}=={v}" for name, v in shapes.PACKAGES.items())


def test_mutants_change_a_line_each_and_leave_comments() -> None:
    text = "// true\nvar a = {\n  on: true\n  size: 2\n  name: 'x'\n}\n"
    found = [(each.kind, each.line, each.text) for each in mutants(Project({"a.bicep": text}))]

    assert {(kind, line) for kind, line, _ in found} == {
        ("left out", 3),
        ("left out", 4),
        ("left out", 5),
        ("turned round", 3),
        ("one more", 4),
        ("misspelt", 5),
    }
    assert ("turned round", 3, text.replace("on: true", "on: false")) in found
    assert all(changed != text for *_, changed in found)


def test_a_condition_is_turned_round_to_its_end() -> None:
    text = "module a 'b' = if (empty(c)) {\n}\n"
    changed = [each.text for each in mutants(Project({"a.bicep": text}))]

    assert text.replace("if (empty(c))", "if (!(empty(c)))") in changed
