"""Reads a hub by a consumer group, each partition from where it ended when the run began."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

from azure.eventhub import TransportType
from azure.eventhub.aio import EventHubConsumerClient

from relay.failures import DeliveryError, Reason
from relay.operations.probing.access import CALL
from relay.sinks.errors import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from azure.eventhub import EventData
    from azure.eventhub.aio import PartitionContext

    from relay.operations.probing.access import Access
    from relay.operations.probing.run import Run
    from relay.operations.probing.tally import Tally

type Take = Callable[[PartitionContext, list[EventData]], Awaitable[None]]

_BEGINNING: Final = "-1"


class HubReader:
    """Reads without an epoch, so that no other reader of the group is driven out."""

    def __init__(self, access: Access, run: Run, tally: Tally) -> None:
        self._access = access
        self._run = run
        self._tally = tally
        self._positions: dict[str, int | str] = {}

    async def check(self) -> None:
        """Ask for the hub's ends, then open a link by the consumer group.

        With retries, the SDK says nothing of a consumer group that is missing; without, it
        does, within a second.

        Raises:
            DeliveryError: the hub or the group can't be read.
        """
        await self._access.check_token()
        with self._access.told():
            async with asyncio.timeout(CALL), self._client() as client:
                for partition in await client.get_partition_ids():
                    state = await client.get_partition_properties(partition)
                    empty = state["is_empty"]
                    last = state["last_enqueued_sequence_number"]
                    self._positions[partition] = _BEGINNING if empty else last
        try:
            async with asyncio.timeout(CALL):
                await self._open_link(next(iter(self._positions)))
        except DeliveryError as error:
            raise self._named(error) from error

    async def _open_link(self, partition: str) -> None:
        """Return when a link of the group is open: the SDK then tells that nothing came."""
        is_open = asyncio.Event()

        async def take(_: PartitionContext, __: list[EventData]) -> None:
            is_open.set()

        async with self._receiving(partition, take) as broken:
            opened: asyncio.Future[object] = asyncio.ensure_future(is_open.wait())
            both: list[asyncio.Future[object]] = [
                opened,
                cast("asyncio.Future[object]", broken),
            ]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            opened.cancel()
            if broken.done():
                broken.result()

    def _named(self, error: DeliveryError) -> DeliveryError:
        if error.reason is not Reason.NOT_FOUND:
            return error
        place = self._access.place
        namespace = place.resource.account
        text = (
            f"{namespace}/{place.entity} has no consumer group {place.reader!r}. To mend it: "
            f"az eventhubs eventhub consumer-group create --name '{place.reader}' "
            f"--eventhub-name '{place.entity}' --namespace-name '{namespace}' "
            "--resource-group '<resource-group>'"
        )
        return DeliveryError(Reason.NOT_FOUND, text)

    async def read(self) -> None:
        """Enter what is of the run, until cancelled or the reading breaks off.

        Raises:
            DeliveryError: it broke off; another `read` goes on where it was.
        """
        try:
            async with asyncio.TaskGroup() as reading:
                for partition in self._positions:
                    reading.create_task(self._follow(partition))
        except* DeliveryError as errors:
            raise errors.exceptions[0] from errors

    async def _follow(self, partition: str) -> None:
        clock = asyncio.get_running_loop().time

        async def take(_: PartitionContext, events: list[EventData]) -> None:
            for event in events:
                number = self._run.recognise(event.properties)
                if number is not None:
                    self._tally.arrived(number, clock())
                self._positions[partition] = event.sequence_number or 0

        async with self._receiving(partition, take) as broken:
            await broken

    @asynccontextmanager
    async def _receiving(
        self, partition: str, take: Take
    ) -> AsyncIterator[asyncio.Future[None]]:
        """Receive meanwhile; the future fails when the link does."""
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def fail(_: PartitionContext, error: Exception) -> None:
            if not broken.done():
                broken.set_exception(error)

        client = self._client()
        receiving = asyncio.create_task(
            client.receive_batch(
                take,
                partition_id=partition,
                starting_position=self._positions[partition],
                max_wait_time=1,
                on_error=fail,
            )
        )
        try:
            with translated(self._access.place.resource, self._access.identity):
                yield broken
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            await client.close()

    def _client(self) -> EventHubConsumerClient:
        place = self._access.place
        web = self._access.over_web_sockets
        return EventHubConsumerClient(
            place.connection.namespace,
            place.entity,
            place.reader,
            self._access.identity,
            transport_type=TransportType.AmqpOverWebsocket if web else TransportType.Amqp,
            connection_verify=self._access.ca_file,
            retry_total=0,
            retry_backoff_factor=0,
        )
