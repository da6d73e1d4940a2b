"""Delivery to a webhook: headers, batches, retries, dead letters, misbehaviour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import jwt
import pytest

from lab.certificates import TlsFiles
from lab.event_grid.tokens import APP_ROLE, CLIENT_ID, SPOILT
from lab.identity import TokenRefused
from tests.lab.event_grid.grid_lab import (
    GridLab,
    a_cloud_event,
    a_grid,
    an_event,
    until_counts,
)


@pytest.fixture
async def lab(tls: TlsFiles) -> AsyncIterator[GridLab]:
    async with a_grid(tls) as lab:
        yield lab


# What is sent


async def test_a_cloud_event_comes_alone_with_event_grids_headers(lab: GridLab) -> None:
    await lab.subscribe()
    await lab.publish(a_cloud_event(7))
    (seen,) = await lab.hook.until_seen(1)

    assert "application/cloudevents+json; charset=utf-8" == seen.headers["Content-Type"]
    assert {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": "SUB",
        "aeg-delivery-count": "0",
        "aeg-data-version": "",
        "aeg-metadata-version": "1.0",
        "aeg-output-event-id": "7",
    }.items() <= dict(seen.headers).items()
    assert seen.body.startswith(b"{")


async def test_event_grids_schema_comes_as_an_array(lab: GridLab) -> None:
    await lab.subscribe("grid")
    await lab.publish([an_event(7)], "grid")
    (seen,) = await lab.hook.until_seen(1)

    assert "application/json; charset=utf-8" == seen.headers["Content-Type"]
    assert ("1.0", "1") == (
        seen.headers["aeg-data-version"],
        seen.headers["aeg-metadata-version"],
    )
    assert seen.body.startswith(b"[")


async def test_event_grids_schema_can_be_delivered_as_cloud_events(lab: GridLab) -> None:
    await lab.subscribe("grid", schema="CloudEventSchemaV1_0")
    await lab.publish([an_event(7)], "grid")
    (seen,) = await lab.hook.until_seen(1)
    (event,) = seen.events

    assert ("1.0", "7", "example", "twin", "2026-11-21T12:00:00Z", {"data": {"number": 7}}) == (
        *(event["specversion"], event["id"], event["type"], event["subject"]),
        *(event["time"], event["data"]),
    )
    assert event["source"].endswith("/topics/grid")


async def test_a_batch_holds_no_more_events_than_it_may(lab: GridLab) -> None:
    await lab.subscribe(max_events_per_batch=3)
    await lab.publish([a_cloud_event(number) for number in range(7)])
    seen = await lab.hook.until_seen(3)

    assert [1, 3, 3] == sorted(len(each.ids) for each in seen)
    kinds = {each.headers["Content-Type"] for each in seen}
    assert {"application/cloudevents-batch+json; charset=utf-8"} == kinds


async def test_a_batch_holds_no_more_bytes_than_preferred_unless_one_event_does(
    lab: GridLab,
) -> None:
    await lab.subscribe(max_events_per_batch=10, preferred_batch_kilobytes=1)
    sizes = (2000, 400, 400, 400)
    await lab.publish([a_cloud_event(n, data="x" * size) for n, size in enumerate(sizes)])
    seen = await lab.hook.until_seen(3)

    assert [["0"], ["1", "2"], ["3"]] == sorted(each.ids for each in seen)


async def test_a_delivery_carries_the_subscriptions_own_headers(lab: GridLab) -> None:
    await lab.subscribe(headers=(("X-Plant", "a"),))
    await lab.publish(a_cloud_event())
    (seen,) = await lab.hook.until_seen(1)

    assert "a" == seen.headers["X-Plant"]


async def test_every_subscription_gets_every_event(lab: GridLab) -> None:
    await lab.subscribe(name="a")
    await lab.subscribe(name="b")
    await lab.publish(a_cloud_event())
    seen = await lab.hook.until_seen(2)

    assert {"A", "B"} == {each.headers["aeg-subscription-name"] for each in seen}


# What is done about failures


async def test_a_failure_is_delivered_again_with_its_count(lab: GridLab) -> None:
    lab.hook.statuses = [500, 503, 302, 200]
    active = await lab.subscribe()
    await lab.publish(a_cloud_event())
    await until_counts(active, delivered=1)

    assert ["0", "1", "2", "3"] == [
        each.headers["aeg-delivery-count"] for each in lab.hook.seen
    ]
    assert {"sent": 4, "failed": 3, "delivered": 1} == dict(active.deliveries.counts)
    assert 0 == active.deliveries.pending


async def test_a_batch_shares_its_fate(lab: GridLab) -> None:
    lab.hook.statuses = [500]
    active = await lab.subscribe(max_events_per_batch=2)
    await lab.publish([a_cloud_event(1), a_cloud_event(2)])
    await until_counts(active, delivered=2)

    assert ["1", "2"] == lab.hook.seen[0].ids
    assert ["1", "2"] == sorted(id_ for each in lab.hook.seen[1:] for id_ in each.ids)


async def test_without_dead_letters_what_is_not_retried_is_dropped(lab: GridLab) -> None:
    lab.hook.statuses = [401]
    active = await lab.subscribe()
    await lab.publish(a_cloud_event())
    await until_counts(active, dropped=1)

    assert 1 == len(lab.hook.seen)
    assert [] == lab.letters.written


async def test_a_dead_cloud_event_keeps_its_attributes_and_says_why(lab: GridLab) -> None:
    lab.hook.statuses = [500, 400]
    active = await lab.subscribe(dead_letters="letters")
    await lab.publish(a_cloud_event())
    await until_counts(active, dead_lettered=1)
    ((container, subscription, (letter,)),) = lab.letters.written

    assert ("letters", "Sub") == (container, subscription)
    assert a_cloud_event() | {
        "deadletterreason": "UndeliverableDueToHttpBadRequest",
        "deliveryattempts": 2,
        "lastdeliveryoutcome": "BadRequest",
    } == {name: value for name, value in letter.items() if "time" not in name}
    assert {"publishtime", "lastdeliveryattempttime"} < set(letter)


async def test_a_dead_event_in_event_grids_schema_has_other_names(lab: GridLab) -> None:
    lab.hook.statuses = [404] * 2
    active = await lab.subscribe("grid", dead_letters="letters", max_attempts=2)
    await lab.publish([an_event()], "grid")
    await until_counts(active, dead_lettered=1)
    ((_, _, (letter,)),) = lab.letters.written

    assert ("MaxDeliveryAttemptsExceeded", 2, "NotFound") == (
        letter["deadLetterReason"],
        letter["deliveryAttempts"],
        letter["lastDeliveryOutcome"],
    )
    assert letter["publishTime"] < letter["lastDeliveryAttemptTime"]


async def test_the_time_to_live_ends_the_retries(lab: GridLab) -> None:
    lab.hook.statuses = [500] * 30
    active = await lab.subscribe(dead_letters="letters", ttl_minutes=2)
    await lab.publish(a_cloud_event())
    await until_counts(active, dead_lettered=1)
    ((_, _, (letter,)),) = lab.letters.written

    assert "TimeToLiveExceeded" == letter["deadletterreason"]
    # At once and after 10, 40 and 100 of the 120 seconds, at most.
    assert letter["deliveryattempts"] <= 4


async def test_a_dead_letter_that_cannot_be_written_is_tried_for_four_hours(
    lab: GridLab,
) -> None:
    lab.hook.statuses = [400, 400]
    lab.letters.fails = 3
    active = await lab.subscribe(dead_letters="letters")
    await lab.publish(a_cloud_event())
    await until_counts(active, dead_lettered=1)
    lab.letters.fails = 10_000
    await lab.publish(a_cloud_event())
    await until_counts(active, dropped=1)

    # Once a minute, from five minutes on, to 240.
    assert 10_000 - lab.letters.fails == 236


async def test_a_webhook_that_does_not_answer_in_time_is_tried_again(tls: TlsFiles) -> None:
    async with a_grid(tls, patience_seconds=0.2) as lab:
        active = await lab.subscribe()
        lab.hook.waits = asyncio.Event()
        await lab.publish(a_cloud_event())
        await lab.hook.until_seen(2)
        lab.hook.waits.set()
        lab.hook.waits = None
        await until_counts(active, delivered=1)

        assert active.deliveries.counts["failed"] >= 1


# Tokens


async def test_a_webhook_with_an_audience_gets_a_token_of_event_grids_own(lab: GridLab) -> None:
    await lab.subscribe(audience="api://relay")
    await lab.publish(a_cloud_event())
    (seen,) = await lab.hook.until_seen(1)

    for each in (seen, lab.hook.asked[0]):
        token = each.headers["Authorization"].removeprefix("Bearer ")
        assert CLIENT_ID == lab.directory.verify(token, ["api://relay"]).client_id
        claims = jwt.decode(token, options={"verify_signature": False})
        assert [APP_ROLE] == claims["roles"]
        assert "xms_mirid" not in claims


async def test_without_audience_there_is_no_token(lab: GridLab) -> None:
    await lab.subscribe()

    assert "Authorization" not in lab.hook.asked[0].headers


@pytest.mark.parametrize("what", SPOILT)
async def test_a_token_can_be_spoilt_in_every_way(lab: GridLab, what: str) -> None:
    await lab.subscribe(audience="api://relay")
    lab.grid.tokens.spoilt = what
    await lab.publish(a_cloud_event())
    (seen,) = await lab.hook.until_seen(1)
    token = seen.headers.get("Authorization", "").removeprefix("Bearer ")

    if what == "missing":
        assert not token
        return
    claims = jwt.decode(token, options={"verify_signature": False})
    wrong = (claims["roles"] != [APP_ROLE]) + (claims["appid"] != CLIENT_ID)
    try:
        lab.directory.verify(token, ["api://relay"])
    except TokenRefused:
        wrong += 1
    assert 1 == wrong


# Misbehaviour


async def test_deliveries_can_be_duplicated(lab: GridLab) -> None:
    active = await lab.subscribe()
    lab.grid.faults("cloud").duplicate(1)
    await lab.publish([a_cloud_event(1), a_cloud_event(2)])
    await lab.hook.until_seen(3)
    await until_counts(active, delivered=2)

    assert 3 == len(lab.hook.seen)
    assert 1 == lab.grid.struck()


async def test_what_is_held_is_delivered_when_it_is_released_in_the_opposite_order(
    lab: GridLab,
) -> None:
    active = await lab.subscribe(max_events_per_batch=5)
    faults = lab.grid.faults("cloud")
    faults.hold()
    faults.disorder()
    for number in range(3):
        await lab.publish(a_cloud_event(number))
    assert 3 == active.deliveries.pending
    assert {"held": True, "disordered": True} == lab.grid.state()["cloud"]["faults"]
    faults.release()
    (seen,) = await lab.hook.until_seen(1)

    assert ["2", "1", "0"] == seen.ids


async def test_a_topic_that_is_healed_does_nothing_wrong(lab: GridLab) -> None:
    active = await lab.subscribe()
    faults = lab.grid.faults("cloud")
    faults.hold()
    faults.duplicate(None)
    faults.disorder()
    faults.heal()
    await lab.publish([a_cloud_event(1), a_cloud_event(2)])
    await until_counts(active, delivered=2)

    assert 2 == len(lab.hook.seen)
    assert {} == lab.grid.state()["cloud"]["faults"]
