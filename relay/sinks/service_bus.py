"""Sends to a Service Bus queue or topic."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from enum import IntEnum
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusMessageBatch,
    TransportType,
    __version__,
)
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError

from relay.formats import amqp_binding
from relay.resources import resource_of
from relay.routing import Kind, fitting, key
from relay.settings import Transport
from relay.sinks.batches import fill
from relay.sinks.calls import CALL_SECONDS, Aside
from relay.sinks.direct import fill_with, is_alike
from relay.sinks.encoding import encoded
from relay.sinks.errors import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from azure.servicebus.aio import ServiceBusSender

    from relay.event import Event
    from relay.identity import Identity
    from relay.routing import Destination
    from relay.settings import Connection

    type Fill = Callable[[ServiceBusMessageBatch, bool, Sequence[Event]], int]
    """Fills a batch, with sessions or without; says how many events it took."""

VERSION: Final = __version__
"""Of azure-servicebus."""
_KNOWN: Final = "7.15."
"""The versions of azure-servicebus that are known to send what a batch holds."""
_FRESH: Final = 180.0
"""Seconds for which an idle link is trusted; the service closes silent ones after 240."""


class _Together(IntEnum):
    """What an entity takes in one batch; a partitioned one tells only by refusing others."""

    NOTHING = 0
    ONE_SESSION = 1
    ALL = 2


_DEMANDS: Final = (
    ("messageid", _Together.NOTHING),  # partitioned, and it detects duplicates
    ("batching brokered messages with distinct", _Together.ONE_SESSION),
)
"""What a partitioned entity says of a batch, in lower case, and what it demands by that
(Azure/amqpnetlite#120, Azure/azure-service-bus#103, Azure/azure-sdk-for-python#36333)."""


class ServiceBusSink:
    """Sends to one queue or topic; it has one stream, in which all keeps its order.

    Args:
        destination: the entity, and whether messages carry a session id.
        connection: its namespace.
        identity: who sends.
        ca_file: a CA to trust instead of the public ones.
        fill_batch: fills a batch; by default as the SDK does it.
    """

    def __init__(
        self,
        destination: Destination,
        connection: Connection,
        identity: Identity,
        ca_file: str | None,
        fill_batch: Fill | None = None,
    ) -> None:
        self._destination = destination
        self._connection = connection
        self._identity = identity
        self._ca_file = ca_file
        self._fill_batch = fill_batch or fill_publicly
        self._client: ServiceBusClient | None = None
        self._sender: ServiceBusSender | None = None
        self._used = 0.0
        self._is_broken = False
        self._together = _Together.ALL
        self._aside = Aside()
        self._resource = resource_of(destination, connection)

    async def open(self, count: float = math.inf) -> None:  # noqa: ARG002 - one link for all
        """Get a token; the link is made by the first send."""
        with translated(self._resource, self._identity):
            await self._identity.check(self._resource.audience)

    async def probe(self) -> None:
        """Open a new link, to an entity of which nothing is known any more."""
        self._is_broken, self._together = True, _Together.ALL
        with translated(self._resource, self._identity):
            await self._identity.check(self._resource.audience)
            self._freshen()
            async with self._call() as sender:
                await sender.create_message_batch()

    def _freshen(self) -> None:
        """Let go of a link that sat idle for too long, or whose last call did not end well."""
        idle = asyncio.get_running_loop().time() - self._used
        if self._client is not None and (idle > _FRESH or self._is_broken):
            self._aside.close(self._client)
            self._client = self._sender = None

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[ServiceBusSender]:
        """Bound a call; trust the link again only when the call has ended well."""
        self._is_broken = True
        async with asyncio.timeout(CALL_SECONDS):
            yield self._open_sender()
        self._is_broken, self._used = False, asyncio.get_running_loop().time()

    def stream(self, event: Event) -> str:  # noqa: ARG002 - all go one way
        """Return the only stream."""
        return ""

    async def send(self, stream: str, events: Sequence[Event]) -> None:  # noqa: ARG002 - one
        """Send events in as few batches as the link allows and the entity takes."""
        accepted = 0
        while accepted < len(events):
            with translated(self._resource, self._identity, accepted=accepted):
                await self._identity.check(self._resource.audience)
                self._freshen()
                async with self._call() as sender:
                    batch = await sender.create_message_batch()
                some = self._some(events[accepted:])
                count = self._fill_batch(batch, self._destination.session, some)
            with translated(self._resource, self._identity, accepted=accepted, suspects=count):
                is_alone = self._together is _Together.NOTHING
                if await self._is_taken(self._message(some[0]) if is_alone else batch):
                    accepted += count

    def _some(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return the leading events that the entity takes together."""
        match self._together:
            case _Together.ALL:
                return events
            case _Together.ONE_SESSION:
                first = key(events[0])
                return list(takewhile(lambda event: key(event) == first, events))
            case _Together.NOTHING:
                return events[:1]

    async def _is_taken(self, batch: ServiceBusMessageBatch | ServiceBusMessage) -> bool:
        """Send a batch; false if the entity takes events, but not so many together."""
        try:
            async with self._call() as sender:
                await sender.send_messages(batch)
        except ServiceBusError as error:
            said = str(error).lower()
            demand = next((demand for words, demand in _DEMANDS if words in said), None)
            if demand is None or demand >= self._together:
                raise
            self._together = demand
            return False
        return True

    def _message(self, event: Event) -> ServiceBusMessage:
        return message(event, session=self._destination.session)

    async def close(self) -> None:
        """Let go of the connection; a later `open` makes a new one."""
        client, self._client, self._sender = self._client, None, None
        if client is not None:
            await client.close()

    def _open_sender(self) -> ServiceBusSender:
        if self._sender is None:
            self._client = ServiceBusClient(
                self._connection.namespace,
                self._identity,
                transport_type=_TRANSPORT[self._connection.transport],
                connection_verify=self._ca_file,
                retry_total=0,
                retry_backoff_factor=0,
            )
            entity = self._destination.entity
            self._sender = (
                self._client.get_queue_sender(entity)
                if self._destination.kind is Kind.QUEUE
                else self._client.get_topic_sender(entity)
            )
        return self._sender


_TRANSPORT: Final = {
    Transport.AMQP: TransportType.Amqp,
    Transport.WEB_SOCKETS: TransportType.AmqpOverWebsocket,
}


def message(event: Event, *, session: bool) -> ServiceBusMessage:
    """Write an event as Azure Digital Twins does, with its id as the message's."""
    return ServiceBusMessage(
        event.data,
        application_properties=amqp_binding.encode(event),
        content_type=event.text(amqp_binding.CONTENT_TYPE) or None,
        message_id=fitting(event.id),
        session_id=key(event) if session else None,
    )


def fill_publicly(
    batch: ServiceBusMessageBatch,
    session: bool,  # noqa: FBT001 - of a `Fill`
    events: Sequence[Event],
) -> int:
    """Fill a batch in the SDK's own way; return how many events it took, see `fill`."""
    return fill(batch.add_message, lambda event: message(event, session=session), events)


def fill_directly(
    batch: ServiceBusMessageBatch,
    session: bool,  # noqa: FBT001 - of a `Fill`
    events: Sequence[Event],
) -> int:
    """Do the same with ready bytes; the first marks the batch, which the SDK sees to."""
    first, rest = events[:1], events[1:]
    fill_publicly(batch, session, first)
    write = _encoded_in_session if session else encoded
    return len(first) + fill_with(batch, write, rest, held=len(first))


def _encoded_in_session(event: Event) -> bytes:
    return encoded(event, key(event))


@cache
def is_known() -> bool:
    """Whether the SDK is one whose batches may be filled directly."""
    return VERSION.startswith(_KNOWN) and all(
        is_alike(
            "azure.servicebus", ServiceBusMessageBatch, fill_publicly, fill_directly, session
        )
        for session in (False, True)
    )
