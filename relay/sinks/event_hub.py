"""Sends to an event hub: large batches, each on the partition the service would choose."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from azure.eventhub import EventData, EventDataBatch, TransportType, __version__
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from relay.failures import Reason
from relay.formats import amqp_binding
from relay.resources import resource_of
from relay.routing import fitting, key
from relay.sdk_errors import reason_of
from relay.settings import Transport
from relay.sinks.batches import fill
from relay.sinks.calls import CALL_SECONDS, Aside
from relay.sinks.direct import fill_with, is_alike
from relay.sinks.encoding import encoded, placed_by
from relay.sinks.errors import translated
from relay.sinks.key_hash import partition
from relay.sinks.producer import Producer, links_are_known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from relay.event import Event
    from relay.identity import Identity
    from relay.routing import Route
    from relay.settings import Connection

    type Fill = Callable[[EventDataBatch, str, Sequence[Event]], int]
    """Fills a batch that the service places by a key, or by none; says how many it took."""

VERSION: Final = __version__
"""Of azure-eventhub."""
_KNOWN: Final = "5.15."
"""The versions of azure-eventhub that are known to send what a batch holds."""
_KEEP_ALIVE: Final = 30
"""Seconds between signs of life: the service closes a connection that was silent for 240."""
_MAY_NOT_READ: Final = frozenset({Reason.FORBIDDEN, Reason.UNAUTHENTICATED})
_BY_KEY: Final = "key:"
_ASK_AGAIN: Final = 300.0
"""Seconds after which a hub's partitions are asked for again: some may have been added."""
_FEW: Final = 8
"""Events that go by their keys, one send each, while links to their partitions are opened."""


class EventHubSink:
    """Sends to one hub.

    A stream is a partition's id. Where the hub's partitions may not be read, it is a key, and
    the service places each key's batch, where the same partition is; where the route wants no
    order, there is one stream and the service spreads its batches. A few events go by key too
    as long as the way by partitions isn't open: they need no link but the one that is opened
    first in any case, while that way takes as long again
    ([why](../../docs/decisions/0021-links-ahead-of-events.md)).

    Args:
        route: whose destination it is.
        connection: the hub's namespace.
        identity: who sends.
        ca_file: a CA to trust instead of the public ones.
        fill_batch: fills a batch; by default as the SDK does it.
        producer: makes the SDK's client; a `Producer` opens links ahead.
    """

    def __init__(
        self,
        route: Route,
        connection: Connection,
        identity: Identity,
        ca_file: str | None,
        fill_batch: Fill | None = None,
        producer: type[EventHubProducerClient] = EventHubProducerClient,
    ) -> None:
        self._hub = route.destination.entity
        self._ordered = route.ordered
        self._connection = connection
        self._identity = identity
        self._ca_file = ca_file
        self._fill_batch = fill_batch or fill_publicly
        self._make_producer = producer
        self._client: EventHubProducerClient | None = None
        self._aside = Aside()
        self._partitions: tuple[str, ...] = ()
        self._ask_again = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._linked: set[str] = set()  # partitions that events go to directly
        self._linking: set[str] = set()
        self._was_let_in = False
        self._resource = resource_of(route.destination, connection)

    async def open(self, count: float = math.inf) -> None:
        """Get a token, and from time to time learn the hub's partitions.

        Only many events wait for these, and then go by partition from the first.
        """
        with translated(self._resource, self._identity):
            await self._identity.check(self._resource.audience)
            asking = self._ask() if self._ordered else None
            if count > _FEW and not self._partitions and asking is not None:
                await asyncio.shield(asking)
        if count > _FEW:
            self._linked.update(self._partitions)

    async def probe(self) -> None:
        """Learn the hub's partitions anew, and open a new link to it."""
        self._renew()
        self._partitions, self._ask_again = (), 0.0
        with translated(self._resource, self._identity):
            await self._identity.check(self._resource.audience)
            asking = self._ask() if self._ordered else None
            async with self._call() as producer:
                await producer.create_batch()
            self._was_let_in = True
            if asking is not None:
                await asyncio.shield(asking)

    def _ask(self) -> asyncio.Task[None] | None:
        """Ask for the hub's partitions in the background, unless that was done of late."""
        now = asyncio.get_running_loop().time()
        if self._asking is None and now >= self._ask_again:
            self._asking = self._aside.begin(self._learn())
        return self._asking

    async def _learn(self) -> None:
        try:
            self._partitions = await self._read_partitions()
            self._ask_again = asyncio.get_running_loop().time() + _ASK_AGAIN
        finally:
            if self._asking is asyncio.current_task():
                self._asking = None
        if not isinstance(self._client, Producer):
            self._linked.update(self._partitions)  # their links are opened by the first send

    async def _read_partitions(self) -> tuple[str, ...]:
        producer = self._producer()
        try:
            async with asyncio.timeout(CALL_SECONDS):  # over a connection that nobody else uses
                found = tuple(await producer.get_partition_ids())
        except EventHubError as error:
            if self._partitions or reason_of(error) in _MAY_NOT_READ:
                return self._partitions  # it may still send: that is found out by sending
            raise
        if isinstance(producer, Producer):
            producer.know(found)
        return found

    def stream(self, event: Event) -> str:
        """Return the partition of the event's key, or what stands in for it."""
        if not self._ordered:
            return ""
        chosen = key(event)
        place = self._partition(chosen)
        return place if place in self._linked else _BY_KEY + chosen

    def _partition(self, chosen: str) -> str:
        """Return the partition of a key, `""` where the hub's are not known."""
        partitions = self._partitions
        return partitions[partition(chosen, len(partitions))] if partitions else ""

    def _link(self, chosen: str) -> None:
        """Open in the background the link that the next events of a key take."""
        place = self._partition(chosen)
        if place and place not in self._linked | self._linking:
            self._linking.add(place)
            self._aside.begin(self._open_link(place))

    async def _open_link(self, place: str) -> None:
        producer = self._producer()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if isinstance(producer, Producer):
                    await producer.link(place)
            if self._client is producer:
                self._linked.add(place)
        finally:
            self._linking.discard(place)

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        """Send events of one stream in as few batches as the link allows."""
        accepted = 0
        while accepted < len(events):
            with translated(self._resource, self._identity, accepted=accepted):
                await self._identity.check(self._resource.audience)
                async with self._call() as producer:
                    batch = await producer.create_batch(**_placed(stream))
                count = self._fill_batch(batch, _key_of(stream), events[accepted:])
            with translated(self._resource, self._identity, accepted=accepted, suspects=count):
                await self._send_batch(stream, batch)
            accepted += count
            self._was_let_in = True
        if stream.startswith(_BY_KEY):
            self._link(_key_of(stream))

    async def _send_batch(self, stream: str, batch: EventDataBatch) -> None:
        """Send a batch; doubt a refusal by a hub that had let the client in before.

        When a link was closed, the SDK asks the hub's management node before it opens another
        and raises *its* error: where only Listen may read that node, a closed link looks like
        a missing role. A new client's first link tells the truth.
        """
        try:
            async with self._call() as producer:
                await producer.send_batch(batch)
        except EventHubError as error:
            if not self._was_let_in or reason_of(error) is not Reason.FORBIDDEN:
                raise
            self._renew()
            async with self._call() as producer:
                await producer.create_batch(**_placed(stream))
                await producer.send_batch(batch)

    def _renew(self) -> None:
        if self._client is not None:
            self._aside.close(self._client)
        self._client, self._was_let_in = None, False
        self._asking = None
        self._linked.clear()

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[EventHubProducerClient]:
        """Bound a call; a client whose call never ended is not used again."""
        producer = self._producer()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield producer
        except (TimeoutError, asyncio.CancelledError):
            if self._client is producer:
                self._renew()
            raise

    async def close(self) -> None:
        """Let go of connections; a later `open` makes new ones."""
        await self._aside.stop()
        client, self._client, self._partitions = self._client, None, ()
        self._ask_again = 0.0
        self._linked.clear()
        if client is not None:
            await client.close()

    def _producer(self) -> EventHubProducerClient:
        if self._client is None:
            self._client = self._make_producer(
                self._connection.namespace,
                self._hub,
                self._identity,
                transport_type=_TRANSPORT[self._connection.transport],
                connection_verify=self._ca_file,
                keep_alive=_KEEP_ALIVE,
                retry_total=0,
                retry_backoff_factor=0,
            )
            if isinstance(self._client, Producer) and self._partitions:
                self._client.know(self._partitions)
        return self._client


_TRANSPORT: Final = {
    Transport.AMQP: TransportType.Amqp,
    Transport.WEB_SOCKETS: TransportType.AmqpOverWebsocket,
}


def _placed(stream: str) -> dict[str, Any]:
    """Return how a batch is told where it belongs; nowhere in particular leaves it open."""
    if stream.startswith(_BY_KEY):
        return {"partition_key": _key_of(stream)}
    return {"partition_id": stream} if stream else {}


def _key_of(stream: str) -> str:
    """Return the partition key by which the service places a stream; `""` if by none."""
    return stream.removeprefix(_BY_KEY) if stream.startswith(_BY_KEY) else ""


def fill_publicly(batch: EventDataBatch, key: str, events: Sequence[Event]) -> int:  # noqa: ARG001 - the batch has it
    """Fill a batch in the SDK's own way; return how many events it took, see `fill`."""
    return fill(batch.add, message, events)


def fill_directly(batch: EventDataBatch, key: str, events: Sequence[Event]) -> int:
    """Do the same with ready bytes."""
    if not key:
        return fill_with(batch, encoded, events)
    before = placed_by(key)
    return fill_with(batch, lambda event: before + encoded(event), events)


@cache
def is_known() -> bool:
    """Whether the SDK is one whose batches may be filled, and links opened, directly."""
    if not (VERSION.startswith(_KNOWN) and links_are_known()):
        return False
    return all(
        is_alike(
            "azure.eventhub",
            partial(EventDataBatch, partition_key=key or None),
            fill_publicly,
            fill_directly,
            key,
        )
        for key in ("", "pump-17")
    )


def message(event: Event) -> EventData:
    """Write an event as Azure Digital Twins does, with its id as the message's."""
    data = EventData(event.data)
    data.properties = amqp_binding.encode(event)
    data.message_id = fitting(event.id)
    if content_type := event.text(amqp_binding.CONTENT_TYPE):
        data.content_type = content_type
    return data
