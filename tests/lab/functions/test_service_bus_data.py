"""What the Service Bus extension makes of messages, by its source."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from lab.functions.messages import Data
from lab.functions.service_bus_data import CannotBindError, ReceivedMessage, batch, single
from tests.lab.functions.hosting import NOON


def a_message(body: object = b"{}", number: int = 7, **changes: object) -> ReceivedMessage:
    fields = {
        "body": body,
        "sequence_number": number,
        "lock_token": f"token-{number}",
        "enqueued_time": NOON,
    }
    return ReceivedMessage(**(fields | changes))


def test_a_single_message_is_a_string_unless_it_is_wanted_as_bytes() -> None:
    message = a_message("Zürich".encode())

    assert Data("string", "Zürich") == single(message, binary=False).input
    assert Data("bytes", "Zürich".encode()) == single(message, binary=True).input


def test_what_is_no_utf8_becomes_a_string_with_replacements() -> None:
    assert Data("string", "�a") == single(a_message(b"\xffa"), binary=False).input


def test_a_text_value_can_be_a_string_but_never_bytes() -> None:
    message = a_message("text")

    assert Data("string", "text") == single(message, binary=False).input
    with pytest.raises(CannotBindError, match="byte array"):
        single(message, binary=True)


def test_a_body_that_is_neither_can_be_bound_to_nothing() -> None:
    with pytest.raises(CannotBindError, match="string"):
        single(a_message(None), binary=False)


def test_the_metadata_of_a_single_message_has_the_extensions_names_and_kinds() -> None:
    message = a_message(
        message_id="m",
        session_id="s",
        content_type="c",
        correlation_id="o",
        subject="b",
        to="t",
        reply_to="r",
        reply_to_session_id="rs",
        partition_key="p",
        dead_letter_source="d",
        delivery_count=2,
        expires_at=NOON + timedelta(minutes=1),
        properties={"a": 1, "b": b"\x00"},
    )

    assert {
        "MessageId": Data("string", "m"),
        "SessionId": Data("string", "s"),
        "ContentType": Data("string", "c"),
        "CorrelationId": Data("string", "o"),
        "Subject": Data("string", "b"),
        "Label": Data("string", "b"),
        "To": Data("string", "t"),
        "ReplyTo": Data("string", "r"),
        "ReplyToSessionId": Data("string", "rs"),
        "PartitionKey": Data("string", "p"),
        "DeadLetterSource": Data("string", "d"),
        "LockToken": Data("string", "token-7"),
        "DeliveryCount": Data("json", "2"),
        "SequenceNumber": Data("json", "7"),
        "EnqueuedTimeUtc": Data("json", '"2026-11-21T12:00:00.123"'),
        "EnqueuedTime": Data("json", '"2026-11-21T12:00:00.123+00:00"'),
        "ExpiresAtUtc": Data("json", '"2026-11-21T12:01:00.123"'),
        "ExpiresAt": Data("json", '"2026-11-21T12:01:00.123+00:00"'),
        "ApplicationProperties": Data("json", '{"a":1,"b":"AA=="}'),
        "UserProperties": Data("json", '{"a":1,"b":"AA=="}'),
    } == single(message, binary=True).metadata


def test_what_a_message_does_not_say_is_absent() -> None:
    assert {
        "LockToken",
        "DeliveryCount",
        "SequenceNumber",
        "EnqueuedTimeUtc",
        "EnqueuedTime",
        "ExpiresAtUtc",
        "ExpiresAt",
        "ApplicationProperties",
        "UserProperties",
    } == set(single(a_message(), binary=True).metadata)


def test_a_message_that_lives_for_ever_expires_with_the_year_9999() -> None:
    metadata = single(a_message(), binary=True).metadata

    assert Data("json", '"9999-12-31T23:59:59.9999999"') == metadata["ExpiresAtUtc"]
    assert Data("json", '"9999-12-31T23:59:59.9999999+00:00"') == metadata["ExpiresAt"]


def test_a_batch_has_arrays_by_position() -> None:
    messages = [a_message(b"a", 1, message_id="m1"), a_message(b"b", 2, message_id="m2")]
    data = batch(messages, binary=True)

    assert Data("collection_bytes", [b"a", b"b"]) == data.input
    assert Data("collection_string", ["m1", "m2"]) == data.metadata["MessageIdArray"]
    assert Data("collection_string", ["token-1", "token-2"]) == data.metadata["LockTokenArray"]
    assert Data("collection_sint64", [1, 2]) == data.metadata["SequenceNumberArray"]
    assert Data("json", "[1,1]") == data.metadata["DeliveryCountArray"]
    assert [{}, {}] == json.loads(str(data.metadata["UserPropertiesArray"].value))


def test_a_text_that_one_message_lacks_moves_the_others_forward() -> None:
    messages = [a_message(number=1), a_message(number=2, session_id="s2")]

    assert (
        Data("collection_string", ["s2"])
        == batch(messages, binary=True).metadata["SessionIdArray"]
    )


def test_a_batch_of_texts_loses_what_is_empty() -> None:
    messages = [a_message(b"", 1), a_message(b"b", 2)]

    assert Data("collection_string", ["b"]) == batch(messages, binary=False).input
