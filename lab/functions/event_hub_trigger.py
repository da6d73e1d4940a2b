"""The Event Hubs trigger: batches, the retry policy around them, checkpoints after it.

One invocation at a time in a partition, the partitions side by side. A batch is checkpointed
when the retry policy has ended, whether or not the function succeeded; not when the host
stops, and not when the worker died: then the partition is read again from its checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from lab.functions import retry
from lab.functions.event_hub_data import Partition, batch, single
from lab.functions.failures import SourceFailed, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from lab.functions.event_hub_data import ReceivedEvent
    from lab.functions.messages import Answer, RetryState
    from lab.functions.metadata import Function
    from lab.functions.trigger import Host
    from lab.functions.trigger_data import TriggerData

type Handle = Callable[[Sequence[ReceivedEvent]], Awaitable[None]]
"""Takes a batch and returns when it is settled."""

# How long a source that failed is left alone.
_PAUSE_SECONDS: Final = 1.0


class Source(Protocol):
    """A hub as one consumer group sees it, with its checkpoints."""

    @property
    def namespace(self) -> str:
        """The hub's namespace."""

    @property
    def hub(self) -> str:
        """The hub's name."""

    @property
    def consumer_group(self) -> str:
        """The consumer group."""

    async def partitions(self) -> Sequence[str]:
        """Return the ids of the hub's partitions.

        Raises:
            SourceFailed: they cannot be read now.
        """

    async def receive(self, partition: str, limit: int, handle: Handle) -> None:
        """Hand a partition's events to `handle`, from its checkpoint on, for ever.

        Batches hold at least one and at most `limit` events; the next one comes when
        `handle` has returned.

        Raises:
            SourceFailed: the partition cannot be read now.
            Exception: whatever `handle` raised.
        """

    async def checkpoint(self, partition: str, event: ReceivedEvent) -> None:
        """Remember that everything up to `event` is done.

        Raises:
            SourceFailed: it cannot be written now.
        """

    async def close(self) -> None:
        """Let go of every connection."""


@dataclass(frozen=True, slots=True)
class EventHubTrigger:
    """Drives one function from one hub.

    Attributes:
        binary: whether bodies go to the function as bytes (`data_type="binary"`).
        many: whether batches do (`cardinality="many"`), or single events.
        batch_size: the most events in one invocation.
    """

    function: Function
    source: Source
    host: Host
    binary: bool
    many: bool
    batch_size: int

    async def run(self) -> None:
        """Read every partition until cancelled."""
        try:
            async with asyncio.TaskGroup() as partitions:
                for id_ in await self._partitions():
                    partitions.create_task(self._read(id_))
        finally:
            await self.source.close()

    async def _partitions(self) -> Sequence[str]:
        while True:
            try:
                return await self.source.partitions()
            except SourceFailed as error:
                await self._pause(error)

    async def _read(self, id_: str) -> None:
        partition = Partition(
            self.source.namespace, self.source.hub, self.source.consumer_group, id_
        )
        handle = partial(self._settle, partition)
        while True:
            try:
                await self.source.receive(id_, self.batch_size, handle)
            except SourceFailed as error:
                await self._pause(error)
            except WorkerDied as error:
                self.host.log(
                    logging.WARNING,
                    f"{self.function.name}: {error}; partition {id_} of {self.source.hub} is"
                    " read again from its checkpoint",
                )

    async def _pause(self, error: SourceFailed) -> None:
        self.host.log(logging.ERROR, f"{self.function.name}: {error}")
        await asyncio.sleep(_PAUSE_SECONDS * self.host.time_scale)

    async def _settle(self, partition: Partition, events: Sequence[ReceivedEvent]) -> None:
        for data in self._data(partition, events):
            await retry.run(
                self.function.retry,
                partial(self._invoke, data),
                self._say_retry,
                time_scale=self.host.time_scale,
            )
        await self.source.checkpoint(partition.id, events[-1])

    def _data(
        self, partition: Partition, events: Sequence[ReceivedEvent]
    ) -> Sequence[TriggerData]:
        if self.many:
            return [batch(events, partition, binary=self.binary)]
        return [single(event, partition, binary=self.binary) for event in events]

    async def _invoke(self, data: TriggerData, state: RetryState | None) -> Answer:
        return await self.host.invoke(self.function, data.input, data.metadata, state)

    def _say_retry(self, state: RetryState, delay: timedelta) -> None:
        self.host.log(
            logging.WARNING,
            f"{self.function.name}: retry {state.count} of {state.maximum} in {delay}"
            f" after {state.error}",
        )
