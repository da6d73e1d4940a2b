from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.messaging.codec import CodecError, Int, Symbol, Timestamp, encode
from lab.messaging.message import (
    Header,
    Message,
    Properties,
    annotated,
    data,
    decode_message,
    first_annotation,
    split_batch,
    value,
)

WHOLE = Message(
    Header(durable=True, priority=4, ttl=5000, delivery_count=2),
    {"d": 1},
    {"x-opt-partition-key": "Room21", "x-opt-enqueued-time": Timestamp(5)},
    Properties(message_id="id", content_type="application/json", group_id="s", creation_time=7),
    {"cloudEvents:type": "t", "n": Int(4)},
    data(b"body"),
)


def test_a_message_comes_back_as_it_went() -> None:
    assert decode_message(WHOLE.encode()) == WHOLE


def test_a_body_that_is_not_understood_is_carried() -> None:
    sequence = b"\x00\x53\x76" + encode([1]) + b"\x00\x53\x78" + encode({Symbol("f"): 1})

    message = decode_message(Message(header=Header(), body=sequence).encode())

    assert message.body == sequence
    assert message.value() is None


def test_the_value_of_a_body_is_read() -> None:
    assert Message(body=value({"a": [1, None]})).value() == {"a": [1, None]}
    assert Message().value() is None


def test_annotations_are_added_and_the_rest_is_kept() -> None:
    changed = decode_message(annotated(WHOLE.encode(), {"x-opt-offset": "9"}, {"e": 2}))

    assert changed == replace(
        WHOLE,
        annotations={**WHOLE.annotations, "x-opt-offset": "9"},
        delivery_annotations={"e": 2},
    )


def test_a_bare_message_can_be_annotated() -> None:
    changed = decode_message(annotated(data(b"x"), {"a": 1}))

    assert changed == Message(annotations={"a": 1}, body=data(b"x"))


def test_one_annotation_is_found_without_the_rest() -> None:
    assert first_annotation(WHOLE.encode(), "x-opt-partition-key") == "Room21"
    assert first_annotation(WHOLE.encode(), "other") is None
    assert first_annotation(data(b"x"), "other") is None


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_a_batch_is_split_into_what_was_put_in(messages: list[bytes]) -> None:
    envelope = Message(Header(durable=True), annotations={"x-opt-partition-key": "k"})

    assert split_batch(envelope.encode() + b"".join(map(data, messages))) == messages


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("0053", id="a section that ends early"),
        pytest.param("a10161", id="no section"),
        pytest.param("005310 45", id="a code that no section has"),
        pytest.param("005373 c1 01 00", id="properties that are a map"),
        pytest.param("005370 41", id="a header that is true"),
        pytest.param("005373 d0 00000012 0000000e" + "40" * 14, id="too many properties"),
    ],
)
def test_a_malformed_message_is_refused(raw: str) -> None:
    with pytest.raises(CodecError):
        decode_message(bytes.fromhex(raw))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    for read in (decode_message, split_batch):
        try:
            read(raw)
        except CodecError:
            continue
