"""`routes adt` against the lab's Azure Digital Twins, as whoever deploys calls it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab.certificates import issue
from lab.identity import IdentityEndpoint
from lab.misbehaviour import HttpFault
from relay.operations.cli import app
from tests.relay.operations.test_cli import SETTINGS
from tests.relay.operations.test_routes_command import routes
from tests.relay.operations.twins_world import INSTANCE, OWNER, READER, World, a_world

UPDATE = "type = 'Microsoft.DigitalTwins.Twin.Update'"
TELEMETRY = "type = 'microsoft.iot.telemetry'"
OWN = "twin-relay-landing"


@dataclass(frozen=True)
class Done:
    """What the command came to."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        return json.loads(self.out)

    @property
    def parts(self) -> list[tuple[str, str]]:
        return [(each["part"], each["id"]) for each in self.told["differences"]]


@dataclass(frozen=True)
class Desk:
    """A deployer's terminal."""

    world: World
    endpoint: IdentityEndpoint

    async def call(self, *arguments: str, who: str = "owner", **changes: str | None) -> Done:
        """The command runs a loop of its own, hence in a thread."""
        env: dict[str, str | None] = {
            **SETTINGS,
            "RELAY_ROUTES": routes(f"{UPDATE} AND PATCH_TOUCHES('/rpm')", TELEMETRY),
            "RELAY_CA_FILE": self.world.ca_file,
            **self.endpoint.settings(who),
        } | changes
        wait = [] if "--wait" in arguments else ["--wait", "5"]
        instance = ["--instance", self.world.plane.url] if "TWINS_URL" not in changes else []
        done = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            ["routes", "adt", "--endpoint", "landing", *instance, *wait, *arguments],
            env=env,
        )
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return Done(done.exit_code, done.stdout, done.stderr)

    async def apply(self, *arguments: str, who: str = "owner", **changes: str | None) -> Done:
        return await self.call("--apply", *arguments, who=who, **changes)

    def has(self, **found: tuple[str, str]) -> None:
        self.world.plane.event_routes = {
            name.replace("_", "-"): {"endpointName": endpoint, "filter": text}
            for name, (endpoint, text) in found.items()
        }

    @property
    def there(self) -> dict[str, tuple[str, str]]:
        return {
            name: (route["endpointName"], route["filter"])
            for name, route in self.world.plane.event_routes.items()
        }


WANTED = f"{UPDATE} OR {TELEMETRY}"
RIGHT = ("landing", WANTED)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_world(tmp_path) as world:
        endpoint = IdentityEndpoint(world.directory)
        await endpoint.start()
        yield Desk(world, endpoint)
        await endpoint.stop()


# What differs


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        ({}, [("missing", OWN)]),
        ({"twin_relay_landing": RIGHT}, []),
        ({"twin_relay_landing": ("LANDING", f" {WANTED} ")}, []),
        ({"twin_relay_landing": ("landing", "true")}, [("filter", OWN)]),
        ({"twin_relay_landing": ("other", WANTED)}, [("endpoint", OWN)]),
        ({"twin_relay_landing": ("other", "x")}, [("endpoint", OWN), ("filter", OWN)]),
        ({"twin_relay_landing": RIGHT, "old": ("Landing", "true")}, [("extra", "old")]),
        ({"twin_relay_landing": RIGHT, "old": ("other", "true")}, []),
        ({"Twin_relay_landing": RIGHT}, [("missing", OWN), ("extra", "Twin-relay-landing")]),
    ],
)
async def test_each_difference_is_found_and_none_is_mended_unasked(
    desk: Desk, found: dict[str, tuple[str, str]], parts: list[tuple[str, str]]
) -> None:
    desk.has(**found)
    before = desk.there
    done = await desk.call("--json", who="reader")

    assert (done.parts, done.code) == (parts, 1 if parts else 0)
    assert desk.there == before


async def test_people_are_told_what_differs(desk: Desk) -> None:
    desk.has(twin_relay_landing=("other", "false"), old=("landing", "true"))
    done = await desk.call("--diff")

    assert f"filter of {OWN} differs:\n  is      false\n  should  {WANTED}\n" in done.out
    assert "  is      other\n  should  landing\n" in done.out
    assert "extra: old leads to landing too" in done.out
    desk.has()
    assert (
        f"missing: {OWN} leads to landing with the filter: {WANTED}" in (await desk.call()).out
    )
    desk.has(twin_relay_landing=RIGHT)
    assert (await desk.call()).out.startswith("Nothing differs: ")


async def test_event_routes_come_in_pages(desk: Desk) -> None:
    desk.has(a=("landing", "true"), b=("other", "true"), twin_relay_landing=RIGHT)
    desk.world.plane.page = 1
    done = await desk.call("--json")

    assert done.parts == [("extra", "a")]


# What is done


@pytest.mark.parametrize(
    ("found", "done"),
    [
        ({}, [f"created {OWN}"]),
        ({"twin_relay_landing": ("landing", "true")}, [f"changed {OWN}"]),
        ({"twin_relay_landing": ("other", WANTED)}, [f"changed {OWN}"]),
        ({"twin_relay_landing": RIGHT}, []),
    ],
)
async def test_applied_once_it_is_right_and_applied_again_nothing_is_written(
    desk: Desk, found: dict[str, tuple[str, str]], done: list[str]
) -> None:
    desk.has(**found, other=("other", "true"))
    first = await desk.apply("--json")
    desk.world.plane.faults.fault = HttpFault(status=400, acts=frozenset({"PUT", "DELETE"}))
    again = await desk.apply("--json")

    assert (first.code, first.told["done"]) == (0, done)
    assert (again.code, again.told["done"], again.told["differences"]) == (0, [], [])
    assert desk.there == {OWN: RIGHT, "other": ("other", "true")}


async def test_others_are_left_alone_unless_they_are_to_be_pruned(desk: Desk) -> None:
    desk.has(old=("landing", "true"), older=("Landing", "false"), other=("other", "true"))
    kept = await desk.apply()
    assert (kept.code, kept.out) == (0, f"created {OWN}\n")
    assert "extra: old leads to landing too" in kept.err
    assert {"old", "older", "other"} < desk.there.keys()

    pruned = await desk.apply("--prune")
    assert (pruned.code, pruned.out) == (0, "deleted old\ndeleted older\n")
    assert desk.there == {OWN: RIGHT, "other": ("other", "true")}


async def test_what_shows_late_is_waited_for(desk: Desk) -> None:
    desk.world.plane.lag = 1
    done = await desk.apply()

    assert (done.code, done.out) == (0, f"created {OWN}\n")
    assert f"what was changed does not show yet: {OWN}. Again in " in done.err


async def test_what_does_not_show_in_time_is_said_and_so_is_what_was_done(desk: Desk) -> None:
    desk.world.plane.lag = 9
    done = await desk.apply("--wait", "0", "--json")

    assert (done.code, done.told["done"]) == (1, [f"created {OWN}"])
    assert done.told["error"] == f"what was changed does not show yet: {OWN}."


async def test_a_failure_half_way_hides_nothing_that_was_done(desk: Desk) -> None:
    desk.has(a=("landing", "true"), b=("landing", "true"), c=("landing", "true"))
    desk.world.plane.faults.fault = HttpFault(
        status=400, code="Odd", below="/eventroutes/b", acts=frozenset({"DELETE"})
    )
    done = await desk.apply("--prune", "--json")

    assert (done.code, done.told["done"]) == (1, [f"created {OWN}", "deleted a"])
    assert "answered 400 Odd" in done.told["error"]
    assert desk.there.keys() == {OWN, "b", "c"}


# Waiting


async def test_a_role_that_is_new_is_waited_for_and_said(desk: Desk) -> None:
    desk.world.plane.faults.fault = HttpFault(status=403, code="AuthorizationFailed", times=1)
    done = await desk.apply()

    assert (done.code, done.out) == (0, f"created {OWN}\n")
    assert "answered 403 AuthorizationFailed" in done.err
    assert " s are left." in done.err


# Refusals


@pytest.mark.parametrize(
    ("option", "role", "who"),
    [
        ("--apply", OWNER, "reader"),
        ("--apply", OWNER, "stranger"),
        ("--diff", READER, "stranger"),
    ],
)
async def test_a_missing_role_is_named_with_the_command_that_gives_it(
    desk: Desk, option: str, role: str, who: str
) -> None:
    done = await desk.call(option, "--wait", "0", who=who)
    person = desk.world.directory.principal(who)

    assert done.code == 1
    assert (
        f"lacks the role Azure Digital Twins Data {'Owner' if role == OWNER else 'Reader'}"
        in (done.err)
    )
    assert f"--assignee-object-id {person.object_id} --role {role} --scope " in done.err
    assert "private endpoint" not in done.err


async def test_the_command_that_gives_the_role_gives_it(desk: Desk) -> None:
    refused = await desk.apply("--wait", "0", who="stranger")
    words = refused.err.split()
    given = {word: words[words.index(word) + 1] for word in ("--assignee-object-id", "--role")}
    desk.world.directory.grant(given["--assignee-object-id"], given["--role"], INSTANCE)

    assert (await desk.apply("--wait", "0", who="stranger")).code == 0


async def test_a_private_instance_is_told_from_a_missing_role_and_not_waited_for(
    desk: Desk,
) -> None:
    desk.world.plane.is_public = False
    done = await desk.apply()

    assert done.code == 1
    assert "No role is missing: the instance takes calls by private endpoints only" in done.err
    assert "role assignment create" not in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--endpoint", "nowhere"], "There is no endpoint nowhere, or it is not active yet"),
        (["--filter", "type = 'a''b'"], "The filter was: type = 'a''b'"),
        (["--route-id", "a b"], "The id was a b. Give another with --route-id"),
    ],
)
async def test_what_the_instance_does_not_take_is_named(
    desk: Desk, arguments: list[str], told: str
) -> None:
    done = await desk.apply("--wait", "0", *arguments)

    assert done.code == 1
    assert told in done.err


async def test_that_there_are_six_already_is_told_with_their_names(desk: Desk) -> None:
    desk.has(**{f"r{number}": ("other", "true") for number in range(6)})
    done = await desk.apply()

    assert done.code == 1
    assert "has 6 event routes, and may have six unless Microsoft's support raises" in done.err
    assert "r0 (to other), r1 (to other)" in done.err
    taken = await desk.apply("--route-id", "r3")
    assert (taken.code, desk.there["r3"]) == (0, RIGHT)


async def test_a_certificate_of_a_stranger_is_not_trusted(desk: Desk, tmp_path: Path) -> None:
    stranger = issue(tmp_path / "stranger", ["127.0.0.1"])
    done = await desk.call(RELAY_CA_FILE=str(stranger.ca_file))

    assert done.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in done.err


async def test_the_token_is_never_sent_to_another_host(desk: Desk) -> None:
    desk.has(a=("other", "true"), b=("other", "true"))
    desk.world.plane.page = 1
    desk.world.plane.next_host = desk.world.plane.url.replace("127.0.0.1", "127.0.0.2")
    done = await desk.call()

    assert (done.code, "has its next page at another host" in done.err) == (1, True)


async def test_nobody_is_followed_elsewhere(desk: Desk) -> None:
    desk.world.plane.moved_to = f"{desk.world.plane.url}/eventroutes?again"
    done = await desk.call()

    assert (done.code, "answered 307" in done.err) == (1, True)
    assert len(desk.world.plane.paths) == 1


async def test_an_instance_that_does_not_answer_is_told_as_such(desk: Desk) -> None:
    await desk.world.plane.stop()
    done = await desk.call("--wait", "0")

    assert (done.code, "127.0.0.1 gave no answer: " in done.err) == (1, True)


# What is asked of it


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--prune"], "--prune goes with --apply"),
        (["--instance", "example.com"], "is no instance of Azure Digital Twins"),
        (["--instance", ""], "say which instance"),
        (["--filter", "PATCH_TOUCHES('/rpm')"], "does not know PATCH_TOUCHES"),
        (["--filter", "type == 'a'"], "--filter does not parse: line 1, column 6"),
        (["--routes", "nowhere.json"], "can't read nowhere.json"),
        (
            ["--sign-in", "workload-identity"],
            "the environment lacks AZURE_FEDERATED_TOKEN_FILE",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(
    desk: Desk, arguments: list[str], told: str
) -> None:
    done = await desk.call(*arguments, "--json")

    assert done.code == 2
    assert told in done.told["error"]
    assert desk.world.plane.paths == []


async def test_routes_may_stand_in_a_file_without_settings(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "routes.json"
    file.write_text(routes("$body.severity >= 3", "type = 'a'"))
    nothing = dict.fromkeys([*SETTINGS, "RELAY_ROUTES"])
    done = await desk.apply("--routes", str(file), **nothing)
    assert (done.code, desk.there[OWN][1]) == (0, "$body.severity >= 3 OR type = 'a'")

    file.write_text(routes("type == 'a'"))
    assert "does not parse" in (await desk.call("--routes", str(file))).err
    file.write_text(routes("$body.x = 'AccountKey=abc'"))
    assert "it holds a secret" in (await desk.call("--routes", str(file))).err


async def test_a_filter_that_is_given_needs_neither_routes_nor_settings(desk: Desk) -> None:
    nothing = dict.fromkeys([*SETTINGS, "RELAY_ROUTES"])
    done = await desk.apply("--filter", "true", TWINS_URL=desk.world.plane.url, **nothing)

    assert (done.code, desk.there) == (0, {OWN: ("landing", "true")})


# Who asks


def a_tool(directory: Path, name: str, answer: dict[str, Any], code: int = 0) -> None:
    """Put a program in place of one that can't be had here; it prints what that would."""
    file = directory / name
    printed = json.dumps(answer)
    file.write_text(f"#!{sys.executable}\nprint({printed!r})\nraise SystemExit({code})\n")
    file.chmod(0o755)


NO_IDENTITY: dict[str, str | None] = {"IDENTITY_ENDPOINT": None, "IDENTITY_HEADER": None}


@pytest.mark.parametrize("sign_in", ["auto", "az"])
async def test_whoever_signed_in_by_az_may_ask(
    desk: Desk, tmp_path: Path, sign_in: str
) -> None:
    token = desk.world.token("owner")
    a_tool(tmp_path, "az", {"accessToken": token, "expires_on": 4102444800})
    done = await desk.apply("--sign-in", sign_in, PATH=str(tmp_path), **NO_IDENTITY)

    assert (done.code, desk.there) == (0, {OWN: RIGHT})
    assert token not in done.out + done.err


@pytest.mark.parametrize("sign_in", ["auto", "azd"])
async def test_whoever_signed_in_by_azd_may_ask(
    desk: Desk, tmp_path: Path, sign_in: str
) -> None:
    token = desk.world.token("reader")
    a_tool(tmp_path, "azd", {"token": token, "expiresOn": "2100-01-01T00:00:00Z"})
    told = await desk.apply(
        "--sign-in", sign_in, "--wait", "0", PATH=str(tmp_path), **NO_IDENTITY
    )
    reader = desk.world.directory.principal("reader")

    assert told.code == 1
    assert f"The caller (object id {reader.object_id}) lacks the role" in told.err


async def test_no_secret_of_the_environment_is_used(desk: Desk, tmp_path: Path) -> None:
    secret = {
        "AZURE_CLIENT_ID": "11111111-1111-4111-8111-111111111111",
        "AZURE_TENANT_ID": "22222222-2222-4222-8222-222222222222",
        "AZURE_CLIENT_SECRET": "unused",
    }
    done = await desk.call("--filter", "true", PATH=str(tmp_path), **NO_IDENTITY, **secret)

    assert done.code == 1
    assert "There is no token for https://digitaltwins.azure.net" in done.err
    assert "Sign in by 'azd auth login' or 'az login'" in done.err
    assert desk.world.plane.paths == []
    assert "AZURE_CLIENT_SECRET" not in os.environ
