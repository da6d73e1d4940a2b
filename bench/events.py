"""The events of the measurements: twin updates in lanes, as the host hands them to a worker.

An update is what Azure Digital Twins writes of a changed twin, about 560 bytes on the wire. It
follows from its lane and number alone, so that ten million of them take no memory. A twin's
updates are all on one lane; which one has nothing to do with where a hub would place its key,
since nothing is documented of where Azure Digital Twins places its events.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import azure.functions as func
from azure.functions.meta import Datum

from lab.functions.event_hub_data import Partition, ReceivedEvent, batch
from lab.functions.messages import Data
from lab.functions.trigger_data import TriggerData
from lab.twins import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TWINS = 997
LANES = 4
BATCH = 500
TYPE = "Microsoft.DigitalTwins.Twin.Update"
MODEL = "dtmi:com:example:Pump;1"

_START = datetime(2026, 3, 5, 8, tzinfo=UTC)
_CONTENT_TYPE = "application/json"


def twin_name(number: int) -> str:
    return f"pump-{number}"


@dataclass(frozen=True, slots=True)
class Update:
    """The update of a twin, at a place in a lane.

    Attributes:
        data_bytes: how much data it has at least; a patch has one operation more to fill it.
    """

    twin: str
    lane: int
    number: int
    data_bytes: int = 0

    @property
    def data(self) -> bytes:
        """What happened, as JSON."""
        data = (
            f'{{"modelId":"{MODEL}","patch":['
            f'{{"value":{1450 + self.number % 500},"path":"/rpm","op":"replace"}},'
            f'{{"value":{self.number},"path":"/sequence","op":"replace"}}]}}'
        )
        if self.data_bytes > len(data):
            more = ',{"value":"","path":"/note","op":"add"}'
            room = "x" * max(0, self.data_bytes - len(data) - len(more))
            data = f'{data[:-2]},{{"value":"{room}","path":"/note","op":"add"}}]}}'
        return data.encode()

    @property
    def enqueued(self) -> datetime:
        """When the hub took it."""
        return _START + timedelta(milliseconds=self.number)

    @property
    def offset(self) -> str:
        """Where it stands in the hub's partition."""
        return str(600 * self.number)

    @property
    def properties(self) -> str:
        """What the extension hands over of its application properties, as JSON."""
        time = self.enqueued.strftime("%Y-%m-%dT%H:%M:%S.%f")
        return (
            '{"cloudEvents:specversion":"1.0",'
            f'"cloudEvents:id":"{self.number:08x}-7b0c-4d3e-9f{self.lane:02x}-5d1c0a2b4e6f",'
            f'"cloudEvents:type":"{TYPE}",'
            f'"cloudEvents:source":"{HOST}",'
            f'"cloudEvents:subject":"{self.twin}",'
            f'"cloudEvents:time":"{time}7Z",'
            f'"cloudEvents:traceparent":"00-{self.number:032x}-{self.number:016x}-01"}}'
        )

    @property
    def system_properties(self) -> str:
        """What the extension hands over of everything else, as JSON."""
        time = self.enqueued_text
        return (
            f'{{"content-type":"{_CONTENT_TYPE}",'
            f'"x-opt-sequence-number":{self.number},"x-opt-offset":"{self.offset}",'
            f'"x-opt-enqueued-time":"{time}+00:00",'
            f'"SequenceNumber":{self.number},"Offset":"{self.offset}",'
            f'"OffsetString":"{self.offset}","PartitionKey":null,"EnqueuedTimeUtc":"{time}"}}'
        )

    @property
    def enqueued_text(self) -> str:
        """When the hub took it, as .NET writes it: no zone, no zeros at the end."""
        text = self.enqueued.isoformat(timespec="milliseconds").removesuffix("+00:00")
        return text.partition("+")[0].rstrip("0").rstrip(".")

    def received(self) -> ReceivedEvent:
        """Return it as it would come out of a partition."""
        return ReceivedEvent(
            self.data,
            self.number,
            self.offset,
            self.enqueued,
            properties=json.loads(self.properties),
            message_properties={"content-type": _CONTENT_TYPE},
        )


@dataclass(slots=True)
class Lane:
    """A partition of the hub that events come in by; its numbers have no gaps.

    Attributes:
        twins: the numbers of those whose events are on it.
        data_bytes: how much data an event has at least.
        next: the number of the next event.
    """

    partition: Partition
    twins: list[int]
    data_bytes: int = 0
    next: int = 1

    @property
    def name(self) -> str:
        """What the relay calls it."""
        return f"{self.partition.hub}/{self.partition.id}"

    def updates(self, size: int) -> list[Update]:
        """Return the next events."""
        numbers = range(self.next, self.next + size)
        self.next += size
        lane = int(self.partition.id)
        return [Update(self._twin(each), lane, each, self.data_bytes) for each in numbers]

    def _twin(self, number: int) -> str:
        return twin_name(self.twins[zlib.crc32(number.to_bytes(8)) % len(self.twins)])

    def invocation(self, size: int) -> TriggerData:
        """Return the next events as the host hands them to a worker.

        It is what `lab.functions.event_hub_data.batch` makes of them, ten times as fast.
        """
        return written(self.updates(size), self.partition)

    def batch(self, size: int) -> list[func.EventHubEvent]:
        """Return the next events as the Functions library hands them to a function.

        It is what `EventHubTriggerConverter.decode` makes of the invocation, without the time
        that takes, and with the metadata decoded, as Node's library hands it over.
        """
        updates = self.updates(size)
        data = written(updates, self.partition)
        metadata = {name: datum(value) for name, value in data.metadata.items()}
        events = [
            func.EventHubEvent(
                body=each.data,
                trigger_metadata=metadata,
                enqueued_time=each.enqueued.replace(tzinfo=None),
                sequence_number=each.number,
                offset=int(each.offset),
                iothub_metadata={},
            )
            for each in updates
        ]
        assert events[0].metadata  # decoded when it is first looked at
        return events


def written(updates: Sequence[Update], partition: Partition) -> TriggerData:
    """Write events of a partition as the extension and the host do."""
    frame = batch([], partition, binary=True)
    return TriggerData(
        Data("collection_bytes", [each.data for each in updates]),
        {
            **frame.metadata,
            "OffsetArray": Data("collection_string", [each.offset for each in updates]),
            "SequenceNumberArray": Data("collection_sint64", [each.number for each in updates]),
            "EnqueuedTimeUtcArray": _array(f'"{each.enqueued_text}"' for each in updates),
            "PropertiesArray": _array(each.properties for each in updates),
            "SystemPropertiesArray": _array(each.system_properties for each in updates),
        },
    )


def _array(elements: Iterable[str]) -> Data:
    return Data("json", f"[{','.join(elements)}]")


def datum(data: Data) -> Datum:
    """Return a value as the worker makes it of the host's typed data."""
    if data.kind.startswith("collection_"):
        items = {data.kind.removeprefix("collection_"): data.value}
        return Datum(SimpleNamespace(**items), data.kind)
    return Datum(data.value, data.kind)


def lanes(twins: int = TWINS, data_bytes: int = 0, hub: str = "twin-events") -> list[Lane]:
    """Return the lanes of a plant; where there are fewer twins than lanes, fewer lanes."""
    by_lane: list[list[int]] = [[] for _ in range(LANES)]
    for number in range(twins):
        by_lane[zlib.crc32(twin_name(number).encode()) % LANES].append(number)
    return [
        Lane(Partition("ingress", hub, "relay", str(n)), its, data_bytes)
        for n, its in enumerate(by_lane)
        if its
    ]
