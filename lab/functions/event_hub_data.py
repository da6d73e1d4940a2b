"""What the Event Hubs extension makes of received events for a worker.

Sources, all in Azure/azure-sdk-for-net under sdk/eventhub: EventHubTriggerBindingStrategy
(which values, under which names), AmqpSystemProperties (AMQP message properties and
annotations become system properties under their AMQP names; a property that is not set is
absent), pull request 50645 (Offset is numeric or "-1", OffsetString is the true one). How
.NET values become typed data: GrpcMessageConversionExtensions in Azure/azure-functions-host.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lab.functions.messages import Data
from lab.functions.newtonsoft import date_time_offset, dumps
from lab.functions.trigger_data import TriggerData, filled, text, unspecified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The AMQP message properties that .NET shows, in its order.
MESSAGE_PROPERTIES: Final = (
    "message-id",
    "user-id",
    "to",
    "subject",
    "reply-to",
    "correlation-id",
    "content-type",
    "content-encoding",
    "absolute-expiry-time",
    "creation-time",
    "group-id",
    "group-sequence",
    "reply-to-group-id",
)
_NO_OFFSET: Final = "-1"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as it came out of a partition.

    Attributes:
        enqueued_time: aware.
        properties: the application properties.
        message_properties: the AMQP message properties by their AMQP names.
        annotations: message annotations beside the four that Event Hubs itself sets.
    """

    body: bytes
    sequence_number: int
    offset: str
    enqueued_time: datetime
    partition_key: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict)
    message_properties: Mapping[str, object] = field(default_factory=dict)
    annotations: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partition:
    """Where events come from."""

    namespace: str
    hub: str
    consumer_group: str
    id: str


def batch(
    events: Sequence[ReceivedEvent], partition: Partition, *, binary: bool
) -> TriggerData:
    """Return the trigger's data for `cardinality="many"`."""
    keys = [event.partition_key for event in events]
    times = [unspecified(event.enqueued_time) for event in events]
    metadata = {
        "PartitionContext": _context(partition),
        "PartitionKeyArray": Data("collection_string", filled(keys)),
        "OffsetArray": Data("collection_string", [_offset(event) for event in events]),
        "SequenceNumberArray": Data(
            "collection_sint64", [event.sequence_number for event in events]
        ),
        "EnqueuedTimeUtcArray": Data("json", dumps(times)),
        "PropertiesArray": Data("json", dumps([dict(event.properties) for event in events])),
        "SystemPropertiesArray": Data(
            "json", dumps([_system_properties(event) for event in events])
        ),
    }
    return TriggerData(_bodies(events, binary=binary), metadata)


def single(event: ReceivedEvent, partition: Partition, *, binary: bool) -> TriggerData:
    """Return the trigger's data for `cardinality="one"`."""
    metadata = {
        "PartitionContext": _context(partition),
        "Offset": Data("string", _offset(event)),
        "SequenceNumber": Data("json", dumps(event.sequence_number)),
        "EnqueuedTimeUtc": Data("json", dumps(unspecified(event.enqueued_time))),
        "Properties": Data("json", dumps(dict(event.properties))),
        "SystemProperties": Data("json", dumps(_system_properties(event))),
    }
    if event.partition_key is not None:
        metadata["PartitionKey"] = Data("string", event.partition_key)
    body = Data("bytes", event.body) if binary else Data("string", text(event.body))
    return TriggerData(body, metadata)


def _bodies(events: Sequence[ReceivedEvent], *, binary: bool) -> Data:
    if binary:
        return Data("collection_bytes", [event.body for event in events])
    return Data("collection_string", filled([text(event.body) for event in events]))


def _context(partition: Partition) -> Data:
    return Data(
        "json",
        dumps(
            {
                "FullyQualifiedNamespace": partition.namespace,
                "EventHubName": partition.hub,
                "ConsumerGroup": partition.consumer_group,
                "PartitionId": partition.id,
            }
        ),
    )


def _system_properties(event: ReceivedEvent) -> dict[str, object]:
    known = event.message_properties
    return {
        **{name: _value(known[name]) for name in MESSAGE_PROPERTIES if name in known},
        **event.annotations,
        "x-opt-sequence-number": event.sequence_number,
        "x-opt-offset": event.offset,
        "x-opt-enqueued-time": date_time_offset(event.enqueued_time),
        **({} if event.partition_key is None else {"x-opt-partition-key": event.partition_key}),
        "SequenceNumber": event.sequence_number,
        "Offset": _offset(event),
        "OffsetString": event.offset,
        "PartitionKey": event.partition_key,
        "EnqueuedTimeUtc": unspecified(event.enqueued_time),
    }


def _value(value: object) -> object:
    """.NET keeps a message's own times as `DateTimeOffset`."""
    return date_time_offset(value) if isinstance(value, datetime) else value


def _offset(event: ReceivedEvent) -> str:
    """A number in any case: what is no number is replaced by the stream's beginning."""
    return event.offset if event.offset.isdecimal() else _NO_OFFSET
