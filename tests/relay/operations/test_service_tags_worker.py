"""Service tags in the real worker: the weekly look, heard by a collector, and the gate."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lab.certificates import issue
from lab.functions.messages import LogRecord
from lab.functions_host import FunctionsHost
from lab.identity import Directory, IdentityEndpoint
from lab.service_tags import ServiceTagsDiscovery
from tests.lab.functions.hosting import Logs, MemorySource
from tests.relay.operations.tag_lists import a_list, prefixes
from tests.relay.telemetry.receivers import OtlpOverHttp
from tests.test_function_app import example_settings

APP = Path(__file__).parents[3]
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"

# One host for all of them, hence one event loop and one process.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("service tags"),
]


@dataclass
class Stage:
    """The app, the Discovery API that it asks, and a collector of its telemetry."""

    host: FunctionsHost
    discovery: ServiceTagsDiscovery
    collector: OtlpOverHttp
    logs: Logs
    relay: str

    def drift(self, change: str) -> float:
        return self.collector.received.value(
            "relay.service_tag.drift",
            relay_service_tag_name="AzureDigitalTwins",
            relay_service_tag_change=change,
        )

    def refusals(self) -> float:
        return self.collector.received.value(
            "relay.authorization.failures",
            relay_refused_by="resource_manager",
            error_type="forbidden",
        )

    def told(self) -> list[LogRecord]:
        return [each for each in self.logs.records if each.message == "relay.service_tags"]


async def a_stage(directory: Path, running: AsyncExitStack) -> Stage:
    people, collector, logs = Directory(), OtlpOverHttp(), Logs()
    relay = people.register("relay", app="relay", system_assigned=True)
    endpoint = IdentityEndpoint(people)
    tls = issue(directory / "tls", ["127.0.0.1"])
    discovery = ServiceTagsDiscovery(people, tls, [])
    for service in (endpoint, discovery, collector.server):
        await service.start()
        running.push_async_callback(service.stop)
    file = directory / "tags.json"
    file.write_text(json.dumps(a_list()))
    settings: dict[str, Any] = {
        **example_settings(),
        **endpoint.settings("relay"),
        "SERVICE_TAGS_FILE": str(file),
        "SERVICE_TAGS_SUBSCRIPTION": SUBSCRIPTION,
        "SERVICE_TAGS_LOCATION": "westeurope",
        "INGRESS_HTTP": "true",
        "INGRESS_HTTP_ROLE": "AzureEventGridSecureWebhookSubscriber",
        "INGRESS_HTTP_SERVICE_TAG": "AzureDigitalTwins",
        "ACCESS_TENANT": people.tenant_id,
        "ACCESS_AUDIENCE": "api://twin-relay",
        "RELAY_MANAGEMENT_URL": discovery.url,
        "RELAY_CA_FILE": str(tls.ca_file),
        "RELAY_TELEMETRY": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.server.url,
    }
    host = FunctionsHost(APP, settings, on_log=logs, sources=lambda *_: MemorySource({}))
    await running.enter_async_context(host)
    return Stage(host, discovery, collector, logs, relay.object_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as running:
        yield await a_stage(tmp_path_factory.mktemp("tags"), running)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(one_stage: Stage) -> Stage:
    """The one stage, with the list of today as the file has it, and nothing told."""
    one_stage.discovery.readers = {one_stage.relay}
    one_stage.discovery.tags = a_list()["values"]
    one_stage.logs.records.clear()
    one_stage.collector.received.values.clear()
    return one_stage


async def test_ranges_that_came_and_went_are_a_warning_and_a_gauge(stage: Stage) -> None:
    """Handed over when the look is over: an instance may be gone before the next minute."""
    now = [*prefixes()[2:], "203.0.113.0/29"]
    stage.discovery.tags = a_list(now)["values"]
    answer = await stage.host.invoke_timer("service_tags")

    assert answer.succeeded, answer.error
    assert (stage.drift("added"), stage.drift("removed")) == (1, 2)
    [record] = stage.told()
    assert record.level == logging.WARNING
    assert record.properties["added"] == "203.0.113.0/29"
    assert record.properties["removed"] == "198.18.0.0/27, 198.18.0.64/27"


async def test_where_nothing_changed_the_gauge_is_0_and_nobody_is_warned(stage: Stage) -> None:
    answer = await stage.host.invoke_timer("service_tags", past_due=True)

    assert answer.succeeded, answer.error
    values = stage.collector.received.values
    assert [value for (name, _), value in values.items() if "drift" in name] == [0, 0]
    assert [record.level for record in stage.told()] == [logging.INFO]


async def test_a_look_that_is_refused_fails_and_names_the_role(stage: Stage) -> None:
    stage.discovery.readers.clear()
    answer = await stage.host.invoke_timer("service_tags")

    assert "role Reader (acdd72a7-3385-48ef-bd42-f606fba81ae7)" in answer.error
    assert stage.relay in answer.error
    assert stage.refusals() == 1
    assert stage.told() == []


INSIDE, OUTSIDE = "198.18.0.1", "198.51.100.7"


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        (f"{INSIDE}:4711", 401),
        (f"{OUTSIDE}, {INSIDE}:4711", 401),
        (f"{OUTSIDE}:4711", 403),
        (f"{INSIDE}, {OUTSIDE}:4711", 403),
        (None, 403),
    ],
    ids=["inside", "a forged one before", "outside", "inside by his own word", "nobody says"],
)
async def test_the_webhook_asks_for_a_token_only_who_calls_from_the_service(
    stage: Stage, forwarded: str | None, status: int
) -> None:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    answer = await stage.host.request("POST", "/api/events", headers, b"{}")

    assert answer.status == status
