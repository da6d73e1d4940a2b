"""What the Service Bus extension makes of received messages for a worker.

Sources, in Azure/azure-sdk-for-net under sdk/servicebus/Microsoft.Azure.WebJobs.Extensions.
ServiceBus: ServiceBusTriggerBindingStrategy (which values, under which names),
MessageToStringConverter and MessageToByteArrayConverter (bodies); under Azure.Messaging.
ServiceBus: AmqpMessageConverter (the delivery count begins with 1) and
ServiceBusReceivedMessage (what lives for ever expires with the year 9999). How .NET values
become typed data: GrpcMessageConversionExtensions in Azure/azure-functions-host.

The extension's own objects (`MessageReceiver`, `MessageActions`, `Client` and the like), whose
JSON says nothing of a message, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lab.functions.messages import Data
from lab.functions.newtonsoft import date_time_offset, dumps
from lab.functions.trigger_data import TriggerData, filled, text, unspecified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

# .NET's DateTime.MaxValue, finer than Python can say.
_NEVER: Final = "9999-12-31T23:59:59.9999999"


class CannotBindError(Exception):
    """A body that no function of this kind can be given; the invocation fails."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message as it came out of a queue or a subscription.

    Attributes:
        body: the data sections together, or the text of an AMQP value; None for what the
            extension binds to nothing, such as a sequence.
        delivery_count: 1 when it is delivered for the first time, as .NET counts.
        enqueued_time: aware.
        expires_at: aware; None for never.
    """

    body: bytes | str | None
    sequence_number: int
    lock_token: str
    enqueued_time: datetime
    delivery_count: int = 1
    expires_at: datetime | None = None
    message_id: str | None = None
    session_id: str | None = None
    content_type: str | None = None
    correlation_id: str | None = None
    subject: str | None = None
    to: str | None = None
    reply_to: str | None = None
    reply_to_session_id: str | None = None
    partition_key: str | None = None
    dead_letter_source: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


def single(message: ReceivedMessage, *, binary: bool) -> TriggerData:
    """Return the trigger's data for `cardinality="one"`.

    Raises:
        CannotBindError: the body is of a kind that the function cannot have.
    """
    body = Data("bytes", _bytes(message)) if binary else Data("string", _string(message))
    texts = {
        name: Data("string", value)
        for name, value in _texts(message).items()
        if value is not None
    }
    properties = Data("json", dumps(dict(message.properties)))
    metadata = {
        "DeliveryCount": Data("json", dumps(message.delivery_count)),
        "ExpiresAtUtc": Data("json", dumps(_expires_at_utc(message))),
        "ExpiresAt": Data("json", dumps(_expires_at(message))),
        "EnqueuedTimeUtc": Data("json", dumps(unspecified(message.enqueued_time))),
        "EnqueuedTime": Data("json", dumps(date_time_offset(message.enqueued_time))),
        "SequenceNumber": Data("json", dumps(message.sequence_number)),
        "ApplicationProperties": properties,
        "UserProperties": properties,
    }
    return TriggerData(body, metadata | texts)


def batch(messages: Sequence[ReceivedMessage], *, binary: bool) -> TriggerData:
    """Return the trigger's data for `cardinality="many"`.

    A text that a message lacks is not empty in its array, it is absent: whoever reads the
    arrays by position then reads another message's.

    Raises:
        CannotBindError: a body is of a kind that the function cannot have.
    """
    found = [_texts(each) for each in messages]
    texts = {
        f"{name}Array": Data("collection_string", filled([each[name] for each in found]))
        for name in _texts(messages[0])
    }
    properties = Data("json", dumps([dict(each.properties) for each in messages]))
    times = [each.enqueued_time for each in messages]
    metadata = {
        "DeliveryCountArray": Data("json", dumps([each.delivery_count for each in messages])),
        "ExpiresAtUtcArray": Data("json", dumps([_expires_at_utc(each) for each in messages])),
        "ExpiresAtArray": Data("json", dumps([_expires_at(each) for each in messages])),
        "EnqueuedTimeUtcArray": Data("json", dumps([unspecified(each) for each in times])),
        "EnqueuedTimeArray": Data("json", dumps([date_time_offset(each) for each in times])),
        "SequenceNumberArray": Data(
            "collection_sint64", [each.sequence_number for each in messages]
        ),
        "ApplicationPropertiesArray": properties,
        "UserPropertiesArray": properties,
    }
    return TriggerData(_bodies(messages, binary=binary), metadata | texts)


def _texts(message: ReceivedMessage) -> Mapping[str, str | None]:
    return {
        "MessageId": message.message_id,
        "SessionId": message.session_id,
        "ContentType": message.content_type,
        "CorrelationId": message.correlation_id,
        "Subject": message.subject,
        "Label": message.subject,
        "To": message.to,
        "ReplyTo": message.reply_to,
        "ReplyToSessionId": message.reply_to_session_id,
        "PartitionKey": message.partition_key,
        "TransactionPartitionKey": None,
        "DeadLetterSource": message.dead_letter_source,
        "LockToken": message.lock_token,
    }


def _bodies(messages: Sequence[ReceivedMessage], *, binary: bool) -> Data:
    if binary:
        return Data("collection_bytes", [_bytes(each) for each in messages])
    return Data("collection_string", filled([_string(each) for each in messages]))


def _bytes(message: ReceivedMessage) -> bytes:
    if isinstance(message.body, bytes):
        return message.body
    raise CannotBindError("a body that is no AMQP data cannot be bound to a byte array")


def _string(message: ReceivedMessage) -> str:
    match message.body:
        case bytes() as body:
            return text(body)
        case str() as body:
            return body
        case None:
            raise CannotBindError("a body that is no text cannot be bound to a string")


def _expires_at_utc(message: ReceivedMessage) -> datetime | str:
    return _NEVER if message.expires_at is None else unspecified(message.expires_at)


def _expires_at(message: ReceivedMessage) -> str:
    if message.expires_at is None:
        return f"{_NEVER}+00:00"
    return date_time_offset(message.expires_at)
