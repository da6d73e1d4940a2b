"""A hub read by the Azure SDK, with checkpoints in Blob where the Functions host keeps them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import certifi
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import EventHubError
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient

from lab.functions.event_hub_data import MESSAGE_PROPERTIES, ReceivedEvent
from lab.functions.failures import SourceFailed
from lab.functions.reading import Reading
from lab.functions.sdk_values import texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.eventhub import EventData
    from azure.eventhub.aio import PartitionContext

    from lab.functions.event_hub_trigger import Handle

CHECKPOINTS: Final = "azure-webjobs-eventhub"
_START: Final = "-1"
_END: Final = "@latest"
# The SDK looks again after a failure in this time: never, that is this host's business.
_NEVER_SECONDS: Final = 86_400.0
_OWN_ANNOTATIONS: Final = {
    "x-opt-sequence-number",
    "x-opt-offset",
    "x-opt-enqueued-time",
    "x-opt-partition-key",
}
_TIMES: Final = {"absolute-expiry-time", "creation-time"}


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a trigger reads, and how it gets there.

    Attributes:
        checkpoints_url: the blob service of the host's storage account.
        ca_file: what to trust; `None` for the public authorities.
    """

    namespace: str
    hub: str
    consumer_group: str
    checkpoints_url: str
    ca_file: Path | None = None

    @property
    def trust(self) -> str:
        """The file of the authorities to trust, as the SDKs want it."""
        return str(self.ca_file) if self.ca_file else certifi.where()


class EventHubSource:
    """One hub, one consumer group, one reader a partition (`Source` of the trigger).

    Args:
        credential: the identity that reads the hub.
        storage_credential: the identity that keeps the checkpoints.
        prefetch: events asked for ahead in each partition.
        from_end: where to start in a partition without checkpoint.
    """

    def __init__(
        self,
        address: HubAddress,
        credential: AsyncTokenCredential,
        storage_credential: AsyncTokenCredential,
        *,
        prefetch: int,
        from_end: bool,
    ) -> None:
        self._address = address
        self._credential = credential
        self._storage_credential = storage_credential
        self._prefetch = prefetch
        self._start = _END if from_end else _START
        self._store = BlobCheckpointStore(
            address.checkpoints_url,
            CHECKPOINTS,
            credential=storage_credential,
            connection_verify=address.trust,
        )

    @property
    def namespace(self) -> str:
        """The hub's namespace."""
        return self._address.namespace

    @property
    def hub(self) -> str:
        """The hub's name."""
        return self._address.hub

    @property
    def consumer_group(self) -> str:
        """The consumer group."""
        return self._address.consumer_group

    async def partitions(self) -> Sequence[str]:
        """Return the ids of the hub's partitions, having made the checkpoints' container."""
        async with self._explained("its partitions cannot be read"), self._client() as client:
            await self._make_container()
            return await client.get_partition_ids()

    async def _make_container(self) -> None:
        container = ContainerClient(
            self._address.checkpoints_url,
            CHECKPOINTS,
            credential=self._storage_credential,
            connection_verify=self._address.trust,
        )
        async with container:
            try:
                await container.create_container()
            except ResourceExistsError:
                return

    async def receive(self, partition: str, limit: int, handle: Handle) -> None:
        """Hand the partition's events to `handle` until something fails."""
        reading = Reading(max(limit, self._prefetch))

        async def on_batch(_: PartitionContext, events: Sequence[EventData]) -> None:
            await reading.put([received(event) for event in events])

        async def on_error(_: PartitionContext | None, error: Exception) -> None:
            await reading.fail(error)

        async with self._explained(f"partition {partition} cannot be read"):
            position = await self._position(partition)
            async with self._client() as client:
                reader = client.receive_batch(
                    on_batch,
                    max_batch_size=limit,
                    partition_id=partition,
                    owner_level=0,
                    prefetch=self._prefetch,
                    starting_position=position,
                    on_error=on_error,
                )
                await reading.run(reader, limit, handle)

    async def _position(self, partition: str) -> str:
        found = await self._store.list_checkpoints(
            self.namespace, self.hub, self.consumer_group
        )
        offsets = {str(row["partition_id"]): str(row["offset"]) for row in found}
        return offsets.get(partition, self._start)

    async def checkpoint(self, partition: str, event: ReceivedEvent) -> None:
        """Write the event's offset and sequence number beside the partition's name."""
        async with self._explained(f"the checkpoint of {partition} cannot be written"):
            await self._store.update_checkpoint(
                {
                    "fully_qualified_namespace": self.namespace,
                    "eventhub_name": self.hub,
                    "consumer_group": self.consumer_group,
                    "partition_id": partition,
                    "sequence_number": event.sequence_number,
                    "offset": event.offset,
                }
            )

    async def close(self) -> None:
        """Close the store and both credentials."""
        await self._store.close()
        await self._credential.close()
        await self._storage_credential.close()

    def _client(self) -> EventHubConsumerClient:
        return EventHubConsumerClient(
            self.namespace,
            self.hub,
            self.consumer_group,
            self._credential,
            load_balancing_interval=_NEVER_SECONDS,
            retry_total=0,
            retry_backoff_factor=0,
            connection_verify=self._address.trust,
        )

    @asynccontextmanager
    async def _explained(self, what: str) -> AsyncIterator[None]:
        try:
            yield
        except (EventHubError, AzureError, OSError) as error:
            place = f"event hub {self.hub!r} in {self.namespace}"
            raise SourceFailed(f"{place}: {what}: {error}") from error


def received(event: EventData) -> ReceivedEvent:
    """Return what the SDK received."""
    message = event.raw_amqp_message
    annotations = texts(message.annotations or {})
    return ReceivedEvent(
        body=b"".join(event.body),  # type: ignore[arg-type]  # Event Hubs has data sections
        sequence_number=event.sequence_number or 0,
        offset=event.offset or "",
        enqueued_time=event.enqueued_time or datetime.fromtimestamp(0, UTC),
        partition_key=_partition_key(annotations),
        properties=texts(event.properties or {}),
        message_properties=_message_properties(event),
        annotations={
            name: value for name, value in annotations.items() if name not in _OWN_ANNOTATIONS
        },
    )


def _partition_key(annotations: Mapping[str, object]) -> str | None:
    key = annotations.get("x-opt-partition-key")
    return None if key is None else str(key)


def _message_properties(event: EventData) -> dict[str, object]:
    found = texts(event.system_properties)
    return {
        name: _moment(found[name]) if name in _TIMES else found[name]
        for name in MESSAGE_PROPERTIES
        if name in found
    }


def _moment(milliseconds: object) -> object:
    if isinstance(milliseconds, int):
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    return milliseconds
