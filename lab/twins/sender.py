"""Sends notifications to the ingress hub, by the identity of Azure Digital Twins."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final, Self

from azure.eventhub import EventData, TransportType
from azure.eventhub.aio import EventHubProducerClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.eventhub import EventDataBatch

    from lab.twins.notification import Message, Notification

_CHUNK: Final = 200
"""How many events are sent at a time, and the grain in which a rate is kept."""
_SEND_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the hub an event is put; neither: the service chooses, batch by batch."""

    partition_id: str | None = None
    partition_key: str | None = None


def anywhere(_: Notification) -> Place:
    """Leave the partition to the service, as Azure Digital Twins does as far as is known."""
    return Place()


def by_twin(notification: Notification) -> Place:
    """Keep a twin on one partition: its id is the key."""
    return Place(partition_key=notification.twin_id)


def on_partition(partition_id: str) -> Callable[[Notification], Place]:
    """Put everything on one partition."""
    place = Place(partition_id=partition_id)
    return lambda _: place


class Sender:
    """A producer on the ingress hub. Use it as an async context manager.

    Args:
        namespace: the fully qualified namespace.
        hub: the ingress hub.
        credential: the identity; see `lab.credential.managed_identity`.
        ca_file: the authority that the namespace's certificate is from.
        place: chooses the partition of each notification.
        render: chooses the shape, one of `Notification`'s three.
    """

    def __init__(
        self,
        namespace: str,
        hub: str,
        credential: AsyncTokenCredential,
        ca_file: str,
        *,
        place: Callable[[Notification], Place] = anywhere,
        render: Callable[[Notification], Message] | None = None,
    ) -> None:
        self._producer = EventHubProducerClient(
            namespace,
            hub,
            credential,
            connection_verify=ca_file,
            transport_type=TransportType.Amqp,
        )
        self._place = place
        self._render = render or (lambda notification: notification.as_amqp())

    async def __aenter__(self) -> Self:
        """Connect at the first send."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._producer.close()

    async def send(
        self, notifications: Iterable[Notification], *, rate: float | None = None
    ) -> int:
        """Send in the given order and return how many were sent.

        Args:
            notifications: finite.
            rate: events a second; as fast as possible without.
        """
        loop = asyncio.get_running_loop()
        started, sent = loop.time(), 0
        for chunk in batched(notifications, _grain(rate), strict=False):
            if rate is not None:
                await asyncio.sleep(max(0.0, started + sent / rate - loop.time()))
            await self._send_chunk(chunk)
            sent += len(chunk)
        return sent

    async def send_messages(
        self, messages: Iterable[Message], place: Place | None = None
    ) -> None:
        """Send messages as they are, malformed ones (`lab.twins.POISON`) among them."""
        await self._send_events([_event(message) for message in messages], place or Place())

    async def _send_chunk(self, chunk: Sequence[Notification]) -> None:
        for place, notifications in _by_place(chunk, self._place):
            events = [_event(self._render(notification)) for notification in notifications]
            await self._send_events(events, place)

    async def _send_events(self, events: Iterable[EventData], place: Place) -> None:
        batch = await self._batch(place)
        for event in events:
            try:
                batch.add(event)
            except ValueError:  # the batch is full
                await self._producer.send_batch(batch, timeout=_SEND_SECONDS)
                batch = await self._batch(place)
                batch.add(event)
        if len(batch):
            await self._producer.send_batch(batch, timeout=_SEND_SECONDS)

    async def _batch(self, place: Place) -> EventDataBatch:
        return await self._producer.create_batch(
            partition_id=place.partition_id, partition_key=place.partition_key
        )


def _grain(rate: float | None) -> int:
    """Return how many events go out at a time: at a rate, those of 50 ms."""
    return _CHUNK if rate is None else max(1, min(_CHUNK, round(rate / 20)))


def _by_place(
    chunk: Iterable[Notification], place: Callable[[Notification], Place]
) -> Iterator[tuple[Place, list[Notification]]]:
    """Group a chunk by its places, each in order."""
    placed: dict[Place, list[Notification]] = {}
    for notification in chunk:
        placed.setdefault(place(notification), []).append(notification)
    return iter(placed.items())


def _event(message: Message) -> EventData:
    event = EventData(message.body)
    event.properties.update(message.properties)
    if message.content_type is not None:
        event.content_type = message.content_type
    return event
