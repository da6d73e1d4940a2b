"""Telemetry of the app in the real worker, to a real collector and to one that is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.relay.telemetry.receivers import Manner, OtlpOverHttp
from tests.test_end_to_end import ONE_ROUTE, SECONDS, SENDER_ROLE, World, a_world, some_events

CONTRIBUTOR = "Storage Blob Data Contributor"
LANDING = {"relay_place_name": "ingress hub twin-events"}
STORE = {"relay_place_name": "dead letters"}
RECEIVER_ROLE = "Azure Event Hubs Data Receiver"

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
async def collector() -> AsyncIterator[OtlpOverHttp]:
    running = OtlpOverHttp()
    await running.server.start()
    yield running
    await running.server.stop()


def to(collector: OtlpOverHttp) -> dict[str, str]:
    otlp = {
        "RELAY_TELEMETRY": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.url,
    }
    return ONE_ROUTE | otlp


async def redriving_until(world: World, condition: Callable[[], bool]) -> None:
    """Let the timer fire until it has handed over what makes the condition true."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await world.host.invoke_timer("redrive")


async def test_refusals_backlog_and_recovery_are_seen_from_outside(
    tmp_path: Path, collector: OtlpOverHttp
) -> None:
    value = collector.received.value
    async with a_world(tmp_path, to(collector)) as world:
        scope = world.azure.control.scope("analytics/telemetry")
        world.azure.control.revoke("relay", SENDER_ROLE, scope)
        await world.send(list(some_events(30)))
        await world.until(lambda: world.count("relay.dead_lettered") >= 30)

        await redriving_until(world, lambda: value("relay.dead_letters") >= 30)
        assert value("relay.route.healthy") == 0
        assert value("relay.route.state", relay_route_state="refused") == 1
        assert (
            value(
                "relay.authorization.failures",
                error_type="forbidden",
                relay_refused_by="destination",
            )
            > 0
        )

        world.azure.control.grant("relay", SENDER_ROLE, scope)
        await redriving_until(world, lambda: value("relay.route.healthy") == 1)
        assert value("relay.events", relay_outcome="redriven") == 30
        await redriving_until(world, lambda: value("relay.dead_letters") == 0)

    assert {"settle", "redrive"} <= set(collector.received.spans)
    assert "relay.refused" in collector.received.logs


async def test_a_refusal_by_blob_is_counted_and_told(
    tmp_path: Path, collector: OtlpOverHttp
) -> None:
    value = collector.received.value
    async with a_world(tmp_path, to(collector)) as world:
        control = world.azure.control
        control.revoke("relay", SENDER_ROLE, control.scope("analytics/telemetry"))
        control.revoke("relay", CONTRIBUTOR, control.scope("dead-letters"))
        await world.send(list(some_events(5)))
        await world.until(lambda: world.host.counts.get("failed", 0) >= 2)
        await world.until(
            lambda: any(
                record.properties.get("refused_by") == "dead_letters"
                for record in world.told("relay.refused")
            )
        )

        await redriving_until(
            world, lambda: "relay.place.healthy" in collector.received.metrics
        )

    assert value("relay.authorization.failures", relay_refused_by="dead_letters") > 0
    assert value("relay.place.healthy", **STORE) == 0
    assert "relay.batch.duration" in collector.received.metrics


async def test_a_refusal_by_the_landing_hub_is_seen_though_the_host_reads_it(
    tmp_path: Path, collector: OtlpOverHttp
) -> None:
    """With the worker's own switch on, by which some of its versions fail all invocations."""
    value = collector.received.value
    switched = {"PYTHON_ENABLE_OPENTELEMETRY": "true"}
    refused = {"relay_refused_by": "ingress", "error_type": "forbidden"}
    async with a_world(tmp_path, to(collector) | switched) as world:
        control = world.azure.control
        await redriving_until(world, lambda: value("relay.place.healthy", **LANDING) == 1)
        assert value("relay.authorization.failures") == 0

        control.revoke("relay", RECEIVER_ROLE, control.scope("ingress/twin-events"))
        await redriving_until(
            world, lambda: value("relay.authorization.failures", **refused) > 0
        )
        assert value("relay.place.healthy", **LANDING) == 0
        assert value("relay.route.healthy") == 1
        (told, *_) = world.told("relay.refused")
        assert told.properties["place"] == "ingress hub twin-events"
        assert RECEIVER_ROLE in str(told.properties["role"])
        assert "az role assignment create" in str(told.properties["remedy"])

        control.grant("relay", RECEIVER_ROLE, control.scope("ingress/twin-events"))
        await redriving_until(world, lambda: value("relay.place.healthy", **LANDING) == 1)
        await world.send(list(some_events(5)))
        await world.until(lambda: world.settled("everything") >= 5)
        delivered = len(world.told("relay.delivered"))
        await redriving_until(
            world, lambda: collector.received.logs.count("relay.delivered") >= delivered
        )
        assert world.host.counts.get("failed", 0) == 0

    logs = collector.received.logs
    assert logs.count("relay.delivered") == delivered
    assert logs.count("relay.place_state") == len(world.told("relay.place_state")) == 2


async def test_a_collector_that_drips_or_never_answers_costs_no_event(
    tmp_path: Path, collector: OtlpOverHttp
) -> None:
    """It is told to answer by nobody, so whoever waited for it would wait for ever."""
    collector.manners = {"/v1/traces": Manner.BY_DRIPS, "/v1/metrics": Manner.LATE}
    async with a_world(tmp_path, to(collector)) as world:
        await world.send(list(some_events(100)))
        await world.until(lambda: world.settled("everything") >= 100)
        report = await world.audit_hub()
        assert world.host.counts.get("failed", 0) == 0

    assert report.is_clean, report.as_json()
    assert collector.asked.is_set()
    assert collector.received.spans == []
