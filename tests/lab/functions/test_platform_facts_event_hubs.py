"""Platform facts: what the worker's Event Hubs converter does with what the host may send.

Azure's documentation says little of this, and a new worker may change it. A test that fails
here after an update says: look at what the relay makes of it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest
import pytest_asyncio

from lab.functions.event_hub_data import Partition, batch, single
from lab.functions.messages import Answer, Data, Invocation
from lab.functions.metadata import Function
from lab.functions.process import WorkerProcess
from tests.lab.functions.hosting import APPS, Logs, an_event

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTITION = Partition("ns.example", "hub", "$Default", "0")
MINUTE = timedelta(minutes=1)


class Worker:
    """A worker with the app `hubs`, and what its functions told."""

    def __init__(self, process: WorkerProcess, functions: Mapping[str, Function]) -> None:
        self.process = process
        self.functions = functions

    async def invoke(
        self, name: str, value: Data, metadata: Mapping[str, Data]
    ) -> tuple[Answer, str]:
        function = self.functions[name]
        id_ = str(uuid4())
        inputs = {str(function.trigger["name"]): value}
        call = Invocation(id_, function.id, inputs, metadata)
        return await self.process.invoke(call, MINUTE), id_


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def logs() -> Logs:
    return Logs()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(logs: Logs) -> AsyncIterator[Worker]:
    process = await WorkerProcess.start(APPS / "hubs", {}, logs)
    try:
        found = await process.index(APPS / "hubs")
        yield Worker(process, {function.name: function for function in found})
    finally:
        process.kill()
        await process.ended()


def with_system_properties(*properties: Mapping[str, object]) -> Mapping[str, Data]:
    return {"SystemPropertiesArray": Data("json", json.dumps(properties))}


async def told_event(worker: Worker, logs: Logs, **properties: object) -> Mapping[str, object]:
    """What the function saw of one event with such system properties."""
    given = {"SequenceNumber": 1, "Offset": "100", "EnqueuedTimeUtc": None} | properties
    bodies = Data("collection_bytes", [b"x"])
    answer, id_ = await worker.invoke("plain", bodies, with_system_properties(given))
    assert answer == Answer()
    (event,) = (
        record.properties["events"]
        for record in logs.records
        if record.invocation_id == id_ and record.message == "batch"
    )
    return event[0]


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        # What the .NET extension sends: no zone, so no zone arrives.
        ("2026-11-21T19:00:00.123", "2026-11-21T19:00:00.123000"),
        ("2026-11-21T19:00:00", "2026-11-21T19:00:00"),
        # Seven digits and a zone: cut to microseconds.
        ("2026-11-21T19:00:00.1234567Z", "2026-11-21T19:00:00.123456+00:00"),
        (None, None),
    ],
)
async def test_an_enqueued_time_has_a_zone_only_if_one_was_sent(
    worker: Worker, logs: Logs, sent: str | None, seen: str | None
) -> None:
    event = await told_event(worker, logs, EnqueuedTimeUtc=sent)

    assert seen == event["enqueued_time"]


@pytest.mark.parametrize(("sent", "seen"), [("100", 100), (100, 100), ("-1", -1)])
async def test_an_offset_in_a_batch_is_an_int(
    worker: Worker, logs: Logs, sent: object, seen: int
) -> None:
    event = await told_event(worker, logs, Offset=sent, OffsetString="1:3:4294971:12")

    assert seen == event["offset"]


async def test_an_offset_that_is_no_number_fails_the_whole_batch_before_user_code(
    worker: Worker, logs: Logs
) -> None:
    answer, id_ = await worker.invoke(
        "plain",
        Data("collection_bytes", [b"x"]),
        with_system_properties({"SequenceNumber": 1, "Offset": "1:3:4294971:12"}),
    )

    assert answer.error == (
        "ValueError: cannot convert value of data into int: "
        "invalid literal for int() with base 10: '1:3:4294971:12'"
    )
    assert not [r for r in logs.records if r.invocation_id == id_ and r.message == "batch"]


async def test_an_empty_body_is_fine_in_a_batch_of_bytes(worker: Worker, logs: Logs) -> None:
    data = batch([an_event(b""), an_event(b"\xff\x00", 1)], PARTITION, binary=True)
    answer, id_ = await worker.invoke("plain", data.input, data.metadata)
    (told,) = [r for r in logs.records if r.invocation_id == id_ and r.message == "batch"]

    assert answer == Answer()
    assert [(event["type"], event["body"]) for event in told.properties["events"]] == [
        ("bytes", ""),
        ("bytes", "\\xff\x00"),
    ]


async def test_an_empty_body_fails_a_whole_batch_of_texts_before_user_code(
    worker: Worker,
) -> None:
    data = batch([an_event(b"a"), an_event(b"", 1)], PARTITION, binary=False)
    answer, _ = await worker.invoke("texts", data.input, data.metadata)

    assert answer.error == "AssertionError: Number of bodies and metadata mismatched"


async def test_texts_arrive_as_their_bytes(worker: Worker, logs: Logs) -> None:
    data = batch([an_event("Zürich".encode())], PARTITION, binary=False)
    _, id_ = await worker.invoke("texts", data.input, data.metadata)
    (told,) = [r for r in logs.records if r.invocation_id == id_ and r.message == "batch"]

    assert [event["body"] for event in told.properties["events"]] == ["Zürich"]


async def test_a_batch_without_system_properties_fails_before_user_code(
    worker: Worker,
) -> None:
    answer, _ = await worker.invoke("plain", Data("collection_bytes", [b"x"]), {})

    assert answer.error == (
        "TypeError: unable to decode incoming TypedData: unsupported combination of TypedData "
        "field 'collection_bytes' and expected binding type "
        "<class 'azure.functions.eventhub.EventHubTriggerConverter'>"
    )


async def test_the_metadata_of_a_batch_is_shared_and_runs_beside_its_events(
    worker: Worker, logs: Logs
) -> None:
    events = [
        an_event(b"a", 1, partition_key="k", properties={"cloudEvents:id": "1"}),
        an_event(b"b", 2, message_properties={"content-type": "application/json"}),
    ]
    data = batch(events, PARTITION, binary=True)
    _, id_ = await worker.invoke("plain", data.input, data.metadata)
    (told,) = [r for r in logs.records if r.invocation_id == id_ and r.message == "batch"]
    metadata = told.properties["metadata"]

    assert set(metadata) == {
        "PartitionContext",
        "PartitionKeyArray",
        "OffsetArray",
        "SequenceNumberArray",
        "EnqueuedTimeUtcArray",
        "PropertiesArray",
        "SystemPropertiesArray",
    }
    assert metadata["PropertiesArray"] == [{"cloudEvents:id": "1"}, {}]
    assert metadata["SequenceNumberArray"] == [1, 2]
    assert metadata["PartitionContext"]["PartitionId"] == "0"
    assert metadata["SystemPropertiesArray"][1]["content-type"] == "application/json"
    assert [event["partition_key"] for event in told.properties["events"]] == ["k", None]


async def test_bodies_that_come_as_json_change_their_bytes(worker: Worker, logs: Logs) -> None:
    metadata = with_system_properties({"SequenceNumber": 1, "Offset": "0"})
    _, id_ = await worker.invoke("plain", Data("json", '[{"a":1.0,"b":"ü"}]'), metadata)
    (told,) = [r for r in logs.records if r.invocation_id == id_ and r.message == "batch"]

    assert told.properties["events"][0]["body"] == '{"a": 1.0, "b": "\\u00fc"}'


async def test_a_single_event_has_its_offset_as_a_text(worker: Worker, logs: Logs) -> None:
    data = single(an_event(b"\xff", 7, partition_key="k"), PARTITION, binary=True)
    _, id_ = await worker.invoke("one", data.input, data.metadata)
    (told,) = [r for r in logs.records if r.invocation_id == id_ and r.message == "batch"]

    assert told.properties["events"] == [
        {
            "body": "\\xff",
            "type": "bytes",
            "sequence_number": 7,
            "offset": "700",
            "enqueued_time": "2026-11-21T12:00:07.123000",
            "partition_key": "k",
        }
    ]


async def test_a_function_that_answers_without_a_return_binding_fails(
    worker: Worker,
) -> None:
    data = batch([an_event(b"a")], PARTITION, binary=True)
    answer, _ = await worker.invoke("answers", data.input, data.metadata)

    assert answer.error == (
        "RuntimeError: ('function %s without a $return bindingreturned a non-None value', "
        "\"'answers'\")"
    )


async def test_an_unknown_function_fails_without_a_word(worker: Worker) -> None:
    answer = await worker.process.invoke(Invocation("i", "unknown", {}), MINUTE)

    assert answer.error == "AssertionError: "


async def test_a_settings_name_stays_unresolved_in_the_index(worker: Worker) -> None:
    trigger = worker.functions["twice"].trigger

    assert (trigger["eventHubName"], trigger["consumerGroup"]) == ("%HUB%", "%GROUP%")


async def test_a_functions_id_comes_from_its_name(worker: Worker) -> None:
    assert worker.functions["plain"].id == str(uuid5(NAMESPACE_OID, "plain"))


async def test_retry_options_are_indexed(worker: Worker) -> None:
    fixed, endless = worker.functions["twice"].retry, worker.functions["forever"].retry

    assert fixed is not None
    assert endless is not None
    assert (fixed.maximum, fixed.delay(1), fixed.delay(2)) == (
        2,
        timedelta(seconds=10),
        timedelta(seconds=10),
    )
    assert (endless.maximum, endless.delay(1), endless.delay(99)) == (
        -1,
        timedelta(seconds=1),
        timedelta(minutes=1),
    )
    assert worker.functions["plain"].retry is None
