"""The example app runs as it stands, and its two relays know nothing of one another."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob.aio import ContainerClient

from lab.audit import Access, Received, read_hub
from lab.credential import managed_identity
from lab.functions_host import FunctionsHost, LogRecord
from lab.identity.roles import storage_scope
from lab.local_azure import LocalAzure
from lab.messaging.model import Hub, Namespace
from lab.plan import (
    ACCOUNT,
    HOST_CONTAINERS,
    App,
    BlobConnection,
    Connection,
    Grant,
    Plan,
    free_block,
)
from lab.twins import Layout, Notification, Plant, Sender
from tests.fakes import NOON

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "two-plants"
SECONDS = 40.0
GROUPS = ("$Default", "relay", "audit")
SENDER = "Azure Event Hubs Data Sender"
RECEIVER = "Azure Event Hubs Data Receiver"
CONTRIBUTOR = "Storage Blob Data Contributor"


def the_plan(block: str) -> Plan:
    """What the example's settings name."""
    hubs = tuple(Hub(f"plant-{x}-events", consumer_groups=GROUPS) for x in "ab")
    plants = Namespace("plants", "eventhubs", f"{block}.2", hubs)
    hubs = tuple(Hub(f"plant-{x}", consumer_groups=GROUPS) for x in "ab")
    analytics = Namespace("analytics", "eventhubs", f"{block}.3", hubs)
    containers = tuple(f"dead-letters-plant-{x}" for x in "ab")
    app = App(
        "app",
        connections=tuple(
            Connection(f"PLANT_{x}_{name}", namespace)
            for x in "AB"
            for name, namespace in (("INGRESS", "plants"), ("ANALYTICS", "analytics"))
        ),
        blobs=(
            *(BlobConnection(f"PLANT_{c[-1].upper()}_DEAD_LETTERS", c) for c in containers),
            BlobConnection("AzureWebJobsStorage"),
        ),
    )
    return Plan(
        apps=(app, App("digital-twins"), App("auditor")),
        namespaces=(plants, analytics),
        grants=(
            Grant("digital-twins", SENDER, plants.resource_id),
            Grant("app", RECEIVER, plants.resource_id),
            *(Grant("app", SENDER, analytics.scope("eventhubs", hub.name)) for hub in hubs),
            *(Grant("app", CONTRIBUTOR, storage_scope(ACCOUNT, each)) for each in containers),
            *(
                Grant("app", "Storage Blob Data Owner", storage_scope(ACCOUNT, each))
                for each in HOST_CONTAINERS
            ),
            Grant("auditor", RECEIVER, analytics.resource_id),
            Grant("auditor", "Storage Blob Data Reader", storage_scope(ACCOUNT)),
        ),
        containers=(*containers, *HOST_CONTAINERS),
    )


def put_together(directory: Path) -> Path:
    """Do what the example's README says: put the relay beside `function_app.py`."""
    app = directory / "app"
    shutil.copytree(EXAMPLE, app)
    shutil.copytree(ROOT / "relay", app / "relay", ignore=shutil.ignore_patterns("__pycache__"))
    return app


def the_settings(azure: LocalAzure) -> dict[str, str]:
    """The example's own settings, with what only this place knows in them."""
    text = (EXAMPLE / "local.settings.example.json").read_text("utf-8")
    settings = json.loads(text)["Values"] | azure.settings("app")
    return settings | {f"PLANT_{x}_RELAY_CA_FILE": str(azure.tls.ca_file) for x in "AB"}


@dataclass
class World:
    azure: LocalAzure
    host: FunctionsHost
    plant: ManagedIdentityCredential
    auditor: ManagedIdentityCredential
    records: list[LogRecord] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, record: LogRecord) -> None:
        self.records.append(record)
        self.heard.set()

    def count(self, name: str, relay: str) -> int:
        told = [r.properties for r in self.records if r.message == name]
        return sum(int(str(each["count"])) for each in told if each.get("relay") == relay)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                self.heard.clear()
                await self.heard.wait()

    async def send(self, hub: str, events: Sequence[Notification]) -> None:
        address = self.azure.namespace("plants").address
        async with Sender(address, hub, self.plant, str(self.azure.tls.ca_file)) as sender:
            await sender.send(events)

    async def arrived(self, hub: str) -> list[Received]:
        address = self.azure.namespace("analytics").address
        access = Access(address, self.auditor, str(self.azure.tls.ca_file))
        return await read_hub(access, hub, "audit")

    async def blobs(self, container: str) -> list[str]:
        client = ContainerClient(
            self.azure.storage.url,
            container,
            credential=self.auditor,
            connection_verify=str(self.azure.tls.ca_file),
        )
        async with client:
            return [name async for name in client.list_blob_names()]


@asynccontextmanager
async def a_world(state: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        azure = await stack.enter_async_context(LocalAzure(the_plan(free_block()), state))
        identities = []
        for name in ("digital-twins", "auditor"):
            access = azure.access(name)
            identity = managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])
            identities.append(await stack.enter_async_context(identity))
        host = FunctionsHost(
            put_together(state),
            the_settings(azure),
            on_log=lambda record: world.hear(record),  # noqa: PLW0108 - the world comes after its host
            ca_file=azure.tls.ca_file,
            time_scale=0.05,
        )
        world = World(azure, host, *identities)
        stack.push_async_callback(host.stop)
        await host.start()
        yield world


def some_events(count: int, seed: int) -> list[Notification]:
    return list(islice(Plant(seed, NOON, layout=Layout(1, 1, 3, 2)), count))


def test_the_example_requires_what_the_relay_does() -> None:
    def lines(directory: Path) -> set[str]:
        text = (directory / "requirements.txt").read_text("utf-8")
        return {line for line in text.splitlines() if not line.startswith("#")}

    assert lines(ROOT) == lines(EXAMPLE)
    assert (ROOT / "host.json").read_text("utf-8") == (EXAMPLE / "host.json").read_text("utf-8")


async def test_two_relays_and_the_apps_own_function_run_side_by_side(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        assert {
            "plant_a_event_hub",
            "plant_a_redrive",
            "plant_b_event_hub",
            "plant_b_redrive",
            "heartbeat",
        } == {function.name for function in world.host.functions}

        scope = world.azure.control.scope("analytics/plant-a")
        world.azure.control.revoke("app", SENDER, scope)
        await world.send("plant-a-events", some_events(30, seed=1))
        await world.send("plant-b-events", some_events(40, seed=2))
        await world.until(lambda: world.count("relay.delivered", "plant_b") >= 40)
        await world.until(lambda: world.count("relay.dead_lettered", "plant_a") >= 30)
        await world.host.invoke_timer("heartbeat")
        told = [r.message for r in world.records if "heartbeat on" in r.message]
        assert ["heartbeat on everything: dead_lettered"] == told
        assert await world.blobs("dead-letters-plant-a")
        assert not await world.blobs("dead-letters-plant-b")

        world.azure.control.grant("app", SENDER, scope)
        await world.host.invoke_timer("plant_b_redrive")
        await world.host.invoke_timer("plant_a_redrive")
        await world.until(lambda: world.count("relay.redriven", "plant_a") >= 31)
        at_a, at_b = await world.arrived("plant-a"), await world.arrived("plant-b")

    assert {event.attributes["id"] for event in some_events(40, seed=2)} == {
        message.properties["cloudEvents:id"] for message in at_b
    }
    assert 31 == len({message.properties["cloudEvents:id"] for message in at_a})
    assert 0 == world.count("relay.dead_lettered", "plant_b")
