"""Publishing to a topic: who may, and what is taken."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from lab.certificates import TlsFiles
from lab.misbehaviour import HttpFault
from tests.lab.event_grid.grid_lab import (
    CLOUD,
    SENDER,
    GridLab,
    a_cloud_event,
    a_grid,
    an_event,
)


@pytest.fixture
async def lab(tls: TlsFiles) -> AsyncIterator[GridLab]:
    async with a_grid(tls) as lab:
        yield lab


async def test_a_cloud_event_is_delivered_with_its_very_text(lab: GridLab) -> None:
    await lab.subscribe()
    text = b'{ "specversion":"1.0","id":"1","source":"s","type":"t","data":{"n":1.10} }'

    assert (200, "") == await lab.publish(text)
    (seen,) = await lab.hook.until_seen(1)
    assert text == seen.body


async def test_an_array_of_cloud_events_becomes_as_many_deliveries(lab: GridLab) -> None:
    await lab.subscribe()
    await lab.publish([a_cloud_event(number) for number in range(3)])
    seen = await lab.hook.until_seen(3)

    assert ["0", "1", "2"] == sorted(each.ids[0] for each in seen)


async def test_an_event_in_event_grids_schema_gets_its_topic(lab: GridLab) -> None:
    await lab.subscribe("grid")
    await lab.publish([an_event()], "grid")
    (seen,) = await lab.hook.until_seen(1)

    assert seen.events == [
        an_event()
        | {
            "topic": lab.grid._find("grid").topic.resource_id,
            "metadataVersion": "1",
        }
    ]


@pytest.mark.parametrize(
    ("content", "topic", "said"),
    [
        (b"{", "cloud", "no JSON"),
        (b"[" * 100_000, "cloud", "no JSON"),
        ([1], "cloud", "An event is a JSON object"),
        (a_cloud_event(specversion="0.3"), "cloud", "specversion is not 1.0"),
        ({"specversion": "1.0", "id": ""}, "cloud", "lacks source, type"),
        (an_event(), "grid", "takes an array"),
        ([{"id": "1"}], "grid", "lacks subject, eventType, eventTime, dataVersion"),
        ([an_event(topic="/another")], "grid", "topic is not this topic"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_is_not_in_the_topics_schema_is_refused(
    lab: GridLab, content: object, topic: str, said: str
) -> None:
    status, text = await lab.publish(content, topic)

    assert 400 == status
    assert said in json.loads(text)["error"]["message"]


async def test_a_cloud_event_of_another_content_type_is_refused(lab: GridLab) -> None:
    status, text = await lab.publish(a_cloud_event(), Content_Type="text/plain")

    assert (400, True) == (status, "application/cloudevents+json" in text)


async def test_more_than_a_megabyte_is_refused(lab: GridLab) -> None:
    status, _ = await lab.publish(a_cloud_event(data="x" * 1024 * 1024))

    assert 413 == status


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Authorization": ""}, "no bearer token"),
        ({"Authorization": "Bearer x"}, "MalformedToken"),
        ({"aeg_sas_key": "secret"}, "takes no keys"),
    ],
)
async def test_who_proves_nothing_is_unauthorized(
    lab: GridLab, headers: dict[str, str], said: str
) -> None:
    status, text = await lab.publish(a_cloud_event(), **headers)

    assert 401 == status
    assert said in text
    assert "secret" not in text


async def test_a_token_for_another_service_is_unauthorized(lab: GridLab) -> None:
    token = lab.directory.issue(
        lab.directory.principal("plant"), "https://servicebus.azure.net"
    )
    status, text = await lab.publish(a_cloud_event(), Authorization=f"Bearer {token}")

    assert (401, True) == (status, "InvalidAudience" in text)


async def test_who_lacks_the_role_is_forbidden_by_name(lab: GridLab) -> None:
    plant = lab.directory.principal("plant").object_id
    lab.directory.revoke(plant, SENDER, CLOUD.resource_id)
    status, text = await lab.publish(a_cloud_event())

    assert 403 == status
    assert plant in text
    assert 200 == (await lab.publish([an_event()], "grid"))[0]


async def test_a_topic_can_be_told_to_refuse(lab: GridLab) -> None:
    lab.grid.faults("cloud").publishing.fault = HttpFault(status=503, times=1)

    assert [503, 200] == [(await lab.publish(a_cloud_event()))[0] for _ in range(2)]
    assert 1 == lab.grid.struck()
