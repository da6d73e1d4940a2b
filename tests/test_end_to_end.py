"""The whole path: from ADT's wire by real SDKs and the real worker to independent readers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob.aio import ContainerClient

from lab.audit import (
    Access,
    Expectation,
    Report,
    audit,
    read_hub,
    read_queue,
    read_subscription,
)
from lab.credential import managed_identity
from lab.functions_host import AppFailed, FunctionsHost, LogRecord
from lab.local_azure import LocalAzure
from lab.plan import DEAD_LETTERS, free_block, plant_plan
from lab.twins import POISON, Layout, Message, Notification, Plant, Sender
from relay.dead_letters.letters import decode
from relay.ingress import Malformed

APP = Path(__file__).parents[1]
START = datetime(2026, 3, 5, 8, tzinfo=UTC)
SECONDS = 40.0

pytestmark = pytest.mark.timeout(90)

ROUTES = [
    {
        "name": "everything",
        "filter": "true",
        "destination": {"connection": "ANALYTICS", "eventHub": "telemetry"},
    },
    {
        "name": "queued",
        "filter": "true",
        "destination": {"connection": "OPERATIONS", "queue": "alarms", "session": True},
    },
    {
        "name": "lifecycle",
        "filter": "type IN ('Microsoft.DigitalTwins.Twin.Create',"
        " 'Microsoft.DigitalTwins.Twin.Delete')",
        "destination": {"connection": "OPERATIONS", "topic": "lifecycle", "session": True},
    },
]
ONE_ROUTE = {"RELAY_ROUTES": json.dumps(ROUTES[:1])}
EXPECTATIONS = (
    Expectation("everything", lambda _: True),
    Expectation("queued", lambda _: True),
    Expectation(
        "lifecycle",
        lambda event: (
            event.type.removeprefix("Microsoft.DigitalTwins.") in {"Twin.Create", "Twin.Delete"}
        ),
    ),
)
SENDER_ROLE = "Azure Event Hubs Data Sender"


@dataclass
class World:
    """A local Azure with the relay in it, and everybody who looks at them."""

    azure: LocalAzure
    host: FunctionsHost
    plant: ManagedIdentityCredential
    auditor: ManagedIdentityCredential
    records: list[LogRecord] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, record: LogRecord) -> None:
        self.records.append(record)
        self.heard.set()

    def told(self, name: str) -> list[LogRecord]:
        return [record for record in self.records if record.message == name]

    def count(self, name: str, route: str | None = None) -> int:
        return sum(
            int(str(record.properties["count"]))
            for record in self.told(name)
            if route is None or record.properties["route"] == route
        )

    def settled(self, route: str) -> int:
        """How many events reached their destination, at once or after all."""
        return self.count("relay.delivered", route) + self.count("relay.redriven", route)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something the relay tells makes the condition true."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self.heard.clear()
                await self.heard.wait()

    async def send(
        self,
        notifications: Sequence[Notification],
        render: Callable[[Notification], Message] | None = None,
    ) -> None:
        async with self._sender(render) as sender:
            await sender.send(notifications)

    async def send_messages(self, messages: Sequence[Message]) -> None:
        async with self._sender(None) as sender:
            await sender.send_messages(messages)

    def _sender(self, render: Callable[[Notification], Message] | None) -> Sender:
        ingress = self.azure.namespace("ingress").address
        ca_file = str(self.azure.tls.ca_file)
        return Sender(ingress, "twin-events", self.plant, ca_file, render=render)

    def access(self, namespace: str) -> Access:
        address = self.azure.namespace(namespace).address
        return Access(address, self.auditor, str(self.azure.tls.ca_file))

    async def audit(self) -> Report:
        """Read everything back by an identity of its own, and compare."""
        operations = self.access("operations")
        sent, hub, queue, subscription = await asyncio.gather(
            read_hub(self.access("ingress"), "twin-events", "audit"),
            read_hub(self.access("analytics"), "telemetry", "audit"),
            read_queue(operations, "alarms", session=True),
            read_subscription(operations, "lifecycle", "audit", session=True),
        )
        arrived = {"everything": hub, "queued": queue, "lifecycle": subscription}
        return audit(sent, arrived, EXPECTATIONS)

    async def audit_hub(self) -> Report:
        """Compare the first route alone."""
        sent = await read_hub(self.access("ingress"), "twin-events", "audit")
        hub = await read_hub(self.access("analytics"), "telemetry", "audit")
        return audit(sent, {"everything": hub}, EXPECTATIONS[:1])

    async def blobs(self, prefix: str) -> dict[str, str]:
        """Read the dead letters' blobs as they are stored."""
        container = ContainerClient(
            self.azure.storage.url,
            DEAD_LETTERS,
            credential=self.auditor,
            connection_verify=str(self.azure.tls.ca_file),
        )
        async with container:
            names = [name async for name in container.list_blob_names(name_starts_with=prefix)]
            return {
                name: (await (await container.download_blob(name)).readall()).decode()
                for name in names
            }


@asynccontextmanager
async def a_world(
    state: Path, settings: Mapping[str, str] | None = None, *, time_scale: float = 0.05
) -> AsyncIterator[World]:
    """Start a local Azure with the relay in it; all ends with the context."""
    async with AsyncExitStack() as stack:
        azure = await stack.enter_async_context(LocalAzure(plant_plan(free_block()), state))
        plant, auditor = [
            await stack.enter_async_context(_identity(azure, app))
            for app in ("digital-twins", "auditor")
        ]
        records: list[LogRecord] = []
        host = FunctionsHost(
            APP,
            azure.settings("relay") | {"RELAY_ROUTES": json.dumps(ROUTES)} | (settings or {}),
            on_log=lambda record: world.hear(record),  # noqa: PLW0108 - the world comes after its host
            ca_file=azure.tls.ca_file,
            time_scale=time_scale,
        )
        world = World(azure, host, plant, auditor, records)
        stack.push_async_callback(host.stop)
        await host.start()
        yield world


def _identity(azure: LocalAzure, app: str) -> ManagedIdentityCredential:
    access = azure.access(app)
    return managed_identity(access["IDENTITY_ENDPOINT"], access["IDENTITY_HEADER"])


def some_events(count: int, seed: int = 7) -> Iterator[Notification]:
    """Few twins: reading a session back costs most of a second."""
    return islice(Plant(seed, START, layout=Layout(1, 1, 3, 2)), count)


async def test_all_seven_types_reach_every_kind_of_destination_unchanged(
    tmp_path: Path,
) -> None:
    events = list(some_events(600))
    async with a_world(tmp_path) as world:
        await world.send(events)
        await world.until(lambda: world.settled("queued") >= len(events))
        await world.until(lambda: world.settled("everything") >= len(events))
        report = await world.audit()

    types = {event.type for event in events}
    assert 7 == len(types)
    assert report.is_clean, report.as_json()
    assert len(events) == report.sent
    assert len(events) == report.delivered["everything"]
    assert Counter(event.type for event in events)["microsoft.iot.telemetry"] > 0


async def test_events_in_each_of_the_three_shapes_arrive_the_same(tmp_path: Path) -> None:
    source = "plant-a.api.weu.digitaltwins.azure.net"
    binary, structured, event_grid = (list(some_events(60, seed)) for seed in (1, 2, 3))
    async with a_world(tmp_path, {"INGRESS_EVENT_GRID_SOURCE": source}) as world:
        await world.send(binary)
        await world.send(structured, lambda one: one.as_structured())
        await world.send(event_grid, lambda one: one.as_event_grid())
        await world.until(lambda: world.settled("everything") >= 180)
        arrived = await read_hub(world.access("analytics"), "telemetry", "audit")

    bodies = Counter(message.body for message in arrived)
    assert Counter(one.data for one in (*binary, *structured, *event_grid)) == bodies
    ids = Counter(str(message.properties["cloudEvents:id"]) for message in arrived)
    assert Counter(one.attributes["id"] for one in (*binary, *structured, *event_grid)) == ids


async def test_poison_is_kept_with_its_bytes_and_harms_no_neighbour(tmp_path: Path) -> None:
    events = list(some_events(50))
    async with a_world(tmp_path) as world:
        await world.send_messages(
            [*POISON.values(), *[one.as_amqp() for one in events], *POISON.values()]
        )
        await world.until(lambda: world.settled("everything") >= len(events))
        await world.until(lambda: world.count("relay.malformed") >= 2 * len(POISON))
        blobs = await world.blobs("_malformed")

    letters = [letter for text in blobs.values() for letter in decode(text)]
    kept = Counter(
        letter.arrival.content.body
        for letter in letters
        if isinstance(letter.arrival.content, Malformed)
    )
    assert Counter(message.body for message in (*POISON.values(), *POISON.values())) == kept


async def test_a_revoked_role_is_explained_and_nothing_is_lost_or_reordered(
    tmp_path: Path,
) -> None:
    first, second, third = (list(some_events(900))[i : i + 300] for i in (0, 300, 600))
    async with a_world(tmp_path) as world:
        await world.send(first)
        await world.until(lambda: world.settled("everything") >= 300)
        scope = world.azure.control.scope("analytics/telemetry")
        world.azure.control.revoke("relay", SENDER_ROLE, scope)
        await world.send(second)
        await world.until(lambda: world.settled("queued") >= 600)
        await world.until(lambda: world.count("relay.dead_lettered", "everything") >= 300)
        refusal = world.told("relay.refused")[0].properties
        world.azure.control.grant("relay", SENDER_ROLE, scope)
        await world.send(third)
        await world.host.invoke_timer("redrive")
        await world.until(lambda: world.settled("everything") >= 900)
        await world.until(lambda: world.settled("queued") >= 900)
        report = await world.audit()

    assert "analytics/telemetry" == refusal["destination"]
    assert SENDER_ROLE == refusal["role"]
    assert scope == refusal["scope"]
    assert str(refusal["remedy"]).startswith("az role assignment create --assignee-object-id ")
    assert report.is_clean, report.as_json()
    assert 900 == report.delivered["everything"]
    assert 0 == report.duplicated


async def test_a_worker_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    events = list(some_events(1200))
    async with a_world(tmp_path, ONE_ROUTE) as world:
        for start in range(0, 1200, 300):
            seen = world.settled("everything")
            await world.send(events[start : start + 300])
            await world.until(lambda seen=seen: world.settled("everything") > seen)  # type: ignore[misc]
            deaths = world.host.counts["died"]
            world.host.kill()
            await world.until(lambda deaths=deaths: world.host.counts["died"] > deaths)  # type: ignore[misc]
        report = await _audited_until_complete(world)

    assert 0 == report.lost, report.as_json()
    assert 0 == report.out_of_order, report.as_json()
    assert 0 == report.altered, report.as_json()


async def _audited_until_complete(world: World) -> Report:
    """Audit until nothing is missing: what a killed worker told last is not known."""
    async with asyncio.timeout(SECONDS):
        while True:
            world.heard.clear()
            report = await world.audit_hub()
            if not report.lost:
                return report
            await world.heard.wait()


async def test_when_blob_is_refused_too_the_host_brings_the_batch_again(tmp_path: Path) -> None:
    events = list(some_events(200))
    async with a_world(tmp_path, ONE_ROUTE) as world:
        scope = world.azure.control.scope("analytics/telemetry")
        world.azure.control.revoke("relay", SENDER_ROLE, scope)
        dead_letters = world.azure.control.scope(DEAD_LETTERS)
        world.azure.control.revoke("relay", "Storage Blob Data Contributor", dead_letters)
        await world.send(events)
        await world.until(lambda: world.host.counts.get("failed", 0) >= 3)
        assert not await world.blobs("everything")
        world.azure.control.grant("relay", "Storage Blob Data Contributor", dead_letters)
        await world.until(lambda: world.count("relay.dead_lettered", "everything") >= 200)
        world.azure.control.grant("relay", SENDER_ROLE, scope)
        await world.host.invoke_timer("redrive")
        await world.until(lambda: world.count("relay.redriven", "everything") >= 200)
        report = await world.audit_hub()

    assert 0 == report.lost, report.as_json()
    assert 0 == report.out_of_order, report.as_json()
    failures = [r.message for r in world.records if r.level >= logging.ERROR]
    assert any("Storage Blob Data Contributor" in message for message in failures)


async def test_a_secret_in_any_setting_stops_the_start_and_is_not_shown(tmp_path: Path) -> None:
    secret = "SharedAccessKey=Zm9vYmFyYmF6cXV4Zm9vYmFy"

    with pytest.raises(AppFailed) as failed:
        async with a_world(tmp_path, {"LEFTOVER": f"Endpoint=sb://x/;{secret}"}):
            pass

    assert "LEFTOVER" in str(failed.value)
    assert "Zm9vYmFy" not in str(failed.value)
