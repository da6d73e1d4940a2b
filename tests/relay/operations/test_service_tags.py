"""Rules for IP filters from service tags, as an operator makes them: by the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_bicep
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from relay.operations.cli import app
from relay.operations.service_tags import (
    TARGETS,
    Selection,
    ServiceTagsError,
    TooManyRulesError,
    make_rules,
    read_tags,
)
from relay.operations.service_tags.networks import merged
from tests.relay.operations.tag_lists import a_list, a_tag, prefixes

type Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a document and returns its path."""

    def writing(document: Any, name: str = "ServiceTags_Public.json") -> str:
        file = tmp_path / name
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(file)

    return writing


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def call(*arguments: str) -> Done:
    ran = CliRunner().invoke(app, ["service-tags", *arguments])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return Done(ran.exit_code, ran.stdout, ran.stderr)


def rules_of(file: str, target: str, *arguments: str) -> dict[str, Any]:
    done = call("rules", file, "--target", target, "--format", "json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def small() -> dict[str, Any]:
    return a_list(["203.0.113.0/29", "203.0.113.8/31", "203.0.113.12/32", "2001:db8::/47"])


# What each target takes


def test_the_whole_tag_does_not_fit_a_namespace_and_the_refusal_says_what_would(
    write: Write,
) -> None:
    done = call("rules", write(a_list()), "--target", "event-hubs", "--format", "bicep")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "AzureDigitalTwins needs 289 rules" in done.stderr
    assert "takes 128" in done.stderr
    assert "--region" in done.stderr
    assert "--limit" in done.stderr
    assert "trusted service" in done.stderr


@pytest.mark.parametrize("target", ["event-hubs", "service-bus", "event-grid"])
def test_a_region_fits_and_whoever_takes_it_is_warned(write: Write, target: str) -> None:
    found = rules_of(write(a_list()), target, "--region", "westeurope")

    assert found["source"]["regions"] == ["AzureDigitalTwins.WestEurope"]
    assert 0 < found["count"] <= 128
    assert any("29 ranges of AzureDigitalTwins" in warning for warning in found["warnings"])


def test_storage_takes_the_whole_tag_as_304_rules_without_short_prefixes(write: Write) -> None:
    found = rules_of(write(a_list()), "storage")
    addresses = [rule["value"] for rule in found["properties"]["networkAcls"]["ipRules"]]

    assert found["count"] == len(addresses) == 304
    assert not [each for each in addresses if each.endswith(("/31", "/32"))]
    assert any("78 IPv6 ranges were left out" in warning for warning in found["warnings"])
    assert any("own region" in warning for warning in found["warnings"])


def test_a_pair_of_addresses_is_two_rules_for_storage_and_one_elsewhere(write: Write) -> None:
    file = write(small())

    assert rules_of(file, "storage")["properties"]["networkAcls"]["ipRules"] == [
        {"value": "203.0.113.0/29", "action": "Allow"},
        {"value": "203.0.113.8", "action": "Allow"},
        {"value": "203.0.113.9", "action": "Allow"},
        {"value": "203.0.113.12", "action": "Allow"},
    ]
    assert rules_of(file, "event-grid")["properties"]["inboundIpRules"] == [
        {"ipMask": "203.0.113.0/29", "action": "Allow"},
        {"ipMask": "203.0.113.8/31", "action": "Allow"},
        {"ipMask": "203.0.113.12/32", "action": "Allow"},
    ]


def test_storage_refuses_a_private_range(write: Write) -> None:
    done = call("rules", write(a_list(["10.1.0.0/24"])), "--target", "storage")

    assert done.returncode == 2
    assert "takes no private range: 10.1.0.0/24" in done.stderr


def test_a_raised_quota_is_believed_and_no_more_than_that(write: Write) -> None:
    file = write(a_list())

    assert rules_of(file, "event-hubs", "--limit", "289")["count"] == 289
    assert call("rules", file, "--target", "event-hubs", "--limit", "288").returncode == 1


def a_selection(addresses: list[str]) -> Selection:
    return read_tags(json.dumps(a_list(addresses))).select()


@given(
    st.sets(
        st.integers(8, 32).flatmap(
            lambda length: st.integers(0, 2**length - 1).map(
                lambda number: str(IPv4Network((number << (32 - length), length)))
            )
        ),
        max_size=40,
    )
)
def test_rules_let_in_exactly_the_addresses_of_the_list(addresses: set[str]) -> None:
    """Nothing is widened and nothing is lost by the notation of any target."""
    wanted = [IPv4Network(each) for each in addresses]
    for target in TARGETS.values():
        try:
            found = make_rules(a_selection(sorted(addresses)), target).addresses
        except ServiceTagsError:
            assert target.name == "storage"
            continue

        assert merged(map(IPv4Network, found)) == merged(wanted)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_no_target_is_given_more_rules_than_it_takes(target: Any) -> None:
    fits = [f"203.0.{n // 256}.{n % 256}/32" for n in range(target.limit)]

    assert len(make_rules(a_selection(fits), target).addresses) == target.limit
    with pytest.raises(TooManyRulesError, match=f"{target.limit + 1} rules"):
        make_rules(a_selection([*fits, "198.51.100.0/24"]), target)


# How they are written


def parsed(bicep: str) -> tree_sitter.Tree:
    language = tree_sitter.Language(tree_sitter_bicep.language())
    return tree_sitter.Parser(language).parse(bicep.encode())


@pytest.mark.parametrize("target", TARGETS)
def test_bicep_is_bicep_and_exports_every_rule(write: Write, target: str) -> None:
    done = call("rules", write(small()), "--target", target, "--format", "bicep")

    assert done.returncode == 0
    assert not parsed(done.stdout).root_node.has_error
    assert "@export()\nvar azureDigitalTwinsRules = [" in done.stdout
    assert f"{TARGETS[target].member}: '203.0.113.0/29', action: 'Allow'" in done.stdout


RECORDER = '#!/bin/sh\nfor each in "$@"; do printf "%s\\n" "$each"; done\n'


@pytest.mark.parametrize("target", TARGETS)
def test_the_commands_run_in_a_shell_and_name_every_rule(
    write: Write, tmp_path: Path, target: str
) -> None:
    az = tmp_path / "az"
    az.write_text(RECORDER)
    az.chmod(0o700)
    done = call("rules", write(small()), "--target", target, "--format", "az")
    ran = subprocess.run(
        ["bash", "-eu", "-c", done.stdout],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "RESOURCE_GROUP": "plant", "NAME": "a name"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = ran.stdout.splitlines()

    assert "a name" in said
    assert any("203.0.113.0/29" in line for line in said)
    assert (
        sum("203.0.113." in line for line in said) == rules_of(write(small()), target)["count"]
    )


def test_the_commands_stop_where_no_resource_is_named(write: Write) -> None:
    done = call("rules", write(small()), "--target", "storage", "--format", "az")
    ran = subprocess.run(["bash", "-c", done.stdout], capture_output=True, check=False)

    assert ran.returncode != 0
    assert b"set it first" in ran.stderr


# Lists


def test_a_region_is_found_by_its_name_and_by_the_files_own_spelling(write: Write) -> None:
    file = write(a_list())
    found = [
        rules_of(file, "event-hubs", "--region", name)["source"]["regions"]
        for name in ("francecentral", "centralfrance", "France Central")
    ]

    assert found == [["AzureDigitalTwins.FranceCentral"]] * 3


def test_regions_add_up(write: Write) -> None:
    file = write(a_list())
    one = rules_of(file, "storage", "--region", "westeurope")["count"]
    both = rules_of(file, "storage", "--region", "westeurope", "--region", "eastus")

    assert both["count"] > one
    assert both["source"]["regions"] == [
        "AzureDigitalTwins.EastUS",
        "AzureDigitalTwins.WestEurope",
    ]


def test_an_unknown_region_is_refused_with_those_that_are_alike(write: Write) -> None:
    done = call("rules", write(a_list()), "--target", "storage", "--region", "westeuropa")

    assert done.returncode == 2
    assert "no region 'westeuropa'. The closest are: WestEurope" in done.stderr


def test_a_list_without_regions_says_where_they_are(write: Write) -> None:
    file = write(a_list(regional=False))
    done = call("rules", file, "--target", "storage", "--region", "westeurope")

    assert done.returncode == 2
    assert "the Discovery API leaves them out" in done.stderr


def test_the_discovery_apis_answer_is_read_as_the_file_is(write: Write) -> None:
    """There, numbers of changes are texts, and some members are absent."""
    answer = small() | {"changeNumber": "375", "id": "/subscriptions/x", "type": "x"}
    for tag in answer["values"]:
        tag["properties"]["changeNumber"] = str(tag["properties"]["changeNumber"])
        del tag["properties"]["platform"], tag["properties"]["regionId"]

    assert rules_of(write(answer), "storage") == rules_of(write(small()), "storage")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "download id 56519"),
        ({"values": 1}, "download id 56519"),
        ({"values": [1], "changeNumber": 1}, "values[0] is no service tag"),
        ({"values": [], "changeNumber": 1}, "no service tag 'AzureDigitalTwins'"),
        ({"values": []}, "the changeNumber of the list is no number"),
        (
            {"values": [a_tag("AzureDigitalTwins", ["1.2.3.4/8"])], "changeNumber": 1},
            "AzureDigitalTwins: '1.2.3.4/8' is no range of addresses",
        ),
        (
            {"values": [a_tag("AzureDigitalTwin", [])], "changeNumber": 1},
            "Did you mean AzureDigitalTwin?",
        ),
    ],
)
def test_what_is_no_list_is_refused_with_the_place_and_the_remedy(
    write: Write, document: Any, words: str
) -> None:
    file = write(document)
    done = call("rules", file, "--target", "storage")

    assert done.returncode == 2
    assert f"{file}: " in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_named() -> None:
    done = call("rules", "nowhere.json", "--target", "storage", "--format", "json")

    assert done.returncode == 2
    assert "can't read nowhere.json: No such file" in json.loads(done.stdout)["error"]


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_stands_for_ranges_is_refused_by_the_tags_name(value: Any) -> None:
    document = a_list(["203.0.113.0/29"])
    document["values"][1]["properties"]["addressPrefixes"] = ["203.0.113.0/29", value]
    with pytest.raises(ServiceTagsError, match="AzureDigitalTwins: "):
        read_tags(json.dumps(document))


# What changed


def diff_of(old: str, new: str, *arguments: str) -> dict[str, Any]:
    done = call("diff", old, new, "--json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_was_added_and_removed_since_last_week_is_told(write: Write) -> None:
    old = write(a_list(["203.0.113.0/29", "203.0.113.8/31"], change=51), "old.json")
    new = write(a_list(["203.0.113.0/29", "2001:db8::/47"]), "new.json")
    found = diff_of(old, new)

    assert found["added"] == ["2001:db8::/47"]
    assert found["removed"] == ["203.0.113.8/31"]
    assert found["unchanged"] == 1
    assert (found["old"]["changeNumber"], found["new"]["changeNumber"]) == (51, 52)


def test_a_narrower_range_is_an_addition_too_since_the_wider_rule_will_go(write: Write) -> None:
    old = write(a_list(["203.0.113.0/28"]), "old.json")
    new = write(a_list(["203.0.113.0/29"]), "new.json")
    found = diff_of(old, new)

    assert (found["added"], found["removed"]) == (["203.0.113.0/29"], ["203.0.113.0/28"])


@pytest.mark.parametrize("target", TARGETS)
def test_rules_that_are_applied_do_not_differ_from_the_list_they_were_made_of(
    write: Write, target: str
) -> None:
    """Neither by notation nor by the IPv6 ranges that no target takes."""
    file = write(a_list())
    limit = ("--limit", "400")
    applied = write(rules_of(file, target, *limit), "applied.json")
    found = diff_of(applied, file)

    assert (found["added"], found["removed"]) == ([], [])


@pytest.mark.parametrize(
    "shown",
    [
        {"ipRules": [{"ipMask": "203.0.113.0/29", "action": "Allow"}]},
        {"inboundIpRules": [{"ipMask": "203.0.113.0/29", "action": "Allow"}]},
        {"networkRuleSet": {"ipRules": [{"ipAddressOrRange": "203.0.113.0/29"}]}},
        {"properties": {"networkAcls": {"ipRules": [{"value": "203.0.113.0/29"}]}}},
    ],
    ids=["namespace", "topic", "account by az", "account by ARM"],
)
def test_rules_are_read_as_they_are_shown(write: Write, shown: dict[str, Any]) -> None:
    new = write(a_list(["203.0.113.0/29", "203.0.113.16/29"]), "new.json")
    found = diff_of(write(shown, "applied.json"), new)

    assert (found["added"], found["removed"]) == (["203.0.113.16/29"], [])


def test_a_rule_that_is_none_is_shown(write: Write) -> None:
    done = call("diff", write({"ipRules": [{"x": 1}]}, "old.json"), write(small()))

    assert done.returncode == 2
    assert "{'x': 1} is no rule" in done.stderr


def test_a_check_fails_when_something_changed_and_only_then(write: Write) -> None:
    old, new = write(small(), "old.json"), write(a_list(["203.0.113.0/29"]), "new.json")

    assert call("diff", old, new).returncode == 0
    assert call("diff", old, new, "--check").returncode == 1
    assert call("diff", old, old, "--check").returncode == 0


def test_people_are_told_as_well(write: Write) -> None:
    old, new = write(small(), "old.json"), write(a_list(["203.0.113.0/29"]), "new.json")

    assert "203.0.113.8/31" in call("diff", old, new).stdout
    assert "Nothing changed: 4 ranges" in call("diff", old, old).stdout


# Removals wait


def remember(file: Path, network: str, days: int) -> None:
    """Let a range have been seen so many days ago for the last time."""
    written = json.loads(file.read_text())
    day = datetime.now(UTC).date() - timedelta(days=days)
    written["seen"][network] = day.isoformat()
    file.write_text(json.dumps(written))


def test_a_range_that_is_gone_keeps_its_rule_for_a_while(write: Write, tmp_path: Path) -> None:
    state = tmp_path / "seen.json"
    remembering = ("--state", str(state))
    rules_of(write(small()), "event-hubs", *remembering)
    found = rules_of(write(a_list(["203.0.113.0/29"])), "event-hubs", *remembering)

    assert found["waiting"] == ["203.0.113.8/31", "203.0.113.12/32"]
    assert found["count"] == 3


def test_a_range_that_is_gone_for_longer_loses_its_rule(write: Write, tmp_path: Path) -> None:
    state = tmp_path / "seen.json"
    remembering = ("--state", str(state), "--grace", "14")
    rules_of(write(small()), "event-hubs", *remembering)
    remember(state, "203.0.113.8/31", 14)
    remember(state, "203.0.113.12/32", 13)
    found = rules_of(write(a_list(["203.0.113.0/29"])), "event-hubs", *remembering)

    assert found["waiting"] == ["203.0.113.12/32"]
    assert "203.0.113.8/31" not in state.read_text()


def test_a_range_that_comes_back_waits_no_longer(write: Write, tmp_path: Path) -> None:
    state = tmp_path / "seen.json"
    remembering = ("--state", str(state))
    for each in (small(), a_list(["203.0.113.0/29"]), small()):
        found = rules_of(write(each), "event-hubs", *remembering)

    assert found["waiting"] == []
    assert json.loads(state.read_text())["seen"].keys() == {
        str(ip_network(each)) for each in small()["values"][1]["properties"]["addressPrefixes"]
    }


def test_what_waits_counts_and_a_refusal_says_so(write: Write, tmp_path: Path) -> None:
    state = tmp_path / "seen.json"
    remembering = ("--state", str(state), "--limit", "3")
    rules_of(write(small()), "event-hubs", *remembering)
    before = state.read_text()
    moved = write(a_list(["198.51.100.0/29"]))
    done = call("rules", moved, "--target", "event-hubs", *remembering)

    assert done.returncode == 1
    assert "needs 4 rules (3 of them wait to be removed)" in done.stderr
    assert state.read_text() == before


@pytest.mark.parametrize("text", ["", "[]", '{"tag": "x", "regions": [], "seen": {"a": "b"}}'])
def test_a_memory_that_is_none_is_never_overwritten(
    write: Write, tmp_path: Path, text: str
) -> None:
    state = tmp_path / "seen.json"
    state.write_text(text)
    done = call("rules", write(small()), "--target", "storage", "--state", str(state))

    assert done.returncode == 2
    assert "it holds no days" in done.stderr
    assert state.read_text() == text


def test_a_memory_of_other_regions_is_refused(write: Write, tmp_path: Path) -> None:
    state = str(tmp_path / "seen.json")
    file = write(a_list())
    rules_of(file, "storage", "--state", state)
    done = call(
        "rules", file, "--target", "storage", "--state", state, "--region", "westeurope"
    )

    assert done.returncode == 2
    assert "keep a file for each selection" in done.stderr


def test_the_test_data_is_as_large_as_azures() -> None:
    versions = [ip_network(each).version for each in prefixes()]

    assert (versions.count(4), versions.count(6)) == (289, 78)
