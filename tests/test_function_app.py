"""What the Functions host is told: constants that nothing else would miss until it is late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.functions.metadata import FOREVER, Function, RetryPolicy
from lab.functions_host import FunctionsHost
from tests.lab.functions.hosting import Logs, MemorySource
from tests.relay.operations.tag_lists import a_list

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


TENANT = "756d37c6-57f3-5189-9c1e-239a167454ad"
SERVICE_BUS = {
    "INGRESS_SERVICE_BUS__fullyQualifiedNamespace": "plant.servicebus.windows.net",
    "INGRESS_SERVICE_BUS__credential": "managedidentity",
}
EVERY_WAY = SERVICE_BUS | {
    "INGRESS_QUEUE": "twin-events",
    "INGRESS_EVENT_GRID": "true",
    "INGRESS_EVENT_GRID_SOURCE": "plant-a.api.weu.digitaltwins.azure.net",
    "INGRESS_HTTP": "true",
    "INGRESS_HTTP_ROLE": "AzureEventGridSecureWebhookSubscriber",
    "ACCESS_TENANT": TENANT,
    "ACCESS_AUDIENCE": "api://twin-relay",
}


class SilentBus:
    """A queue that brings nothing, to see what the app declares."""

    entity = "silent"

    @asynccontextmanager
    async def receiver(self) -> AsyncIterator[SilentBus]:
        yield self

    @asynccontextmanager
    async def next_session(self, _seconds: float) -> AsyncIterator[SilentBus]:
        yield self

    async def receive(self, _limit: int, _seconds: float) -> list[Any]:
        return await asyncio.Event().wait() or []

    async def close(self) -> None:
        await asyncio.sleep(0)


async def index(settings: Mapping[str, str]) -> dict[str, Function]:
    """Let the real worker library say what the app declares; nothing is reached for it."""
    host = FunctionsHost(
        ROOT,
        example_settings() | settings,
        on_log=Logs(),
        sources=lambda *_: MemorySource({}),
        bus_sources=lambda *_: SilentBus(),
    )
    async with host:
        return {function.name: function for function in host.functions}


@pytest.fixture(scope="module")
def functions() -> Mapping[str, Function]:
    return asyncio.run(index({}))


@pytest.fixture(scope="module")
def every_function() -> Mapping[str, Function]:
    return asyncio.run(index(EVERY_WAY))


@pytest.fixture(scope="module")
def host_json() -> Mapping[str, Any]:
    return json.loads((ROOT / "host.json").read_text("utf-8"))


def test_the_app_has_these_functions(functions: Mapping[str, Function]) -> None:
    assert {"event_hub": "eventHubTrigger", "redrive": "timerTrigger"} == {
        name: function.trigger_type for name, function in functions.items()
    }


def test_each_way_in_that_the_settings_open_has_a_function(
    every_function: Mapping[str, Function],
) -> None:
    assert {
        "event_hub": "eventHubTrigger",
        "service_bus": "serviceBusTrigger",
        "event_grid": "eventGridTrigger",
        "http": "httpTrigger",
        "redrive": "timerTrigger",
    } == {name: function.trigger_type for name, function in every_function.items()}


def test_the_webhook_takes_every_method_and_no_key(
    every_function: Mapping[str, Function],
) -> None:
    """A key would be a secret; a method that the host refused would get no clear answer."""
    assert {
        "type": "httpTrigger",
        "direction": "IN",
        "name": "req",
        "authLevel": "ANONYMOUS",
        "route": "events",
    } == every_function["http"].trigger


def test_event_grid_hands_over_text(every_function: Mapping[str, Function]) -> None:
    assert {
        "type": "eventGridTrigger",
        "direction": "IN",
        "name": "event",
    } == every_function["event_grid"].trigger


MESSAGES = {
    "type": "serviceBusTrigger",
    "direction": "IN",
    "dataType": "BINARY",
    "connection": "INGRESS_SERVICE_BUS",
}
SUBSCRIPTION = {"INGRESS_TOPIC": "twin-events", "INGRESS_SUBSCRIPTION": "relay"}


@pytest.mark.parametrize(
    ("settings", "declared"),
    [
        (
            {"INGRESS_QUEUE": "twin-events", "INGRESS_BATCHES": "true"},
            {
                "name": "messages",
                "cardinality": "MANY",
                "isSessionsEnabled": False,
                "queueName": "%INGRESS_QUEUE%",
            },
        ),
        (
            {**SUBSCRIPTION, "INGRESS_SESSIONS": "true"},
            {
                "name": "message",
                "cardinality": "ONE",
                "isSessionsEnabled": True,
                "topicName": "%INGRESS_TOPIC%",
                "subscriptionName": "%INGRESS_SUBSCRIPTION%",
            },
        ),
    ],
    ids=["a queue in batches", "a subscription with sessions, one by one"],
)
async def test_messages_come_as_bytes_from_where_the_settings_say(
    settings: Mapping[str, str], declared: Mapping[str, Any]
) -> None:
    found = await index(SERVICE_BUS | settings)

    assert MESSAGES | declared == found["service_bus"].trigger
    assert found["service_bus"].retry is None


def test_what_operators_may_call_is_there_when_its_settings_are(tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    file.write_text(json.dumps(a_list()))
    settings = {
        "TWINS_URL": "https://plant.api.weu.digitaltwins.azure.net",
        "TWINS_ORIGINS": "https://explorer.example.com",
        "SERVICE_TAGS_FILE": str(file),
        "SERVICE_TAGS_SUBSCRIPTION": TENANT,
        "SERVICE_TAGS_LOCATION": "westeurope",
    }
    functions = asyncio.run(index(settings))

    assert functions["twins"].trigger["route"] == "twins/{*path}"
    assert functions["twins"].trigger["authLevel"] == "ANONYMOUS"
    assert functions["service_tags"].trigger["schedule"] == "0 0 6 * * 2"


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
        "maxMessageBatchSize": 100,
        "maxAutoLockRenewalDuration": "00:05:00",
    } == host_json["extensions"]["serviceBus"]
