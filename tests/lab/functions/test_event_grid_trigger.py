"""The host's Event Grid webhook, with the real worker behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from lab.functions_host import FunctionsHost, HttpResponse
from tests.lab.functions.hosting import Logs, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_cloud_event(**changes: object) -> dict[str, object]:
    return {
        "id": "1",
        "source": "//plant",
        "specversion": "1.0",
        "type": "example",
        "time": "2026-11-21T12:00:00.1230000Z",
        "data": {"value": 1.5},
    } | changes


def an_event(**changes: object) -> dict[str, object]:
    return {
        "id": "1",
        "subject": "twin",
        "eventType": "example",
        "eventTime": "2026-11-21T12:00:00.1230000Z",
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "topic": "/subscriptions/x",
        "data": {"data": {"value": 1.5}},
    } | changes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[tuple[FunctionsHost, Logs]]:
    async with running("grid") as pair:
        yield pair


@pytest.fixture
def host(pair: tuple[FunctionsHost, Logs]) -> FunctionsHost:
    return pair[0]


@pytest.fixture
def logs(pair: tuple[FunctionsHost, Logs]) -> Logs:
    pair[1].records.clear()
    return pair[1]


async def post(
    host: FunctionsHost, content: object, name: str = "text", **headers: str
) -> HttpResponse:
    given = {"aeg-event-type": "Notification"} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await host.request("POST", host.event_grid_path(name), given, body)


def told(logs: Logs) -> list[Mapping[str, object]]:
    return logs.told("app.grid")


# Delivery


@pytest.mark.parametrize("event", [a_cloud_event(), [an_event()]], ids=["object", "array"])
async def test_a_notification_is_taken_with_202(
    host: FunctionsHost, logs: Logs, event: object
) -> None:
    answer = await post(host, event)
    (seen,) = told(logs)

    assert (202, b"") == (answer.status, answer.body)
    assert "str" == seen["kind"]
    assert (event if isinstance(event, dict) else event[0]) == json.loads(seen["event"])


async def test_a_batch_is_one_invocation_an_event(host: FunctionsHost, logs: Logs) -> None:
    answer = await post(host, [a_cloud_event(id=str(number)) for number in range(20)])

    assert 202 == answer.status
    assert {str(number) for number in range(20)} == {
        json.loads(each["event"])["id"] for each in told(logs)
    }


async def test_one_failure_fails_the_whole_request_and_spares_no_invocation(
    host: FunctionsHost, logs: Logs
) -> None:
    events = [a_cloud_event(), a_cloud_event(type="fail"), a_cloud_event(id="3")]
    answer = await post(host, events)

    assert (500, b"ValueError: told to fail") == (answer.status, answer.body)
    assert 3 == len(told(logs))


async def test_a_worker_that_dies_meanwhile_is_500_and_another_takes_the_next(
    host: FunctionsHost,
) -> None:
    assert 500 == (await post(host, a_cloud_event(type="die"))).status
    assert 202 == (await post(host, a_cloud_event())).status


async def test_times_stay_as_they_are_and_numbers_become_doubles(
    host: FunctionsHost, logs: Logs
) -> None:
    body = b'{"specversion":"1.0","time":"2026-11-21T21:00:00.1000000+02:00","data":[1.10,1e3,'
    await post(host, body + b'12345678901234567890123,"2026-11-21T00:00:00.000Z"]}')
    (seen,) = told(logs)

    assert seen["event"] == (
        '{"specversion":"1.0","time":"2026-11-21T21:00:00.1000000+02:00","data":[1.1,1000.0,'
        '12345678901234567890123,"2026-11-21T00:00:00.000Z"]}'
    )


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"\xff", b'{"a":' * 65 + b"1" + b"}" * 65], ids=repr
)
async def test_what_is_no_event_is_500(host: FunctionsHost, body: bytes) -> None:
    assert 500 == (await post(host, body)).status


@pytest.mark.parametrize(
    ("kind", "status"), [("Unsubscribe", 202), ("", 400), ("Something", 400)]
)
async def test_other_kinds_of_requests_invoke_nothing(
    host: FunctionsHost, logs: Logs, kind: str, status: int
) -> None:
    answer = await post(host, a_cloud_event(), aeg_event_type=kind)

    assert status == answer.status
    assert not told(logs)


# Handshakes


@pytest.mark.parametrize("as_array", [True, False])
async def test_a_subscription_is_validated_by_the_host(
    host: FunctionsHost, logs: Logs, as_array: bool
) -> None:
    data = {"validationCode": "512d38b6", "validationUrl": "https://rp.eventgrid/x"}
    content = [{"data": data}] if as_array else {"data": json.dumps(data)}
    answer = await post(host, content, aeg_event_type="SubscriptionValidation")

    assert (200, {"validationResponse": "512d38b6"}) == (answer.status, json.loads(answer.body))
    assert not told(logs)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("eventgrid.azure.net", "eventgrid.azure.net"),
        ("eventgrid.azure.us", "eventgrid.azure.us"),
        ("evil.example", "eventgrid.azure.net"),
    ],
)
async def test_the_host_consents_to_event_grid_alone(
    host: FunctionsHost, origin: str, allowed: str
) -> None:
    answer = await host.request(
        "OPTIONS", host.event_grid_path("text"), {"WebHook-Request-Origin": origin}
    )

    assert (200, allowed) == (answer.status, answer.header("WebHook-Allowed-Origin"))


# Who may


async def test_only_the_system_key_and_the_admins_open_the_webhook(
    host: FunctionsHost,
) -> None:
    async def status(key: str) -> int:
        path = f"/runtime/webhooks/eventgrid?functionName=text&code={key}"
        given = {"aeg-event-type": "Unsubscribe"}
        return (await host.request("POST", path, given, b"{}")).status

    keys = (host.event_grid_key, host.admin_key, host.function_key, "", "wrong")

    assert [202, 202, 401, 401, 401] == [await status(key) for key in keys]


async def test_an_unknown_function_is_not_found_and_named(host: FunctionsHost) -> None:
    answer = await post(host, a_cloud_event(), name="nobody")

    assert (404, b"cannot find function: 'nobody'") == (answer.status, answer.body)


async def test_other_methods_are_not_allowed(host: FunctionsHost) -> None:
    assert 405 == (await host.request("PUT", host.event_grid_path("text"))).status


async def test_http_functions_are_served_beside_it(host: FunctionsHost) -> None:
    assert b"beside" == (await host.request("GET", "/api/beside")).body


# Platform facts: what the worker's converter makes of it (azure.functions.eventgrid)


async def test_the_class_of_an_event_follows_its_content_not_the_annotation(
    host: FunctionsHost, logs: Logs
) -> None:
    answer = await post(host, a_cloud_event(), name="grid")
    (seen,) = told(logs)

    assert (202, "CloudEvent") == (answer.status, seen["class"])


async def test_an_event_in_event_grids_schema_breaks_a_function_of_cloud_events(
    host: FunctionsHost,
) -> None:
    answer = await post(host, [an_event()], name="cloud")

    assert (500, b"AttributeError: 'EventGridEvent' object has no attribute 'time'") == (
        answer.status,
        answer.body,
    )


async def test_a_time_with_an_offset_fails_a_cloud_event_before_user_code(
    host: FunctionsHost, logs: Logs
) -> None:
    answer = await post(host, a_cloud_event(time="2026-11-21T21:00:00+02:00"), name="cloud")

    assert 500 == answer.status
    assert answer.body.startswith(b"ValueError: time data")
    assert not told(logs)


async def test_the_double_nesting_of_azure_digital_twins_arrives_as_it_is(
    host: FunctionsHost, logs: Logs
) -> None:
    await post(host, [an_event()], name="grid")
    (seen,) = told(logs)

    assert {"data": {"value": 1.5}} == seen["data"]
