"""How late events came to a hub: a consumer that looks only at when each was enqueued."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from azure.eventhub import TransportType
from azure.eventhub.aio import EventHubConsumerClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.eventhub import EventData
    from azure.eventhub.aio import PartitionContext

    from lab.audit import Access, Key

type Times = dict[Key, float]
"""When an event was enqueued first, seconds since 1970."""

_ENOUGH_SECONDS: Final = 60.0


async def read_times(access: Access, hub: str, consumer_group: str) -> Times:
    """Read when each event of a hub was enqueued; what is no event in binary mode is left out.

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
    times: Times = {}
    async with client, asyncio.timeout(_ENOUGH_SECONDS):
        partitions = await client.get_partition_ids()
        await asyncio.gather(*(_read(client, partition, times) for partition in partitions))
    return times


def worst_delay(sent: Mapping[Key, float], arrived: Mapping[Key, float]) -> float | None:
    """Return the seconds that the slowest event took, `None` if none arrived."""
    return max((arrived[key] - sent[key] for key in sent.keys() & arrived.keys()), default=None)


async def _read(client: EventHubConsumerClient, partition: str, times: Times) -> None:
    state = await client.get_partition_properties(partition)
    if state["is_empty"]:
        return
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    last = state["last_enqueued_sequence_number"]

    async def take(_: PartitionContext, events: list[EventData]) -> None:
        for event in events:
            _note(event, times)
            if (event.sequence_number or 0) >= last and not ended.done():
                ended.set_result(None)

    async def fail(_: PartitionContext, error: Exception) -> None:
        if not ended.done():
            ended.set_exception(error)

    receiving = asyncio.create_task(
        client.receive_batch(
            take, partition_id=partition, starting_position="-1", on_error=fail
        )
    )
    try:
        await ended
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


def _note(event: EventData, times: Times) -> None:
    said = event.properties or {}
    source, event_id = (said.get(name) for name in (b"cloudEvents:source", b"cloudEvents:id"))
    if isinstance(source, bytes) and isinstance(event_id, bytes) and event.enqueued_time:
        key = source.decode(), event_id.decode()
        moment = event.enqueued_time.timestamp()
        times[key] = min(moment, times.get(key, moment))
