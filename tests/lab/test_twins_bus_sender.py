"""The plant sends to Service Bus by the real SDK, and the Functions host drives what came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from lab.messaging.model import Queue, Subscription, Topic
from lab.twins import POISON, BusSender, Layout, Plant, by_twin_session
from tests.lab.functions.test_service_bus_trigger import Story
from tests.lab.messaging.service_bus_lab import Identity, a_lab

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    entities = (
        Topic("notifications", (Subscription("relay"),)),
        Queue("ordered", session=True),
    )
    async with a_lab(*entities) as lab:
        yield Story(lab, tmp_path / "wait")


def sender(story: Story, entity: str, **options: object) -> BusSender:
    lab = story.lab
    identity = Identity(lab.directory, lab.principal)
    return BusSender(lab.namespace.address, entity, identity, str(lab.ca_file), **options)


async def test_a_subscription_gets_events_in_amqps_binary_mode(story: Story) -> None:
    notifications = list(islice(Plant(1, START, layout=Layout(1, 1, 1, 1)), 12))
    async with sender(story, "notifications") as opened:
        assert 12 == await opened.send(notifications)
    async with story.host(TOPIC="notifications", SUBSCRIPTION="relay"):
        await story.until_counts("notifications/Subscriptions/relay", active=0)

    told = sorted(story.told(), key=lambda each: each["number"])
    assert [
        (each.as_amqp().properties, each.content_type, each.data.decode())
        for each in notifications
    ] == [(each["properties"], each["content_type"], each["body"]) for each in told]


async def test_a_session_a_twin_keeps_each_twin_in_order(story: Story) -> None:
    notifications = list(islice(Plant(2, START, layout=Layout(1, 1, 1, 1)), 60))
    async with sender(story, "ordered", session=by_twin_session) as opened:
        await opened.send(notifications)
    async with story.host(SESSION="ordered"):
        await story.until_counts("ordered", active=0)
    sent, seen = defaultdict(list), defaultdict(list)
    for each in notifications:
        sent[each.twin_id].append(each.attributes["id"])
    for each in story.told():
        seen[each["session"]].append(each["properties"]["cloudEvents:id"])

    assert sent == seen


async def test_poison_is_sent_as_it_is(story: Story) -> None:
    async with sender(story, "notifications") as opened:
        await opened.send_messages(POISON.values())

    assert len(POISON) == story.lab.counts("notifications/Subscriptions/relay")["active"]
