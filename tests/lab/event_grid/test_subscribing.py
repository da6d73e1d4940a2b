"""Subscribing a webhook: the two handshakes and what can go wrong with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from lab.certificates import TlsFiles
from lab.event_grid import HandshakeFailed
from lab.identity import UnknownNameError
from tests.lab.event_grid.grid_lab import CODE, GridLab, a_cloud_event, a_grid


@pytest.fixture
async def lab(tls: TlsFiles) -> AsyncIterator[GridLab]:
    async with a_grid(tls) as lab:
        yield lab


async def test_for_cloud_events_the_webhook_is_asked_by_options(lab: GridLab) -> None:
    active = await lab.subscribe()
    (asked,) = lab.hook.asked

    assert ("OPTIONS", b"") == (asked.method, asked.body)
    assert "eventgrid.azure.net" == asked.headers["WebHook-Request-Origin"]
    assert asked.headers["WebHook-Request-Callback"].startswith(lab.grid.url)
    assert "Succeeded" == active.state


async def test_for_event_grids_schema_it_is_sent_a_code_to_return(lab: GridLab) -> None:
    active = await lab.subscribe("grid")
    (asked,) = lab.hook.asked
    (event,) = json.loads(asked.body)

    assert "POST" == asked.method
    assert "SubscriptionValidation" == asked.headers["aeg-event-type"]
    assert "Microsoft.EventGrid.SubscriptionValidationEvent" == event["eventType"]
    assert {"validationCode", "validationUrl"} == set(event["data"])
    assert "Succeeded" == active.state


@pytest.mark.parametrize(
    ("topic", "answer", "said"),
    [
        ("cloud", {"status": 404}, "with 404, not 200"),
        ("cloud", {"headers": {"WebHook-Allowed-Origin": "x.example"}}, "'x.example', not to"),
        ("grid", {"status": 202}, "with 202, not 200"),
        ("grid", {"status": 302}, "with 302, not 200"),
    ],
)
async def test_a_webhook_that_refuses_gets_no_subscription(
    lab: GridLab, topic: str, answer: dict[str, object], said: str
) -> None:
    lab.hook.consent = lambda _request, _body: web.Response(**answer)
    with pytest.raises(HandshakeFailed, match=said) as failed:
        await lab.subscribe(topic)

    assert CODE not in str(failed.value)
    with pytest.raises(UnknownNameError):
        lab.grid.active(topic, "Sub")


async def test_a_webhook_that_is_not_there_gets_no_subscription(lab: GridLab) -> None:
    with pytest.raises(HandshakeFailed, match="does not answer the handshake"):
        await lab.subscribe(url="https://127.0.0.1:1/hook")


async def test_a_webhook_may_consent_to_anybody(lab: GridLab) -> None:
    lab.hook.consent = lambda _request, _body: web.Response(
        headers={"WebHook-Allowed-Origin": "*"}
    )

    assert "Succeeded" == (await lab.subscribe()).state


@pytest.mark.parametrize("topic", ["cloud", "grid"])
async def test_a_webhook_may_consent_later_by_the_callback(lab: GridLab, topic: str) -> None:
    lab.hook.consent = lambda _request, _body: web.Response(text="later")
    active = await lab.subscribe(topic)
    (asked,) = lab.hook.asked
    assert "AwaitingManualAction" == active.state
    callback = (
        asked.headers["WebHook-Request-Callback"]
        if topic == "cloud"
        else json.loads(asked.body)[0]["data"]["validationUrl"]
    )
    async with aiohttp.ClientSession() as session:
        statuses = [(await session.get(callback, ssl=lab.trust)).status for _ in range(2)]

    assert [200, 404] == statuses
    assert "Succeeded" == active.state


async def test_while_it_has_not_consented_nothing_is_delivered(lab: GridLab) -> None:
    consent = lab.hook.consent
    lab.hook.consent = lambda _request, _body: web.Response()
    await lab.subscribe(name="waiting")
    lab.hook.consent = consent
    await lab.subscribe(name="active")
    await lab.publish(a_cloud_event())
    (seen,) = await lab.hook.until_seen(1)

    assert "ACTIVE" == seen.headers["aeg-subscription-name"]


async def test_a_topic_of_cloud_events_delivers_nothing_else(lab: GridLab) -> None:
    with pytest.raises(ValueError, match="delivers nothing else"):
        await lab.subscribe(schema="EventGridSchema")


async def test_a_name_is_taken_once(lab: GridLab) -> None:
    await lab.subscribe()
    with pytest.raises(ValueError, match="has a subscription 'Sub' already"):
        await lab.subscribe()


async def test_who_is_unsubscribed_gets_nothing_more(lab: GridLab) -> None:
    await lab.subscribe()
    await lab.subscribe(name="other")
    await lab.grid.unsubscribe("cloud", "Sub")
    await lab.publish(a_cloud_event())
    (seen,) = await lab.hook.until_seen(1)

    assert "OTHER" == seen.headers["aeg-subscription-name"]


async def test_the_state_names_no_key_of_a_webhook(lab: GridLab) -> None:
    await lab.subscribe()

    assert CODE not in json.dumps(lab.grid.state())
