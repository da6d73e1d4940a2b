"""The whole trigger: the lab's hub, the Azure SDK, checkpoints in Azurite, the real worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from lab.credential import managed_identity
from lab.functions_host import FunctionsHost
from lab.local_azure import LocalAzure
from tests.lab.functions.hosting import APPS, Logs

pytestmark = pytest.mark.asyncio(loop_scope="session")

HUB = "twin-events"
RECEIVER = "a638d3c7-ab3a-418d-83e6-5f17a39d4fde"


class Story:
    """What one test sent and what the function saw of it; other tests share the hub."""

    def __init__(self, azure: LocalAzure, wait_while: Path) -> None:
        self.azure = azure
        self.wait_while = wait_while
        self.logs = Logs()
        self.name = uuid4().hex

    @asynccontextmanager
    async def host(self) -> AsyncIterator[FunctionsHost]:
        settings = self.azure.settings("relay") | {
            "HUB": HUB,
            "GROUP": "$Default",
            "WAIT_WHILE": str(self.wait_while),
        }
        host = FunctionsHost(
            APPS / "one_hub",
            settings,
            on_log=self.logs,
            ca_file=self.azure.tls.ca_file,
            time_scale=0.1,
        )
        await host.start()
        try:
            yield host
        finally:
            await host.stop()

    async def send(self, *numbers: int) -> None:
        """Send events with one key, so that they stay in one partition and in order."""
        settings = self.azure.settings("digital-twins")
        async with (
            managed_identity(
                settings["IDENTITY_ENDPOINT"], settings["IDENTITY_HEADER"]
            ) as identity,
            EventHubProducerClient(
                settings["INGRESS__fullyQualifiedNamespace"],
                HUB,
                identity,
                connection_verify=str(self.azure.tls.ca_file),
            ) as producer,
        ):
            await producer.send_batch(
                [self._event(number) for number in numbers], partition_key=self.name
            )

    def _event(self, number: int) -> EventData:
        event = EventData(f"{self.name} {number}")
        event.properties = {"cloudEvents:id": str(number), "size": 3}
        event.content_type = "application/json"
        event.message_id = f"m{number}"
        return event

    def seen(self) -> list[int]:
        return [
            int(body.split()[1])
            for told in self.logs.told("app.hub")
            for body in told["bodies"]
            if body.startswith(self.name)
        ]

    async def until_seen(self, numbers: Sequence[int]) -> None:
        await self.logs.until(lambda: set(numbers) <= set(self.seen()))


@pytest.fixture
def story(azure: LocalAzure, tmp_path: Path) -> Story:
    return Story(azure, tmp_path / "wait")


async def test_an_event_arrives_with_all_that_the_sdk_sent(story: Story) -> None:
    async with story.host():
        await story.send(7)
        await story.until_seen([7])

    (told,) = [
        told for told in story.logs.told("app.hub") if f"{story.name} 7" in told["bodies"]
    ]
    place = told["bodies"].index(f"{story.name} 7")
    system = told["system"][place]
    assert told["properties"][place] == {"cloudEvents:id": "7", "size": 3}
    assert system["content-type"] == "application/json"
    assert system["message-id"] == "m7"
    assert system["PartitionKey"] == system["x-opt-partition-key"] == story.name
    assert system["SequenceNumber"] == system["x-opt-sequence-number"]
    assert system["Offset"] == system["OffsetString"] == system["x-opt-offset"]
    assert system["EnqueuedTimeUtc"] + "+00:00" == system["x-opt-enqueued-time"]


async def test_a_host_goes_on_where_the_one_before_it_made_its_checkpoint(
    story: Story,
) -> None:
    async with story.host():
        await story.send(*range(5))
        await story.until_seen(range(5))
        # The checkpoint of the last batch is written before the next batch is taken.
        await story.send(5)
        await story.until_seen([5])
    async with story.host():
        await story.send(6)
        await story.until_seen([6])

    assert story.seen()[:5] == [0, 1, 2, 3, 4]
    assert [story.seen().count(number) for number in range(5)] == [1] * 5


async def test_a_batch_whose_worker_is_killed_comes_again(story: Story) -> None:
    async with story.host() as host:
        await story.send(0)
        await story.until_seen([0])
        story.wait_while.touch()
        await story.send(1, 2)
        await story.until_seen([1])
        story.wait_while.unlink()
        host.kill()
        await story.send(3)
        await story.until_seen([3])

        assert host.counts["died"] == 1
    assert list(dict.fromkeys(story.seen())) == [0, 1, 2, 3]
    assert [story.seen().count(number) for number in (0, 1, 3)] == [1, 2, 1]


async def test_a_role_that_is_taken_away_is_missed_by_name_and_found_again(
    story: Story,
) -> None:
    directory, namespace = story.azure.directory, story.azure.namespace("ingress")
    scope = namespace.scope("eventhubs", HUB)
    relay = directory.principal("relay").object_id
    async with story.host():
        await story.send(0)
        await story.until_seen([0])
        directory.revoke(relay, RECEIVER, scope)
        try:
            await story.logs.until(
                lambda: [
                    text
                    for text in story.logs.messages("Host")
                    if text.startswith("hub: event hub 'twin-events' in") and "Listen" in text
                ]
            )
        finally:
            directory.grant(relay, RECEIVER, scope)
        await story.send(1)
        await story.until_seen([1])


async def test_a_connection_that_is_cut_loses_nothing_and_keeps_the_order(
    story: Story,
) -> None:
    async with story.host():
        await story.send(*range(50))
        await story.until_seen([49])
        story.azure.broker.faults.cut_connections("ingress")
        await story.send(*range(50, 100))
        await story.until_seen([99])

    first_seen = list(dict.fromkeys(story.seen()))
    assert first_seen == list(range(100))
