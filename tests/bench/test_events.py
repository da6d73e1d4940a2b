"""The events of the measurements are those that the host would hand over."""

from __future__ import annotations

from itertools import pairwise

import azure.functions as func
import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.utils import get_message_encoded_size
from azure.eventhub._transport._pyamqp_transport import PyamqpTransport
from azure.functions.eventhub import EventHubTriggerConverter
from hypothesis import given
from hypothesis import strategies as st

from bench.events import TWINS, Update, datum, lanes, written
from lab.functions.event_hub_data import batch


def on_the_wire(update: Update) -> int:
    """Return how many bytes the SDK makes of an event with body and properties."""
    received = update.received()
    data = EventData(received.body)
    data.properties = dict(received.properties)
    data.content_type = "application/json"
    return get_message_encoded_size(
        PyamqpTransport.to_outgoing_amqp_message(data.raw_amqp_message)
    )


def test_an_update_has_about_560_bytes_on_the_wire() -> None:
    assert 530 <= on_the_wire(Update("pump-123", 1, 4_711)) <= 590


@given(
    st.lists(st.integers(min_value=0, max_value=2**31), min_size=1, max_size=20),
    st.integers(min_value=0, max_value=3),
    st.sampled_from([0, 200, 2_048]),
)
def test_they_are_written_as_the_labs_host_writes_them(
    numbers: list[int], lane: int, data_bytes: int
) -> None:
    updates = [Update("pump-1", lane, number, data_bytes) for number in numbers]
    partition = lanes()[lane].partition

    expected = batch([each.received() for each in updates], partition, binary=True)

    assert expected == written(updates, partition)


def test_they_are_decoded_as_the_functions_library_decodes_them() -> None:
    here, there = lanes()[0], lanes()[0]
    data = there.invocation(120)
    metadata = {name: datum(value) for name, value in data.metadata.items()}

    expected = EventHubTriggerConverter.decode(datum(data.input), trigger_metadata=metadata)

    for wanted, found in zip(expected, here.batch(120), strict=True):
        assert wanted.metadata == found.metadata
        assert content(wanted) == content(found)


def content(event: func.EventHubEvent) -> dict[str, object]:
    return {
        name: value for name, value in vars(event).items() if "trigger_metadata" not in name
    }


@pytest.mark.parametrize("size", [200, 2_048, 262_144])
def test_an_update_has_as_much_data_as_is_asked_for(size: int) -> None:
    assert size == len(Update("pump-1", 0, 1, size).data)


def test_a_twin_keeps_to_one_lane_and_none_is_left_out() -> None:
    plant = lanes()

    assert sorted(twin for lane in plant for twin in lane.twins) == list(range(TWINS))


def test_the_numbers_of_a_lane_have_no_gaps() -> None:
    lane = lanes()[0]
    events = [event for size in (3, 1, 2) for event in lane.batch(size)]

    assert all(
        b.sequence_number == a.sequence_number + 1
        for a, b in pairwise(events)
    )  # fmt: skip


def test_where_there_is_one_twin_there_is_one_lane() -> None:
    assert [[0]] == [lane.twins for lane in lanes(twins=1)]
