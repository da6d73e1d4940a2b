"""What the Functions host is told: constants that nothing else would miss until it is late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.functions.metadata import FOREVER, Function, RetryPolicy
from lab.functions_host import FunctionsHost
from tests.lab.functions.hosting import Logs, MemorySource

ROOT = Path(__file__).parents[1]
PLACEHOLDERS = {
    "<account>": "plant",
    "<namespace>": "plant",
    "<client id of a user-assigned identity>": "756d37c6-57f3-5189-9c1e-239a167454ad",
}


def example_settings() -> dict[str, str]:
    """The settings that the project shows, filled in."""
    text = (ROOT / "local.settings.example.json").read_text("utf-8")
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return json.loads(text)["Values"] | {"RELAY_ROUTES_FILE": "lab/demo/routes.json"}


async def index() -> dict[str, Function]:
    """Let the real worker library say what the app declares; nothing is reached for it."""
    host = FunctionsHost(
        ROOT, example_settings(), on_log=Logs(), sources=lambda *_: MemorySource({})
    )
    async with host:
        return {function.name: function for function in host.functions}


@pytest.fixture(scope="module")
def functions() -> Mapping[str, Function]:
    return asyncio.run(index())


@pytest.fixture(scope="module")
def host_json() -> Mapping[str, Any]:
    return json.loads((ROOT / "host.json").read_text("utf-8"))


def test_the_app_has_these_functions(functions: Mapping[str, Function]) -> None:
    assert {"event_hub": "eventHubTrigger", "redrive": "timerTrigger"} == {
        name: function.trigger_type for name, function in functions.items()
    }


def test_events_come_in_batches_of_bytes_from_where_the_settings_say(
    functions: Mapping[str, Function],
) -> None:
    """As text, a body that is no UTF-8 would arrive altered."""
    assert {
        "type": "eventHubTrigger",
        "direction": "IN",
        "name": "events",
        "cardinality": "MANY",
        "dataType": "BINARY",
        "connection": "INGRESS",
        "eventHubName": "%INGRESS_EVENT_HUB%",
        "consumerGroup": "%INGRESS_CONSUMER_GROUP%",
    } == functions["event_hub"].trigger


def test_a_batch_that_fails_is_brought_again_without_end(
    functions: Mapping[str, Function],
) -> None:
    """After a last retry the host would checkpoint the batch, and its events be lost.

    That the interval grows shows the strategy: a fixed one has a single delay.
    """
    expected = RetryPolicy(FOREVER, timedelta(seconds=1), timedelta(minutes=1))

    assert expected == functions["event_hub"].retry


def test_redrive_runs_every_minute_and_not_again_on_failure(
    functions: Mapping[str, Function],
) -> None:
    assert "0 * * * * *" == functions["redrive"].trigger["schedule"]
    assert functions["redrive"].retry is None


def test_an_invocation_may_take_five_minutes(host_json: Mapping[str, Any]) -> None:
    """Where it has no limit, one that hangs would hold up its partition for good."""
    assert "00:05:00" == host_json["functionTimeout"]


def test_the_extension_bundle_is_one_that_knows_these_options(
    host_json: Mapping[str, Any],
) -> None:
    """`[4.*, 5.0.0)` admits Event Hubs 5.x, which checkpoints what a shutdown cuts off."""
    assert {
        "id": "Microsoft.Azure.Functions.ExtensionBundle",
        "version": "[4.29.0, 5.0.0)",
    } == host_json["extensionBundle"]


def test_event_hubs_options_are_explicit(host_json: Mapping[str, Any]) -> None:
    """The defaults changed between versions; checkpointing less often repeats more events."""
    options = dict(host_json["extensions"]["eventHubs"])
    retries = options.pop("clientRetryOptions")

    assert {
        "maxEventBatchSize": 100,
        "minEventBatchSize": 1,
        "prefetchCount": 300,
        "batchCheckpointFrequency": 1,
        "initialOffsetOptions": {"type": "fromStart"},
    } == options
    assert {
        "mode": "exponential",
        "tryTimeout": "00:01:00",
        "delay": "00:00:00.80",
        "maximumDelay": "00:01:00",
        "maximumRetries": 3,
    } == retries


def test_service_bus_options_are_explicit(host_json: Mapping[str, Any]) -> None:
    assert {
        "autoCompleteMessages": True,
        "maxConcurrentCalls": 16,
        "maxConcurrentSessions": 8,
        "maxAutoLockRenewalDuration": "00:05:00",
    } == host_json["extensions"]["serviceBus"]
