"""`dead-letters`, in a process of its own, against a local Azure."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

from lab.audit import Access, read_hub
from lab.credential import managed_identity
from lab.identity.roles import storage_scope
from lab.local_azure import LocalAzure
from lab.plan import ACCOUNT, DEAD_LETTERS, Grant, free_block, plant_plan
from relay.dead_letters import MALFORMED_ROUTE, DeadLetter, blob_name
from relay.dead_letters.letters import encode
from relay.failures import Reason
from relay.ingress import Malformed
from tests.fakes import NOON, an_arrival, an_event

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("dead-letters-command"),
]

ROOT = Path(__file__).parents[3]
TWINS = "adt-dead-letters"
CONTRIBUTOR = "Storage Blob Data Contributor"
SENDER = "Azure Event Hubs Data Sender"
SECONDS = 40.0
ROUTES = [
    {
        "name": "everything",
        "filter": "true",
        "destination": {"connection": "ANALYTICS", "eventHub": "telemetry"},
    }
]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The object with which JSON output ends."""
        return json.loads(self.out.splitlines()[-1])


@dataclass
class World:
    """A local Azure with letters in it, and a hub whose new events are read."""

    azure: LocalAzure
    relay: ManagedIdentityCredential
    auditor: ManagedIdentityCredential
    seen: int = 0

    def container(self, name: str) -> ContainerClient:
        ca_file = str(self.azure.tls.ca_file)
        url = self.azure.storage.url
        return ContainerClient(url, name, credential=self.relay, connection_verify=ca_file)

    async def keep(
        self,
        numbers: Sequence[int],
        route: str = "everything",
        reason: Reason = Reason.FORBIDDEN,
        *,
        each: int = 1,
    ) -> None:
        """Keep letters of these numbers, so many in each blob."""
        async with self.container(DEAD_LETTERS) as container, asyncio.TaskGroup() as putting:
            for start in range(0, len(numbers), each):
                letters = [a_letter(n, route, reason) for n in numbers[start : start + each]]
                name = blob_name(route, [x.arrival for x in letters], letters[0].fate)
                putting.create_task(container.upload_blob(name, encode(letters, route)))

    async def names(self, container: str = DEAD_LETTERS) -> list[str]:
        async with self.container(container) as opened:
            return [name async for name in opened.list_blob_names()]

    async def let_claims_end(self) -> None:
        """Do what a minute does: end the claims of a process that is no more."""
        async with self.container(DEAD_LETTERS) as container:
            async for blob in container.list_blobs():
                if blob.lease.state == "leased":
                    client = container.get_blob_client(blob.name)
                    await BlobLeaseClient(client).break_lease(0)

    async def arrived(self) -> list[str]:
        """Return the ids that came to the hub since the last look."""
        address = self.azure.namespace("analytics").address
        access = Access(address, self.auditor, str(self.azure.tls.ca_file))
        messages = await read_hub(access, "telemetry", "audit")
        ids = [str(message.properties["cloudEvents:id"]) for message in messages]
        fresh, self.seen = ids[self.seen :], len(ids)
        return fresh

    def settings(self) -> dict[str, str]:
        routes = {"RELAY_ROUTES": json.dumps(ROUTES)}
        return {"PATH": os.environ["PATH"]} | self.azure.settings("relay") | routes

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "relay", "dead-letters", *arguments),
            cwd=ROOT,
            env=self.settings(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )

    async def call(self, *arguments: str) -> Done:
        process = await self.start(*arguments)
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate()
        return Done(process.returncode or 0, out.decode(), err.decode())


def a_letter(number: int, route: str, reason: Reason) -> DeadLetter:
    """Return a letter; all are of one twin, so that a partition shows their order."""
    event = an_event(id=f"{route}-{number}")
    content = Malformed(b"\xff", {}, "no") if route == MALFORMED_ROUTE else event
    arrival = replace(
        an_arrival(content, sequence=number), enqueued=NOON + timedelta(seconds=number)
    )
    return DeadLetter(arrival, reason, "it was so", 1, NOON)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    plan = plant_plan(free_block())
    grant = Grant("relay", CONTRIBUTOR, storage_scope(ACCOUNT, TWINS))
    plan = replace(plan, containers=(*plan.containers, TWINS), grants=(*plan.grants, grant))
    async with LocalAzure(plan, tmp_path_factory.mktemp("azure")) as azure:
        access = [azure.access(app) for app in ("relay", "auditor")]
        relay, auditor = (
            managed_identity(each["IDENTITY_ENDPOINT"], each["IDENTITY_HEADER"])
            for each in access
        )
        async with relay, auditor:
            yield World(azure, relay, auditor)


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared: World) -> AsyncIterator[World]:
    """The world, with empty containers before each test."""
    for name in (DEAD_LETTERS, TWINS):
        async with shared.container(name) as container:
            await shared.let_claims_end()
            for blob in await shared.names(name):
                await container.delete_blob(blob)
    await shared.arrived()
    yield shared


def ids(numbers: Sequence[int], route: str = "everything") -> list[str]:
    return [f"{route}-{number}" for number in numbers]


async def test_letters_are_counted_shown_redriven_and_purged(world: World) -> None:
    await world.keep(range(20), each=4)
    await world.keep(range(20, 23), reason=Reason.TOO_LARGE)
    await world.keep(range(2), MALFORMED_ROUTE, Reason.MALFORMED)

    listed = await world.call("list", "--json")
    shown = await world.call("show", "--json", "--id", "everything-21")
    dry = await world.call("redrive", "--dry-run", "--json")
    redriven = await world.call("redrive", "--json")
    purged = await world.call("purge", "--route", MALFORMED_ROUTE, "--yes", "--json")

    assert [0] * 5 == [each.code for each in (listed, shown, dry, redriven, purged)]
    counts = {(x["route"], x["fate"], x["reason"]): x["count"] for x in listed.result["groups"]}
    assert counts == {
        ("everything", "waiting", "forbidden"): 20,
        ("everything", "held", "too_large"): 3,
        (MALFORMED_ROUTE, "held", "malformed"): 2,
    }
    letter = json.loads(shown.out.splitlines()[0])
    assert (letter["reason"], letter["content"]["data"]) == ("too_large", '{"rpm":1450}')
    assert (dry.result["count"], redriven.result["delivered"]) == (23, 23)
    assert purged.result["purged"] == 2
    arrived = await world.arrived()
    assert [x for x in arrived if x in ids(range(20))] == ids(range(20))
    assert sorted(arrived) == sorted(ids(range(23)))
    assert await world.names() == []


async def test_a_killed_redrive_loses_nothing_and_is_taken_up_in_order(world: World) -> None:
    await world.keep(range(150))
    process = await world.start("redrive", "--json")
    assert process.stdout is not None
    for _ in range(4):
        assert b"progress" in await process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    left = await world.names()
    await world.let_claims_end()

    again = await world.call("redrive", "--json")

    assert process.returncode == -signal.SIGKILL
    assert 0 < len(left) < 150
    assert (again.code, again.result["delivered"]) == (0, len(left))
    assert list(dict.fromkeys(await world.arrived())) == ids(range(150))
    assert await world.names() == []


async def test_ctrl_c_ends_after_what_is_under_way_and_says_how_to_go_on(world: World) -> None:
    await world.keep(range(60), each=6)
    process = await world.start("redrive", "--json", "--rate", "10")
    assert process.stdout is not None
    first = await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(SECONDS):
        rest, _ = await process.communicate()
    stopped = Done(process.returncode or 0, (first + rest).decode(), "")

    again = await world.call("redrive", "--json")

    assert (stopped.code, stopped.result["stopped"]) == (1, True)
    assert "dead-letters redrive --json --rate 10" in stopped.result["resume"]
    assert 0 < stopped.result["delivered"] < 60
    assert (again.code, again.result["delivered"]) == (0, 60 - stopped.result["delivered"])
    assert await world.arrived() == ids(range(60))


async def test_what_is_refused_is_left_and_the_remedy_is_said(world: World) -> None:
    await world.keep(range(5))
    scope = world.azure.control.scope("analytics/telemetry")
    world.azure.control.revoke("relay", SENDER, scope)
    try:
        refused = await world.call("redrive", "--json")
    finally:
        world.azure.control.grant("relay", SENDER, scope)

    (why,) = refused.result["why"]
    assert (refused.code, why["reason"]) == (1, "forbidden")
    assert why["remedy"].startswith("az role assignment create ")
    assert len(await world.names()) == 5


async def test_storage_that_refuses_is_explained(world: World) -> None:
    scope = world.azure.control.scope(DEAD_LETTERS)
    world.azure.control.revoke("relay", CONTRIBUTOR, scope)
    try:
        refused = await world.call("list")
    finally:
        world.azure.control.grant("relay", CONTRIBUTOR, scope)

    assert refused.code == 1
    assert f"it lacks the role {CONTRIBUTOR}" in refused.err
    assert "az role assignment create" in refused.err


async def test_letters_of_azure_digital_twins_go_through_the_routes(world: World) -> None:
    address = f"{world.azure.storage.url}/{TWINS}/landing"
    async with world.container(TWINS) as container:
        for number in range(12):
            body = json.dumps(
                {**an_event(id=f"adt-{number}").attributes, "data": {"rpm": number}}
            )
            await container.upload_blob(f"landing/2026/03/05/12/{number:02}.json", body)
        await container.upload_blob("landing/2026/03/05/12/bad.json", "{")
        await container.upload_blob("elsewhere/2026/03/05/12/0.json", "{}")
    scope = storage_scope(ACCOUNT, TWINS)
    world.azure.control.revoke("relay", CONTRIBUTOR, scope)
    try:
        refused = await world.call("redrive", "--adt", address)
    finally:
        world.azure.control.grant("relay", CONTRIBUTOR, scope)

    dry = await world.call("redrive", "--adt", address, "--dry-run", "--json", "--id", "adt-3")
    done = await world.call("redrive", "--adt", address, "--json")

    assert refused.code == 1
    assert f"it lacks the role {CONTRIBUTOR}" in refused.err
    assert f"containers/{TWINS}" in refused.err
    assert (dry.code, dry.result["count"]) == (0, 1)
    assert (done.code, done.result["settled"]) == (1, 12)
    assert done.result["left_where_they_are"] == {"unreadable": 1}
    assert "bad.json" in done.result["blobs"]["unreadable"][0]
    assert sorted(await world.arrived()) == sorted(f"adt-{n}" for n in range(12))
    left = ["elsewhere/2026/03/05/12/0.json", "landing/2026/03/05/12/bad.json"]
    assert await world.names(TWINS) == left


async def test_what_would_break_the_order_is_refused_with_exit_code_2(world: World) -> None:
    await world.keep(range(2))

    done = await world.call("redrive", "--id", "everything-1", "--json")

    assert done.code == 2
    assert "--out-of-order" in done.result["error"]
    assert len(await world.names()) == 2


async def test_nothing_is_purged_that_was_not_confirmed(world: World) -> None:
    await world.keep(range(2))

    done = await world.call("purge")

    assert done.code == 1
    assert "Nothing was purged." in done.err
    assert len(await world.names()) == 2
