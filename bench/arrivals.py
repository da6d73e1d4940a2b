"""Batches of a plant's events as the Event Hubs trigger hands them to a function."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING

import azure.functions as func
from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.meta import Datum

from lab.functions.event_hub_data import Partition, ReceivedEvent, batch
from lab.twins import Layout, Plant

if TYPE_CHECKING:
    from lab.functions.messages import Data
    from lab.twins import Notification

START = datetime(2026, 3, 5, 8, tzinfo=UTC)
LAYOUT = Layout(buildings=4, floors=4, machines=8, sensors=3)
"""Some five hundred twins: in a batch of a hundred events, few twins come twice."""
COMMISSIONING = 2_500
"""Events of the beginning, in which everything is created once."""
MOST = 400_000


@dataclass(frozen=True, slots=True)
class Written:
    """A batch as the Functions library makes it of what the host sends."""

    events: list[func.EventHubEvent]
    metadata: dict[str, Datum]

    def numbered(self, first: int) -> list[func.EventHubEvent]:
        """Return it with other numbers; the library itself takes longer than the relay."""
        return [
            func.EventHubEvent(
                body=event.get_body(),
                trigger_metadata=self.metadata,
                enqueued_time=event.enqueued_time,
                sequence_number=first + n,
            )
            for n, event in enumerate(self.events)
        ]


@dataclass(slots=True)
class Lane:
    """A partition of the hub that twin events come in by.

    Its events come again and again, under numbers that rise without a gap.

    Attributes:
        next: the number of the next event.
        written: what was made already, by where it begins and its size; only numbers change.
    """

    partition: Partition
    notifications: list[Notification]
    next: int = 0
    written: dict[tuple[int, int], Written] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the relay calls it."""
        return f"{self.partition.hub}/{self.partition.id}"

    def batch(self, size: int) -> list[func.EventHubEvent]:
        """Return the next events."""
        start = self.next % len(self.notifications)
        if (start, size) not in self.written:
            self.written[start, size] = self._write(size)
        written, first = self.written[start, size], self.next
        self.next += size
        return written.numbered(first)

    def _write(self, size: int) -> Written:
        numbers = range(self.next, self.next + size)
        data = batch([self._received(each) for each in numbers], self.partition, binary=True)
        metadata = {name: typed(value) for name, value in data.metadata.items()}
        decode = EventHubTriggerConverter.decode
        return Written(decode(typed(data.input), trigger_metadata=metadata), metadata)

    def _received(self, number: int) -> ReceivedEvent:
        message = self.notifications[number % len(self.notifications)].as_amqp()
        kept = {} if message.content_type is None else {"content-type": message.content_type}
        return ReceivedEvent(
            message.body,
            number,
            str(number),
            START + timedelta(milliseconds=number),
            properties=message.properties,
            message_properties=kept,
        )


def typed(data: Data) -> Datum:
    """Return a value as the worker makes it of the host's typed data."""
    if data.kind.startswith("collection_"):
        items = {data.kind.removeprefix("collection_"): data.value}
        return Datum(SimpleNamespace(**items), data.kind)
    return Datum(data.value, data.kind)


def lanes(count: int, each: int, hub: str = "twin-events") -> list[Lane]:
    """Return lanes of so many different events, a twin's all on one of them."""
    made = [Lane(Partition("ingress", hub, "relay", str(n)), []) for n in range(count)]
    for notification in islice(Plant(7, START, layout=LAYOUT), COMMISSIONING, MOST):
        lane = made[zlib.crc32(notification.twin_id.encode()) % count]
        if len(lane.notifications) < each:
            lane.notifications.append(notification)
        elif all(len(lane.notifications) >= each for lane in made):
            break
    return made
