"""`roles` and `security-report`: computed from the settings, compared with what is assigned."""

from __future__ import annotations

import re

import pytest

from lab.identity import RESOURCE_GROUP
from tests.relay.operations.conftest import Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENDER = "Azure Event Hubs Data Sender"


async def test_the_roles_that_are_needed_are_those_that_the_plant_has(reader: Desk) -> None:
    done = await reader.call("roles", "--format", "json", "--compare")
    needed = {
        (each["object_id"], each["role_id"], each["scope"]) for each in done.told["needed"]
    }
    names = ("relay", "relay-operations")
    mine = {reader.azure.directory.principal(name).object_id for name in names}
    granted = {
        (each.object_id, each.role.id, each.scope)
        for each in reader.azure.directory.assignments()
        if each.object_id in mine and each.role.name != "Reader"
    }

    assert granted - needed == {each for each in granted if "azure-webjobs" in each[2]}
    assert [scope for _, _, scope in needed - granted if "<subscription>" in scope] == [
        scope for _, _, scope in needed - granted
    ]  # the host's account, whose resource id no setting gives


async def test_the_difference_names_what_is_missing_too_broad_and_unused(reader: Desk) -> None:
    control = reader.azure.control
    control.revoke("relay", SENDER, "analytics/telemetry")
    control.grant("relay", SENDER, "ingress")
    control.revoke("relay-operations", "Azure Service Bus Data Sender", "operations/alarms")
    control.grant("relay-operations", "Azure Service Bus Data Owner", "operations/alarms")
    control.grant("relay", "Owner", RESOURCE_GROUP)
    done = await reader.call("roles", "--format", "json", "--compare")
    found = done.told["difference"]
    missing = {(each["role"], each["scope"].rpartition("/")[2]) for each in found["missing"]}

    assert done.code == 1
    assert (SENDER, "telemetry") in missing
    assert {(each["role"], each["why"].split()[1]) for each in found["too_broad"]} == {
        ("Azure Service Bus Data Owner", "role"),
        ("Owner", "rules"),
    }
    assert (SENDER, control.scope("ingress")) in {
        (each["role"], each["scope"]) for each in found["unused"]
    }


async def test_who_may_not_read_assignments_is_told_what_would_let_him(desk: Desk) -> None:
    done = await desk.call("roles", "--compare")

    assert done.code == 1
    assert "give the role Reader" in done.err


@pytest.mark.parametrize("how", ["text", "az", "bicep", "json"])
async def test_without_comparing_nobody_is_asked(desk: Desk, how: str) -> None:
    """An endpoint that nobody serves would else be waited for."""
    done = await desk.call(
        "roles", "--format", how, IDENTITY_ENDPOINT="http://127.0.0.1:9/msi/token"
    )

    assert (done.code, done.err) == (0, "")
    assert "2b629674-e913-4c01-ae53-ef4638d8f975" in done.out
    assert "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39" in done.out


async def test_the_commands_assign_what_is_missing(reader: Desk) -> None:
    """Each command, read as `az` would, gives the difference back."""
    directory = reader.azure.directory
    names = ("relay", "relay-operations")
    mine = {directory.principal(name).object_id for name in names}
    for each in directory.assignments():
        if each.object_id in mine and each.role.name != "Reader":
            directory.revoke(each.object_id, each.role.id, each.scope)
    before = await reader.call("roles", "--format", "json", "--compare")
    for each in before.told["needed"]:
        words = dict(re.findall(r'--([\w-]+) "?([^\s"]+)"?', each["command"]))
        directory.grant(words["assignee-object-id"], words["role"], each["scope"])
    after = await reader.call("roles", "--format", "json", "--compare")

    assert len(before.told["difference"]["missing"]) == len(before.told["needed"]) - 1
    assert after.told["difference"] == {"missing": [], "too_broad": [], "unused": []}
    assert "AzureWebJobsStorage__resourceId" in after.told["unread"]


async def test_assignments_that_come_in_pages_are_all_read(reader: Desk) -> None:
    whole = await reader.call("roles", "--format", "json", "--compare")
    management = reader.azure.management
    management.page = 1
    try:
        paged = await reader.call("roles", "--format", "json", "--compare")
    finally:
        management.page = 100

    assert paged.told == whole.told
    assert whole.told["difference"]["missing"] == []


# The security report


async def test_the_report_names_identities_audiences_roles_and_network(desk: Desk) -> None:
    done = await desk.call("security-report", "--format", "json")
    told = done.told
    by_subject = {each["subject"]: each for each in told["access"]}

    assert (done.code, done.err) == (0, "")
    assert told["identities"][0]["identity"] == "system-assigned identity"
    assert set(told["identities"][0]["audiences"]) == {
        "https://eventhubs.azure.net/",
        "https://storage.azure.com",
    }
    assert by_subject["route alarms"]["role_id"] == "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
    assert by_subject["route alarms"]["scope"].endswith("/queues/alarms")
    assert {each["network"] for each in told["network"]} == {"private"}
    assert told["exceptions"][0]["setting"] == "APPLICATIONINSIGHTS_CONNECTION_STRING"
    assert all(each["what"] and each["enforced"] for each in told["forbidden"])
    assert any("system-assigned identity only" in note for note in told["notes"])


@pytest.mark.parametrize("how", ["text", "markdown"])
async def test_the_report_is_written_for_people_too(desk: Desk, how: str) -> None:
    done = await desk.call(
        "security-report",
        "--format",
        how,
        INGRESS__network="public",
        INGRESS_EVENT_GRID_SOURCE="plant.api.weu.digitaltwins.azure.net",
    )

    assert done.code == 0
    assert "INGRESS__network says public" in " ".join(done.out.split())
    assert "no managed identity for an Event Grid endpoint" in done.out
    assert ("## Roles needed" in done.out) is (how == "markdown")


async def test_a_warning_of_development_is_in_the_report(desk: Desk) -> None:
    done = await desk.call(
        "security-report",
        "--format",
        "json",
        AZURE_FUNCTIONS_ENVIRONMENT="Development",
        LEFTOVER="UseDevelopmentStorage=true",
    )

    assert [warning.split(":")[0] for warning in done.told["warnings"]] == ["LEFTOVER"]


async def test_what_the_report_points_at_is_there(desk: Desk) -> None:
    from relay.operations.security_report import FORBIDDEN
    from tests.relay.operations.conftest import ROOT

    places = {place for _, _, shown in FORBIDDEN for place in shown.split(", ")}

    assert not [place for place in places if not (ROOT / place).is_file()]
