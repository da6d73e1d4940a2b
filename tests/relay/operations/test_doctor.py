"""`doctor`, as an operator and a pipeline call it, against the plant's Azure."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from relay.operations import doctor
from tests.relay.operations.conftest import ROOT, Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEMBERS = {"subject", "step", "outcome", "detail", "cause", "meaning", "remedy", "page"}
SENDER = "Azure Event Hubs Data Sender"
TOKEN = re.compile(r"eyJ[\w-]{20,}")


def failing(told: dict[str, list[dict[str, str]]]) -> list[tuple[str, str, str]]:
    return [
        (check["subject"], check["step"], check["cause"])
        for check in told["checks"]
        if check["outcome"] == "failed"
    ]


async def test_where_all_is_well_every_step_is_told_and_the_code_is_0(reader: Desk) -> None:
    before = reader.azure.control.state()
    done = await reader.call("doctor", "--json")
    told = done.told

    assert (done.code, done.err) == (0, "")
    assert told["verdict"] == "well"
    assert {frozenset(check) for check in told["checks"]} == {frozenset(MEMBERS)}
    assert {check["outcome"] for check in told["checks"]} == {"passed"}
    steps = ["settings", "name", "port", "tls", "token", "cbs", "link", "posture"]
    assert [c["step"] for c in told["checks"] if c["subject"] == "route alarms"] == steps
    stored = [c["step"] for c in told["checks"] if c["subject"] == "dead letters"]
    assert stored == [*steps[:5], "marker", "posture"]
    assert entities(before) == entities(reader.azure.control.state())


def entities(state: dict[str, object]) -> object:
    """What every entity holds: how much was ever sent to it, and what waits."""
    messaging = state["messaging"]
    assert isinstance(messaging, dict)
    return {name: each["entities"] for name, each in messaging.items()}


async def test_the_claims_are_shown_and_the_token_never_is(reader: Desk) -> None:
    relay = reader.azure.directory.principal("relay")
    for arguments in (["doctor", "--json"], ["doctor"]):
        done = await reader.call(*arguments)

        assert relay.object_id in done.out
        assert "https://eventhubs.azure.net/" in done.out
        assert not TOKEN.search(done.out + done.err)
        assert reader.settings()["IDENTITY_HEADER"] not in done.out + done.err


async def test_one_route_that_lacks_its_role_fails_alone_with_code_1(reader: Desk) -> None:
    reader.azure.control.revoke("relay", SENDER, "analytics/telemetry")
    done = await reader.call("doctor", "--json")
    relay = reader.azure.directory.principal("relay")
    (check,) = [c for c in done.told["checks"] if c["outcome"] == "failed"]

    assert (done.code, done.told["verdict"]) == (1, "failed")
    assert failing(done.told) == [("route telemetry", "link", "missing_role")]
    assert relay.object_id in check["remedy"]
    assert "/namespaces/analytics/eventhubs/telemetry" in check["remedy"]
    assert check["page"] == "docs/troubleshooting.md#missing_role"


async def test_to_people_a_failure_is_explained_with_its_command(reader: Desk) -> None:
    reader.azure.control.revoke("relay", SENDER, "analytics/telemetry")
    done = await reader.call("doctor")

    assert done.code == 1
    assert "FAILED" in done.out
    assert "route telemetry, link: missing_role" in done.out
    assert "To mend it: az role assignment create --assignee-object-id" in done.out
    assert "docs/troubleshooting.md#missing_role" in done.out


async def test_the_command_that_it_prints_mends_it(reader: Desk) -> None:
    reader.azure.control.revoke("relay", SENDER, "analytics/telemetry")
    told = (await reader.call("doctor", "--json")).told
    (check,) = [c for c in told["checks"] if c["outcome"] == "failed"]
    words = dict(re.findall(r'--([\w-]+) "?([^\s"]+)"?', check["remedy"]))
    reader.azure.directory.grant(words["assignee-object-id"], words["role"], words["scope"])

    assert (await reader.call("doctor", "--json")).code == 0


async def test_whoever_may_not_read_the_posture_is_told_what_would_let_him(desk: Desk) -> None:
    done = await desk.call("doctor", "--json")
    postures = [c for c in done.told["checks"] if c["step"] == "posture"]

    assert done.code == 0
    assert {check["outcome"] for check in postures} == {"skipped"}
    assert all("give the role Reader" in check["detail"] for check in postures)


@pytest.mark.parametrize("as_json", [True, False])
async def test_settings_of_no_use_end_with_code_2(desk: Desk, *, as_json: bool) -> None:
    secret = "Endpoint=sb://x/;SharedAccessKey=Zm9vYmFyYmF6cXV4Zm9vYmFy"
    done = await desk.call(
        "doctor", *(["--json"] if as_json else []), LEFTOVER=secret, RELAY_CLOUD="Mars"
    )

    assert done.code == 2
    assert "Zm9vYmFy" not in done.out + done.err
    assert "LEFTOVER" in done.out
    assert "RELAY_CLOUD" in done.out
    if as_json:
        assert done.told["verdict"] == "unusable"
        assert {check["cause"] for check in done.told["checks"]} == {"settings_unusable"}


async def test_a_route_to_the_wrong_kind_of_namespace_says_so_before_anything_is_sent(
    desk: Desk,
) -> None:
    bus = desk.azure.namespace("operations")
    done = await desk.call("doctor", "--json", ANALYTICS__resourceId=bus.resource_id)

    assert done.code == 2
    assert "ANALYTICS__resourceId" in done.out


async def test_the_surface_gets_the_same_object(
    reader: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = reader.settings()
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, settings[name])
    told = await doctor.as_json(os.environ | settings)

    assert told["verdict"] == "well"
    assert {frozenset(check) for check in told["checks"]} == {frozenset(MEMBERS)}


async def test_a_receiver_beside_the_hosts_counts_as_let_in(
    reader: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Functions host reads with an owner level, which keeps others out."""
    reader.azure.broker.faults.refuse_links(
        "ingress", "twin-events", "amqp:link:stolen", text="At least one receiver ..."
    )
    done = await reader.call("doctor", "--json")
    (link,) = [
        check
        for check in done.told["checks"]
        if check["subject"].startswith("ingress") and check["step"] == "link"
    ]

    assert done.code == 0
    assert "the Functions host holds the partition" in link["detail"]


async def test_settings_from_a_file_bring_the_identity_along(
    reader: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": reader.settings()}))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "relay", "doctor", "--json", "--settings", str(file)),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()

    assert json.loads(out)["verdict"] == "well"


async def test_where_nobody_tells_how_things_are_locked_that_is_skipped(reader: Desk) -> None:
    done = await reader.call("doctor", "--json", RELAY_MANAGEMENT_URL="https://127.0.0.1:9")
    postures = [c for c in done.told["checks"] if c["step"] == "posture"]

    assert (done.code, done.told["verdict"]) == (0, "well")
    assert {check["outcome"] for check in postures} == {"skipped"}
    assert all("127.0.0.1:9" in check["detail"] for check in postures)
