"""What a message is to its entity, and what of it goes out again."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.messaging.codec import CodecError, Symbol, Timestamp, Uint, encode
from lab.messaging.entities import DeadLettering, Incoming
from lab.messaging.entities import Message as Stored
from lab.messaging.message import Header, Message, Properties, data, decode_message
from lab.messaging.service_bus_messages import incoming, outgoing

texts = st.text(max_size=20)
whole = st.integers(-(2**63), 2**63 - 1)
values = st.none() | st.booleans() | texts | st.binary(max_size=20) | whole
messages = st.builds(
    Message,
    header=st.none() | st.builds(Header, durable=st.booleans(), ttl=st.integers(0, 2**32 - 1)),
    annotations=st.dictionaries(st.from_regex(r"x-opt-[a-z]{1,8}", fullmatch=True), values),
    properties=st.none()
    | st.builds(Properties, message_id=texts | st.uuids(), group_id=st.none() | texts),
    application_properties=st.dictionaries(texts, values, max_size=5),
    body=st.binary(max_size=100).map(data),
)


@given(messages)
def test_the_bare_message_goes_out_as_it_came(message: Message) -> None:
    bare = replace(message, header=None, annotations={}).encode()
    stored = Stored(incoming(message.encode()), 7, 1000.0)

    assert outgoing(stored).endswith(bare)
    got = decode_message(outgoing(stored))
    assert message.annotations.items() <= got.annotations.items()
    assert got.header is not None
    assert 0 == got.header.delivery_count


@given(messages)
def test_a_dead_letter_gains_its_reason_and_loses_nothing(message: Message) -> None:
    letter = DeadLettering("unreadable", None, "queue")
    stored = Stored(incoming(message.encode()), 7, 1000.0, dead_lettering=letter)
    got = decode_message(outgoing(stored))

    assert {
        **message.application_properties,
        "DeadLetterReason": "unreadable",
    } == got.application_properties
    assert (got.properties, got.body) == (message.properties, message.body)


@given(st.binary(max_size=60))
@example(b"")
@example(b"\x00\x53\x70\xa1\x01x")
@example(b"\x00\x53\x70" + encode([None, "high"]))
@example(b"\x00\x53\x70" + encode([None] * 7))
@example(b"\x00\x53\x70" + encode([None, None, "soon"]))
@example(b"\x00\x53\x72" + encode({"é": 1}))
@example(b"\x00\x53\x72" + encode([1]))
def test_bytes_that_are_no_message_are_a_codec_error_or_can_be_delivered(raw: bytes) -> None:
    with contextlib.suppress(CodecError):
        message = Stored(incoming(raw), 7, 1000.0)
        outgoing(message)
        message.dead_lettering = DeadLettering("r", "d", "queue")
        outgoing(message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(), Incoming(b"")),
        (
            Message(
                header=Header(ttl=1500),
                annotations={"x-opt-scheduled-enqueue-time": Timestamp(2500)},
                properties=Properties(message_id="m", group_id="s"),
            ),
            Incoming(b"", "m", "s", 1.5, 2.5),
        ),
        (
            Message(properties=Properties(message_id=UUID(int=1))),
            Incoming(b"", str(UUID(int=1))),
        ),
        (Message(properties=Properties(message_id=Uint(5))), Incoming(b"", 5)),
    ],
    ids=["nothing", "all", "a uuid", "a number"],
)
def test_an_entity_knows_of_a_message_what_it_needs(
    message: Message, expected: Incoming
) -> None:
    payload = message.encode()

    assert incoming(payload) == replace(expected, sections=payload)


def test_annotations_of_the_entity_replace_those_of_the_sender() -> None:
    sent = Message(annotations={Symbol("x-opt-sequence-number"): 99}).encode()
    got = decode_message(outgoing(Stored(incoming(sent), 7, 1000.0), 1060.0))

    assert 7 == got.annotations["x-opt-sequence-number"]
    assert 1_060_000 == got.annotations["x-opt-locked-until"]
