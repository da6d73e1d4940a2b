"""What the Event Hubs extension makes of events, without a worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from azure.eventhub import EventData
from azure.eventhub.amqp import AmqpAnnotatedMessage

from lab.functions.event_hub_data import Partition, batch, single
from lab.functions.event_hub_source import received
from lab.functions.messages import Data
from tests.lab.functions.hosting import NOON, an_event

PARTITION = Partition("ns.example", "hub", "relay", "3")


def parsed(data: Data) -> object:
    assert data.kind == "json"
    return json.loads(str(data.value))


def test_a_batch_of_bytes_keeps_empty_bodies() -> None:
    data = batch([an_event(b""), an_event(b"\xff")], PARTITION, binary=True)

    assert data.input == Data("collection_bytes", [b"", b"\xff"])


def test_a_batch_of_texts_loses_empty_bodies() -> None:
    data = batch([an_event(b""), an_event(b"a\xff")], PARTITION, binary=False)

    assert data.input == Data("collection_string", ["a\ufffd"])


def test_the_arrays_of_a_batch_run_beside_its_events() -> None:
    events = [an_event(b"a", 1, partition_key="k", properties={"p": "v"}), an_event(b"b", 2)]
    metadata = batch(events, PARTITION, binary=True).metadata

    assert metadata["SequenceNumberArray"] == Data("collection_sint64", [1, 2])
    assert metadata["OffsetArray"] == Data("collection_string", ["100", "200"])
    assert metadata["PartitionKeyArray"] == Data("collection_string", ["k"])
    assert parsed(metadata["PropertiesArray"]) == [{"p": "v"}, {}]
    assert parsed(metadata["EnqueuedTimeUtcArray"]) == [
        "2026-11-21T12:00:01.123",
        "2026-11-21T12:00:02.123",
    ]
    assert parsed(metadata["PartitionContext"]) == {
        "FullyQualifiedNamespace": "ns.example",
        "EventHubName": "hub",
        "ConsumerGroup": "relay",
        "PartitionId": "3",
    }


def test_system_properties_are_message_properties_annotations_and_four_names() -> None:
    event = an_event(
        b"a",
        1,
        partition_key="k",
        message_properties={
            "content-type": "application/json",
            "message-id": "m",
            "creation-time": NOON,
        },
        annotations={"x-opt-other": 5},
    )
    metadata = batch([event], PARTITION, binary=True).metadata

    assert parsed(metadata["SystemPropertiesArray"]) == [
        {
            "message-id": "m",
            "content-type": "application/json",
            "creation-time": "2026-11-21T12:00:00.123+00:00",
            "x-opt-other": 5,
            "x-opt-sequence-number": 1,
            "x-opt-offset": "100",
            "x-opt-enqueued-time": "2026-11-21T12:00:01.123+00:00",
            "x-opt-partition-key": "k",
            "SequenceNumber": 1,
            "Offset": "100",
            "OffsetString": "100",
            "PartitionKey": "k",
            "EnqueuedTimeUtc": "2026-11-21T12:00:01.123",
        }
    ]


def test_a_property_that_is_not_set_is_absent_and_a_missing_key_is_null() -> None:
    metadata = batch([an_event(b"a")], PARTITION, binary=True).metadata
    (properties,) = json.loads(str(metadata["SystemPropertiesArray"].value))

    assert "content-type" not in properties
    assert "x-opt-partition-key" not in properties
    assert properties["PartitionKey"] is None


def test_an_offset_that_is_no_number_is_minus_one_beside_its_text() -> None:
    event = an_event(b"a", offset="1:3:4294971:12")
    metadata = batch([event], PARTITION, binary=True).metadata
    (properties,) = json.loads(str(metadata["SystemPropertiesArray"].value))

    assert (properties["Offset"], properties["OffsetString"]) == ("-1", "1:3:4294971:12")
    assert metadata["OffsetArray"] == Data("collection_string", ["-1"])


def test_property_values_are_written_as_dotnet_writes_them() -> None:
    event = an_event(properties={"bytes": b"\x00", "time": NOON, "nothing": None, "n": 1.5})
    metadata = batch([event], PARTITION, binary=True).metadata

    assert parsed(metadata["PropertiesArray"]) == [
        {"bytes": "AA==", "time": "2026-11-21T12:00:00.123Z", "nothing": None, "n": 1.5}
    ]


def test_a_single_event_has_its_values_without_array() -> None:
    data = single(an_event(b"a", 7, partition_key="k"), PARTITION, binary=True)

    assert data.input == Data("bytes", b"a")
    assert data.metadata["SequenceNumber"] == Data("json", "7")
    assert data.metadata["Offset"] == Data("string", "700")
    assert data.metadata["EnqueuedTimeUtc"] == Data("json", '"2026-11-21T12:00:07.123"')
    assert data.metadata["PartitionKey"] == Data("string", "k")


@pytest.mark.parametrize(("binary", "kind"), [(True, "bytes"), (False, "string")])
def test_a_single_event_goes_as_it_was_declared(binary: bool, kind: str) -> None:
    assert single(an_event(b"a"), PARTITION, binary=binary).input.kind == kind


def test_what_the_sdk_received_becomes_an_event() -> None:
    message = AmqpAnnotatedMessage(
        data_body=[b"one ", b"two"],
        annotations={
            b"x-opt-sequence-number": 5,
            b"x-opt-offset": b"500",
            b"x-opt-enqueued-time": 1795262400123,
            b"x-opt-partition-key": b"k",
            b"x-opt-other": b"o",
        },
        application_properties={b"cloudEvents:id": b"1", b"raw": b"\xff", b"n": 1},
        properties={"content_type": b"application/json", "creation_time": 1795262400123},
    )
    event = received(EventData._from_message(None, message))

    assert event == an_event(
        b"one two",
        5,
        enqueued_time=datetime(2026, 11, 21, 12, 0, 0, 123000, UTC),
        partition_key="k",
        properties={"cloudEvents:id": "1", "raw": b"\xff", "n": 1},
        message_properties={
            "content-type": "application/json",
            "creation-time": datetime(2026, 11, 21, 12, 0, 0, 123000, UTC),
        },
        annotations={"x-opt-other": "o"},
    )
