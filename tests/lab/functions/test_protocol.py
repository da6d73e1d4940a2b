"""The descriptor table against what the worker library asks for and what goes over the wire."""

from __future__ import annotations

import re
from asyncio import StreamReader
from datetime import timedelta
from pathlib import Path

import azure_functions_runtime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.functions import protocol
from lab.functions.framing import frame, read
from lab.functions.messages import (
    Data,
    Invocation,
    LogRecord,
    RetryState,
    invocation_request,
    log_record,
    rpc_log,
)
from lab.functions.protocol import protos


def test_the_table_has_every_field_that_was_compared_with_the_generated_code() -> None:
    fields = [field for _, fields in protocol.rows() for field in fields]

    assert len(fields) == 151


def test_every_message_has_the_fields_of_its_row() -> None:
    for name, fields in protocol.rows():
        described = getattr(protos, name).DESCRIPTOR.fields_by_name

        assert [(field.name, field.number) for field in fields] == [
            (found.name, found.number) for found in described.values()
        ]


def test_the_library_finds_every_name_that_it_asks_for() -> None:
    package = Path(azure_functions_runtime.__file__).parent
    source = "\n".join(path.read_text() for path in package.rglob("*.py"))
    asked = set(re.findall(r"\bprotos\.([A-Z]\w+)", source))

    assert {"InvocationResponse", "RpcHttpCookie", "NullableTimestamp"} <= asked
    assert asked - {"TypedDataCollection"} <= set(vars(protos))


def test_enum_values_are_reachable_as_the_library_expects() -> None:
    assert protos.StatusResult.Success == 1
    assert protos.BindingInfo.out == 1
    assert protos.RpcHttpCookie.SameSite.ExplicitNone == 3


def test_a_message_has_the_bytes_that_its_numbers_say() -> None:
    request = protos.InvocationRequest(invocation_id="a", function_id="b")
    message = protos.StreamingMessage(request_id="r", invocation_request=request)

    assert message.SerializeToString() == b'\n\x01r"\x06\n\x01a\x12\x01b'


def test_typed_data_holds_one_value() -> None:
    data = protos.TypedData(string="a")
    data.bytes = b"b"

    assert data.WhichOneof("data") == "bytes"


def test_a_row_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="not a row of the descriptor table: 'a b'"):
        protocol._field("a b")


def test_an_invocation_says_all_that_it_knows() -> None:
    message = invocation_request(
        Invocation(
            "i",
            "f",
            {"events": Data("collection_bytes", [b"", b"x"])},
            {"SequenceNumberArray": Data("collection_sint64", [-1, 2**40])},
            RetryState(2, -1, "ValueError: no"),
            "00-trace",
        )
    )

    assert list(message.input_data[0].data.collection_bytes.bytes) == [b"", b"x"]
    numbers = message.trigger_metadata["SequenceNumberArray"].collection_sint64.sint64
    assert list(numbers) == [-1, 2**40]
    retry = message.retry_context
    assert (retry.retry_count, retry.max_retry_count) == (2, -1)
    assert retry.exception.message == "ValueError: no"
    assert message.trace_context.trace_parent == "00-trace"


@pytest.mark.parametrize("level", [5, 10, 20, 30, 40, 50])
def test_a_log_record_survives_the_wire(level: int) -> None:
    record = LogRecord(
        level, "a.logger", "text", {"n": 1, "of": [None, True]}, "i", system=True
    )

    assert record == log_record(rpc_log(record))


@pytest.mark.parametrize(("given_level", "level"), [(1, 0), (25, 20), (60, 50)])
def test_a_level_of_ones_own_becomes_the_next_lower(given_level: int, level: int) -> None:
    assert level == log_record(rpc_log(LogRecord(given_level, "c", "m"))).level


@given(st.lists(st.binary(max_size=70_000), max_size=3), st.integers(1, 5000))
async def test_frames_survive_any_cut(bodies: list[bytes], cut: int) -> None:
    stream = b"".join(
        frame(rpc_log=protos.RpcLog(message=body.hex()), request_id="r") for body in bodies
    )
    reader = StreamReader()
    for start in range(0, len(stream), cut):
        reader.feed_data(stream[start : start + cut])
    reader.feed_eof()
    found = []
    while (message := await read(reader)) is not None:
        found.append(bytes.fromhex(message.rpc_log.message))

    assert bodies == found


async def test_a_stream_that_ends_within_a_frame_has_ended() -> None:
    reader = StreamReader()
    reader.feed_data(frame(request_id="r")[:-1])
    reader.feed_eof()

    assert await read(reader) is None


def test_durations_are_googles() -> None:
    options = protos.RpcRetryOptions(delay_interval=timedelta(seconds=90))

    assert options.delay_interval.seconds == 90
