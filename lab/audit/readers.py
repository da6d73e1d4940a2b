"""Consumers of their own: read everything that a hub, a queue or a subscription holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from azure.eventhub import TransportType
from azure.eventhub.aio import EventHubConsumerClient
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusReceiveMode
from azure.servicebus import TransportType as ServiceBusTransportType
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import OperationTimeoutError
from azure.storage.blob.aio import ContainerClient

from lab.audit.observation import Received

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.eventhub import EventData
    from azure.eventhub.aio import PartitionContext
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusReceiver

    from lab.audit.observation import Key

_ENOUGH_SECONDS: Final = 60.0
_QUIET_SECONDS: Final = 1.0
_SURE_SECONDS: Final = 3.0
"""For the last look: on a busy machine a connection alone may take longer than a second."""
_ARRIVED_SECONDS: Final = 0.05
"""For what is here already: the SDK takes no wait of zero."""
_AT_ONCE: Final = 500
_SESSIONS_AT_ONCE: Final = 24
"""A session costs a connection of its own and most of a second, nearly all of it waiting."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a namespace: by an identity that may listen."""

    namespace: str
    credential: AsyncTokenCredential
    ca_file: str


async def read_hub(
    access: Access, hub: str, consumer_group: str = "$Default"
) -> list[Received]:
    """Read a hub from its beginning to what is its end now; `stream` is the partition.

    Raises:
        TimeoutError: not everything came within a minute.
        azure.eventhub.exceptions.EventHubError: the hub refused.
    """
    client = EventHubConsumerClient(
        access.namespace,
        hub,
        consumer_group,
        access.credential,
        connection_verify=access.ca_file,
        transport_type=TransportType.Amqp,
        retry_total=0,
        retry_backoff_factor=0,
    )
    async with client, asyncio.timeout(_ENOUGH_SECONDS):
        partitions = await client.get_partition_ids()
        reads = [_read_partition(client, partition) for partition in partitions]
        return [message for read in await asyncio.gather(*reads) for message in read]


async def _read_partition(client: EventHubConsumerClient, partition: str) -> list[Received]:
    state = await client.get_partition_properties(partition)
    if state["is_empty"]:
        return []
    reading = _Reading(state["last_enqueued_sequence_number"])
    receiving = asyncio.create_task(
        client.receive_batch(
            reading.take,
            partition_id=partition,
            starting_position="-1",
            max_batch_size=_AT_ONCE,
            on_error=reading.fail,
        )
    )
    try:
        return await reading.done
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


class _Reading:
    """Collects one partition's events up to a given sequence number."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._received: list[Received] = []
        self.done: asyncio.Future[list[Received]] = asyncio.get_running_loop().create_future()

    async def take(self, context: PartitionContext, events: list[EventData]) -> None:
        self._received += [_from_hub(context.partition_id, event) for event in events]
        reached = bool(events) and (events[-1].sequence_number or 0) >= self._last
        if reached and not self.done.done():
            self.done.set_result(self._received)

    async def fail(self, _: PartitionContext, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


async def read_queue(access: Access, queue: str, *, session: bool = False) -> list[Received]:
    """Take everything out of a queue; `stream` is the session, if it has sessions."""
    async with _service_bus(access) as client:
        return await _drain(partial(client.get_queue_receiver, queue), session=session)


async def read_subscription(
    access: Access, topic: str, subscription: str, *, session: bool = False
) -> list[Received]:
    """Take everything out of a topic's subscription; `stream` is the session, if it has any."""
    async with _service_bus(access) as client:
        receiver = partial(client.get_subscription_receiver, topic, subscription)
        return await _drain(receiver, session=session)


def _service_bus(access: Access) -> ServiceBusClient:
    return ServiceBusClient(
        access.namespace,
        access.credential,
        connection_verify=access.ca_file,
        transport_type=ServiceBusTransportType.Amqp,
        retry_total=0,  # that no session is left is an answer, not a fault
    )


type _Open = Callable[..., ServiceBusReceiver]


async def _drain(open_receiver: _Open, *, session: bool) -> list[Received]:
    taking = partial(open_receiver, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    async with asyncio.timeout(_ENOUGH_SECONDS):
        if not session:
            async with taking() as receiver:
                return await _empty(receiver, "")
        received: list[Received] = []
        while True:
            drains = (_drain_sessions(taking, _QUIET_SECONDS) for _ in range(_SESSIONS_AT_ONCE))
            received += [
                message for drain in await asyncio.gather(*drains) for message in drain
            ]
            missed = await _drain_sessions(taking, _SURE_SECONDS)
            if not missed:
                return received
            received += missed


async def _drain_sessions(open_receiver: _Open, wait: float) -> list[Received]:
    """Take one session after another until none comes within so many seconds."""
    received: list[Received] = []
    following = partial(open_receiver, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=wait)
    while True:
        try:
            async with following() as receiver:
                received += await _empty(receiver, receiver.session.session_id)
        except OperationTimeoutError:
            return received


async def _empty(receiver: ServiceBusReceiver, stream: str) -> list[Received]:
    """Take what a receiver can get; a peek tells at once whether anything is left.

    When nothing is, what was deleted by being sent has arrived before the peek's answer, since
    both come on one connection, and is given out by one more call.
    """
    received: list[Received] = []
    is_left = True
    while is_left:
        is_left = bool(await receiver.peek_messages(1))
        wait = _QUIET_SECONDS if is_left else _ARRIVED_SECONDS
        messages = await receiver.receive_messages(_AT_ONCE, max_wait_time=wait)
        received += [_from_service_bus(stream, message) for message in messages]
    return received


async def read_dead_letters(
    blob_service: str, container: str, credential: AsyncTokenCredential, ca_file: str
) -> dict[str, set[Key]]:
    """Return which events are kept as dead letters, by route: what a blob's name begins with.

    Raises:
        azure.core.exceptions.AzureError: storage refused.
    """
    kept: dict[str, set[Key]] = {}
    client = ContainerClient(
        blob_service, container, credential=credential, connection_verify=ca_file
    )
    async with client:
        async for name in client.list_blob_names():
            blob = await client.download_blob(name)
            route = name.partition("~")[0].removesuffix(".held")
            events = kept.setdefault(route, set())
            for event in json.loads(await blob.readall()):
                events.add((event["source"], event["id"]))
    return kept


def _from_hub(partition: str, event: EventData) -> Received:
    return Received(
        stream=partition,
        properties=_properties(event.properties),
        body=_body(event.body),
        content_type=_optional_text(event.content_type),
        message_id=_optional_text(event.message_id),
        enqueued=event.enqueued_time.timestamp() if event.enqueued_time else None,
    )


def _from_service_bus(stream: str, message: ServiceBusReceivedMessage) -> Received:
    return Received(
        stream=stream,
        properties=_properties(message.application_properties or {}),
        body=_body(message.body),
        content_type=_optional_text(message.content_type),
        message_id=_optional_text(message.message_id),
    )


def _properties(properties: Mapping[str | bytes, object]) -> dict[str, object]:
    return {_text(name): _decoded(value) for name, value in properties.items()}


def _decoded(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _optional_text(value: str | bytes | None) -> str | None:
    return None if value is None else _text(value)


def _body(sections: object) -> bytes:
    """Join the data sections of a body: the SDKs give bytes or something that yields bytes."""
    if isinstance(sections, bytes):
        return sections
    assert isinstance(sections, Iterable)
    return b"".join(sections)
