"""The whole way: the plant publishes, Event Grid delivers to functions, Azurite buries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice

import pytest
import pytest_asyncio
from azure.storage.blob.aio import ContainerClient

from lab.certificates import server_context
from lab.credential import managed_identity
from lab.event_grid import Subscription
from lab.functions_host import FunctionsHost
from lab.local_azure import LocalAzure
from lab.plan import EVENT_GRID_DEAD_LETTERS, free_block, plant_plan
from lab.twins import Layout, Plant, TopicSender
from lab.twins.notification import YEAR_ONE
from lab.twins.topic_sender import PublishFailed
from tests.lab.event_grid.grid_lab import DEADLINE_SECONDS, until_counts
from tests.lab.functions.hosting import APPS, Logs

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOPICS = [("plant-a", "EventGridSchema"), ("plant-a-cloud-events", "CloudEventSchemaV1_0")]
START = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def azure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalAzure]:
    """An Azure of its own: its Event Grid's clock runs two thousand times as fast."""
    plan, state = plant_plan(free_block()), tmp_path_factory.mktemp("azure")
    async with LocalAzure(plan, state, event_grid_time_scale=0.0005) as running:
        yield running


@asynccontextmanager
async def sender(azure: LocalAzure, topic: str) -> AsyncIterator[TopicSender]:
    settings = azure.settings("digital-twins")
    prefix = {"plant-a": "TOPIC", "plant-a-cloud-events": "CLOUD_EVENTS_TOPIC"}[topic]
    async with (
        managed_identity(
            settings["IDENTITY_ENDPOINT"], settings["IDENTITY_HEADER"]
        ) as identity,
        TopicSender(
            settings[f"{prefix}__topicEndpointUri"],
            identity,
            azure.tls.ca_file,
            azure.event_grid.schema(topic),
        ) as opened,
    ):
        yield opened


@asynccontextmanager
async def functions(
    azure: LocalAzure, app: str
) -> AsyncIterator[tuple[FunctionsHost, str, Logs]]:
    logs = Logs()
    async with FunctionsHost(APPS / app, {}, on_log=logs, time_scale=0.001) as host:
        yield host, await host.listen(tls=server_context(azure.tls)), logs


def some_notifications(count: int) -> list[object]:
    return list(islice(Plant(1, START, layout=Layout(1, 1, 2, 1)), count))


@pytest.mark.parametrize(("topic", "schema"), TOPICS)
async def test_what_the_plant_publishes_reaches_an_event_grid_function(
    azure: LocalAzure, topic: str, schema: str
) -> None:
    notifications = some_notifications(40)
    async with functions(azure, "grid") as (host, url, logs), sender(azure, topic) as opened:
        subscription = Subscription(
            "functions", url + host.event_grid_path("text"), schema, max_events_per_batch=10
        )
        active = await azure.event_grid.subscribe(topic, subscription)
        await opened.send(notifications)
        await until_counts(active, delivered=40)
        await azure.event_grid.unsubscribe(topic, "functions")
    seen = [json.loads(str(told["event"])) for told in logs.told("app.grid")]

    assert sorted(each.attributes["id"] for each in notifications) == sorted(
        each["id"] for each in seen
    )
    if schema == "CloudEventSchemaV1_0":
        assert {each.key for each in notifications} == {(e["source"], e["id"]) for e in seen}
    else:
        assert all("source" not in each for each in seen)
        assert all(set(each["data"]) >= {"data", "contenttype"} for each in seen)
        assert any(each["eventTime"] == YEAR_ONE for each in seen)


async def test_a_function_that_fails_gets_its_events_again_and_at_last_a_dead_letter(
    azure: LocalAzure,
) -> None:
    name, topic = "failing", "plant-a-cloud-events"
    async with functions(azure, "http") as (_, url, _), sender(azure, topic) as opened:
        with pytest.raises(ValueError, match="answered the handshake with 500, not 200"):
            await azure.control.subscribe(topic, name, f"{url}/api/fails")
        subscription = Subscription(
            name, f"{url}/api/hook", max_attempts=3, dead_letters=EVENT_GRID_DEAD_LETTERS
        )
        active = await azure.event_grid.subscribe(topic, subscription)
        (notification,) = some_notifications(1)
        await opened.send([notification])
        await until_counts(active, dead_lettered=1)
        await azure.event_grid.unsubscribe(topic, name)
    ((blob, letters),) = await dead_letters(azure, "FAILING")

    assert [notification.attributes["id"]] == [each["id"] for each in letters]
    assert ("MaxDeliveryAttemptsExceeded", 3, "GenericError") == (
        letters[0]["deadletterreason"],
        letters[0]["deliveryattempts"],
        letters[0]["lastdeliveryoutcome"],
    )
    now = datetime.now(UTC)
    assert blob.startswith(f"FAILING/{now.year}/{now.month}/{now.day}/")


async def test_without_its_role_event_grid_buries_nothing_and_later_does(
    azure: LocalAzure,
) -> None:
    topic, role = "plant-a-cloud-events", "Storage Blob Data Contributor"
    azure.control.revoke(topic, role, EVENT_GRID_DEAD_LETTERS)
    async with functions(azure, "http") as (_, url, _), sender(azure, topic) as opened:
        subscription = Subscription(
            "gone", f"{url}/api/hook", max_attempts=1, dead_letters=EVENT_GRID_DEAD_LETTERS
        )
        active = await azure.event_grid.subscribe(topic, subscription)
        await opened.send(some_notifications(1))
        await until_counts(active, failed=1)
        assert [] == await dead_letters(azure, "GONE")
        azure.control.grant(topic, role, EVENT_GRID_DEAD_LETTERS)
        await until_counts(active, dead_lettered=1)
        await azure.event_grid.unsubscribe(topic, "gone")

    assert 1 == len(await dead_letters(azure, "GONE"))


async def test_a_publisher_without_role_is_told_so(azure: LocalAzure) -> None:
    async with sender(azure, "plant-a") as opened:
        azure.control.revoke("digital-twins", "EventGrid Data Sender", "plant-a")
        try:
            with pytest.raises(PublishFailed, match=r"403.*may not perform"):
                await opened.send(some_notifications(1))
        finally:
            azure.control.grant("digital-twins", "EventGrid Data Sender", "plant-a")


async def test_a_worker_that_dies_costs_no_event(azure: LocalAzure) -> None:
    topic = "plant-a-cloud-events"
    async with functions(azure, "grid") as (host, url, logs), sender(azure, topic) as opened:
        subscription = Subscription("dying", url + host.event_grid_path("text"))
        active = await azure.event_grid.subscribe(topic, subscription)
        notifications = some_notifications(30)
        sending = asyncio.create_task(opened.send(notifications))
        await logs.until(lambda: logs.told("app.grid"))
        host.kill()
        await sending
        async with asyncio.timeout(DEADLINE_SECONDS):
            await until_counts(active, delivered=30)
        await azure.event_grid.unsubscribe(topic, "dying")
    seen = {json.loads(str(told["event"]))["id"] for told in logs.told("app.grid")}

    assert {each.attributes["id"] for each in notifications} == seen


async def dead_letters(azure: LocalAzure, subscription: str) -> list[tuple[str, list[dict]]]:
    settings = azure.settings("auditor")
    async with (
        managed_identity(
            settings["IDENTITY_ENDPOINT"], settings["IDENTITY_HEADER"]
        ) as identity,
        ContainerClient(
            azure.storage.url,
            EVENT_GRID_DEAD_LETTERS,
            credential=identity,
            connection_verify=str(azure.tls.ca_file),
        ) as container,
    ):
        names = [
            name async for name in container.list_blob_names(name_starts_with=subscription)
        ]
        return [
            (name, json.loads(await (await container.download_blob(name)).readall()))
            for name in names
        ]
