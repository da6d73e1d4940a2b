"""The prober on the real path: a process of its own, the relay in the real worker."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lab.credential import managed_identity
from lab.faults.entrance import INGRESS
from lab.faults.plan import HEALTHY_HUB, HEALTHY_NAMESPACE, TARGETS, Kind, plan
from lab.functions_host import FunctionsHost
from lab.local_azure import LocalAzure
from lab.messaging.model import Namespace, Queue, Subscription, Topic
from lab.plan import App, Grant, Plan, free_block
from relay.identity import Identity
from relay.operations.probing import readers
from relay.operations.probing.access import Access
from relay.operations.probing.places import Kind as PlaceKind
from relay.operations.probing.places import Place
from relay.operations.probing.run import Run
from relay.operations.probing.tally import Tally
from relay.settings import Connection
from tests.relay.operations.bus import browse, put

ROOT = Path(__file__).parents[3]
HUB = f"hub:HEALTHY/{HEALTHY_HUB}/audit"
QUEUE = "queue:FAULTED/alarms"
SENDER = "Azure Event Hubs Data Sender"
RECEIVER = "Azure Event Hubs Data Receiver"
BUS_SENDER = "Azure Service Bus Data Sender"
BUS_RECEIVER = "Azure Service Bus Data Receiver"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("probe"),
]


def a_plan(block: str) -> Plan:
    """A plan of the faults', with a prober, and places to browse."""
    base = plan(block, TARGETS[Kind.QUEUE])
    ingress, archive, faulted = base.namespaces
    bare = Namespace(
        "bare",
        "servicebus",
        f"{block}.5",
        (Queue("plain"), Topic("life", (Subscription("probe"),))),
    )
    grants = (
        Grant("prober", SENDER, ingress.resource_id),
        Grant("prober", RECEIVER, archive.resource_id),
        Grant("prober", BUS_RECEIVER, faulted.resource_id),
        Grant("prober", BUS_RECEIVER, bare.resource_id),
        Grant("prober", BUS_SENDER, bare.resource_id),
    )
    return replace(
        base,
        apps=(*base.apps, App("prober")),
        namespaces=(*base.namespaces, bare),
        grants=(*base.grants, *grants),
    )


@dataclass(frozen=True)
class World:
    azure: LocalAzure
    host: FunctionsHost

    async def probe(self, *arguments: str) -> Process:
        settings = self.azure.settings("relay") | self.azure.access("prober")
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "relay", "probe", "--json", "--client-id", "", *arguments),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **settings},
            stdout=PIPE,
            stderr=PIPE,
        )

    async def probed(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        process = await self.probe(*arguments)
        told, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, json.loads(told)

    @property
    def came_in(self) -> int:
        state: Any = self.azure.broker.state()[INGRESS]
        return sum(each["next"] for each in state["entities"]["twin-events"].values())


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        state = tmp_path_factory.mktemp("azure")
        azure = await stack.enter_async_context(LocalAzure(a_plan(free_block()), state))
        host = FunctionsHost(
            ROOT, azure.settings("relay"), on_log=lambda _: None, ca_file=azure.tls.ca_file
        )
        stack.push_async_callback(host.stop)
        await host.start()
        yield World(azure, host)


async def test_nothing_is_missing_though_the_worker_is_killed_meanwhile(world: World) -> None:
    before = world.came_in
    process = await world.probe(
        *("--read", HUB, "--read", QUEUE, "--events", "150", "--rate", "25", "--twins", "3")
    )
    async with asyncio.timeout(60):
        while world.came_in < before + 50:  # noqa: ASYNC110 - the broker tells no one
            await asyncio.sleep(0.05)
    world.host.kill()
    told, said = await process.communicate()

    outcome = json.loads(told)
    assert process.returncode == 0, said.decode()
    assert outcome["ok"] is True
    assert world.host.counts["died"] >= 1
    for place, found in zip((HUB, QUEUE), outcome["destinations"], strict=True):
        assert found["destination"] == place
        assert 150 == found["sent"] == found["received"]
        assert (found["lost_count"], found["out_of_order"]) == (0, 0)
        assert 0 < found["latency"]["p50"] <= found["latency"]["max"]


async def test_sending_ends_with_its_time(world: World) -> None:
    code, outcome = await world.probed("--read", HUB, "--duration", "1", "--rate", "5")
    (found,) = outcome["destinations"]

    assert code == 0
    assert 1 <= found["sent"] == found["received"] <= 5


async def test_what_never_arrives_is_missing_and_named(world: World) -> None:
    target = TARGETS[Kind.QUEUE]
    world.azure.control.disable(target.namespace, target.entity)
    reading_both = ("--read", HUB, "--read", QUEUE, "--events", "6", "--wait", "3")
    refused, _ = await world.probed(*reading_both)
    world.azure.control.restore(target.namespace, target.entity)
    world.azure.control.reject(target.namespace, "amqp:internal-error", target.entity)
    code, outcome = await world.probed(*reading_both)
    world.azure.control.heal(target.namespace)
    await world.host.invoke_timer("redrive")

    assert (refused, code, outcome["ok"]) == (2, 1, False)
    hub, queue = outcome["destinations"]
    assert (hub["lost_count"], hub["received"]) == (0, 6)
    assert (queue["lost_count"], queue["received"]) == (6, 0)
    assert ["0-0", "0-1", "1-0", "2-0", "3-0", "4-0"] == queue["lost"]


async def test_a_missing_consumer_group_is_named_though_a_consumer_hears_nothing(
    world: World,
) -> None:
    async with asyncio.timeout(90):  # what is not noticed is waited for without end
        code, told = await world.probed("--read", f"hub:HEALTHY/{HEALTHY_HUB}/nobodys")

    assert code == 2
    assert f"archive/{HEALTHY_HUB} has no consumer group 'nobodys'" in told["error"]
    assert "az eventhubs eventhub consumer-group create" in told["error"]


async def test_a_missing_role_is_explained_and_nothing_is_sent(world: World) -> None:
    before = world.came_in
    world.azure.control.revoke("prober", RECEIVER, HEALTHY_NAMESPACE)
    code, told = await world.probed("--read", HUB)
    world.azure.control.grant("prober", RECEIVER, HEALTHY_NAMESPACE)

    assert (code, world.came_in) == (2, before)
    assert "lacks the role Azure Event Hubs Data Receiver" in told["error"]
    assert "az role assignment create" in told["error"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("queue:NOWHERE/alarms", "the settings know INGRESS, "),
        ("queue:FAULTED/nothing", "could not be found"),
        ("alarms", "names no place to read from"),
    ],
)
async def test_a_place_that_is_not_there_is_told(world: World, place: str, words: str) -> None:
    code, told = await world.probed("--read", place)

    assert code == 2
    assert words in told["error"]


@pytest.mark.parametrize(
    ("kind", "entity", "reader"),
    [(PlaceKind.QUEUE, "plain", ""), (PlaceKind.SUBSCRIPTION, "life", "probe")],
)
async def test_where_there_are_no_sessions_others_messages_are_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: PlaceKind, entity: str, reader: str
) -> None:
    access = world.azure.access("prober")
    for name, value in access.items():
        monkeypatch.setenv(name, value)
    credential = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
    address, ca_file = world.azure.namespace("bare").address, str(world.azure.tls.ca_file)
    run, tally = Run("here", 2), Tally()
    others = Run("elsewhere", 2)
    place = Place(kind, Connection("BARE", address), entity, reader)
    async with Identity() as identity, credential:
        read = readers.build(Access(place, identity, ca_file), run, tally)
        await read.check()
        reading = asyncio.create_task(read.read())
        events = [of.event(of.number(count)) for count in range(6) for of in (others, run)]
        await put(address, entity, events, credential, ca_file, topic=bool(reader))
        async with asyncio.timeout(20):
            while len(tally) < 6:  # noqa: ASYNC110 - the reader tells no one
                await asyncio.sleep(0.05)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        left = await browse(address, entity, reader, credential, ca_file)

    assert [run.number(count) for count in range(6)] == list(tally._first)
    assert [0] * 12 == [message.delivery_count or 0 for message in left]
