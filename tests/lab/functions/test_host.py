"""What a host is given, and what it says when that is of no use."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lab.functions import host_json
from lab.functions.failures import AppFailed
from lab.functions.metadata import Function
from lab.functions.sources import managed_identity_sources
from lab.functions_host import FunctionsHost, WorkerDied
from tests.lab.functions.hosting import APPS, Logs, running

DEFAULT = host_json.HostJson(timedelta(minutes=30))


def a_host_json(directory: Path, text: str) -> host_json.HostJson:
    (directory / "host.json").write_text(text)
    return host_json.read(directory)


def test_a_silent_host_json_means_the_platforms_defaults(tmp_path: Path) -> None:
    assert a_host_json(tmp_path, '{"version": "2.0"}') == DEFAULT


def test_host_json_says_what_this_host_heeds(tmp_path: Path) -> None:
    read = a_host_json(
        tmp_path,
        """{"functionTimeout": "00:05:00.5", "extensions": {
            "http": {"routePrefix": "/relay/"},
            "eventHubs": {"maxEventBatchSize": 7, "prefetchCount": 14,
                          "initialOffsetOptions": {"type": "fromEnd"}}}}""",
    )

    assert read == host_json.HostJson(
        timedelta(minutes=5, seconds=0.5), "relay", 7, 14, from_end=True
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"functionTimeout": "5m"}',
        '{"extensions": {"eventHubs": {"initialOffsetOptions": {"type": "fromEnqueuedTime"}}}}',
    ],
)
def test_a_host_json_of_no_use_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(AppFailed, match=r"host\.json cannot be used"):
        a_host_json(tmp_path, text)


def test_a_missing_host_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppFailed, match=r"host\.json cannot be used.*No such file"):
        host_json.read(tmp_path)


def a_function(**trigger: str) -> Function:
    declared = {"type": "eventHubTrigger", "name": "events", "connection": "INGRESS"}
    return Function("f", "id", (declared | {"eventHubName": "%HUB%"} | trigger,))


def test_settings_names_in_a_trigger_are_resolved() -> None:
    function = a_function(eventHubName="a-%HUB%-%N%")

    assert function.attribute("eventHubName", {"HUB": "hub", "N": "1"}) == "a-hub-1"


SETTINGS = {
    "INGRESS__fullyQualifiedNamespace": "ns.example",
    "HUB": "hub",
    "AzureWebJobsStorage__blobServiceUri": "https://storage.example/account",
    "IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token",
    "IDENTITY_HEADER": "header",
}


@pytest.mark.parametrize("missing", SETTINGS)
def test_a_setting_that_an_event_hubs_trigger_needs_and_nobody_set_is_named(
    missing: str,
) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != missing}

    with pytest.raises(AppFailed, match=f"function 'f': .* needs the app setting {missing}"):
        managed_identity_sources(a_function(), settings, DEFAULT, None)


async def test_the_consumer_group_is_the_default_unless_named() -> None:
    unnamed = managed_identity_sources(a_function(), SETTINGS, DEFAULT, None)
    named = managed_identity_sources(a_function(consumerGroup="relay"), SETTINGS, DEFAULT, None)

    assert (unnamed.consumer_group, named.consumer_group) == ("$Default", "relay")
    assert (named.namespace, named.hub) == ("ns.example", "hub")
    await unnamed.close()
    await named.close()


async def test_functions_are_known_with_trigger_bindings_and_retry() -> None:
    async with running("timers", {"SCHEDULE": "0 0 0 1 1 *"}) as (host, _):
        by_name = {function.name: function for function in host.functions}

    assert set(by_name) == {"every_second", "at_start", "fails"}
    assert by_name["at_start"].trigger_type == "timerTrigger"
    assert by_name["at_start"].trigger["runOnStartup"] is True
    assert by_name["fails"].retry is not None
    assert by_name["fails"].retry.maximum == 1


async def test_a_directory_without_host_json_stops_the_start() -> None:
    with pytest.raises(AppFailed, match="no_host_json"):
        async with running("no_host_json"):
            pass


async def test_an_app_that_cannot_be_indexed_leaves_nothing_behind() -> None:
    host = FunctionsHost(APPS / "needs_setting", {}, on_log=Logs())
    with pytest.raises(AppFailed, match="RELAY_ROUTES is not set"):
        await host.start()

    assert host.worker_pid is None
    await host.stop()


async def test_a_stopped_host_answers_no_more() -> None:
    async with running("impatient") as (host, _):
        pass

    assert host.worker_pid is None
    assert (await host.request("GET", "/api/fine")).status == 500
    with pytest.raises(WorkerDied, match="stopped"):
        await host._supervisor.worker()


async def test_a_host_that_was_killed_serves_again() -> None:
    async with running("impatient") as (host, logs):
        host.kill()
        await logs.until(lambda: [text for text in logs.messages("Host") if "SIGKILL" in text])

        assert (await host.request("GET", "/api/fine")).status == 200
