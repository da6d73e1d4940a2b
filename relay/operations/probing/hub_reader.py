"""Reads a hub by a consumer group, each partition from where it ended when the run began."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from azure.eventhub import TransportType
from azure.eventhub.aio import EventHubConsumerClient

from relay.failures import DeliveryError, Reason
from relay.operations.probing.access import CALL

if TYPE_CHECKING:
    from azure.eventhub import EventData
    from azure.eventhub.aio import PartitionContext

    from relay.operations.probing.access import Access
    from relay.operations.probing.run import Run
    from relay.operations.probing.tally import Tally

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

        Raises:
            DeliveryError: the hub or the group can't be read.
        """
        await self._access.check_token()
        with self._access.told():
            async with asyncio.timeout(CALL), self._client() as client:
                for partition in await client.get_partition_ids():
                    state = await client.get_partition_properties(partition)
                    end = state["last_enqueued_sequence_number"]
                    begin = _BEGINNING if state["is_empty"] else end
                    self._positions.setdefault(partition, begin)
        try:
            await self._open_link(next(iter(self._positions)))
        except DeliveryError as error:
            raise self._named(error) from error

    async def _open_link(self, partition: str) -> None:
        """Open a link of the group and close it.

        It takes what is not public of the SDK: whose public `receive` tries for ever, and tells
        nobody, as long as its link is refused (azure-eventhub 5.15, `_receive_task`).
        """
        with self._access.told():
            async with asyncio.timeout(CALL), self._client() as client:
                consumer = client._create_consumer(  # noqa: SLF001
                    self._access.place.reader, partition, "@latest", _ignore
                )
                try:
                    await consumer._open()  # noqa: SLF001
                except Exception as error:
                    raise await consumer._handle_exception(error) from error  # noqa: SLF001
                finally:
                    await consumer.close()

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
        """Enter what is of the run, until cancelled; the SDK reconnects as often as it must.

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
        """Read one partition; a link that broke is left, for the SDK would begin anew."""
        clock = asyncio.get_running_loop().time
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def take(_: PartitionContext, events: list[EventData]) -> None:
            for event in events:
                number = self._run.recognise(event.properties)
                if number is not None:
                    self._tally.arrived(number, clock())
                self._positions[partition] = event.sequence_number or 0

        async def fail(_: PartitionContext, error: Exception) -> None:
            if not broken.done():
                broken.set_exception(error)

        client = self._client()
        receiving = asyncio.create_task(
            client.receive_batch(
                take,
                partition_id=partition,
                starting_position=self._positions[partition],
                on_error=fail,
            )
        )
        try:
            with self._access.told():
                await broken
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


async def _ignore(_: PartitionContext, __: EventData) -> None:
    """Take nothing: nothing is received."""
