"""The Service Bus trigger: peek-lock, one invocation a message or a batch, then its settlement.

As ServiceBusListener and the processors of Azure.Messaging.ServiceBus do it: a message is
completed when the function succeeds and abandoned when it fails, so that the entity delivers it
again at once and dead-letters it after its last delivery. Locks are renewed for functions of
single messages, never for batches; that of a session counts from when it was accepted. A retry
policy is not heeded.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from lab.functions.failures import LockLost, SourceFailed, WorkerDied
from lab.functions.messages import Answer
from lab.functions.service_bus_data import CannotBindError, batch, single

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from lab.functions.host_json import ServiceBusOptions
    from lab.functions.metadata import Function
    from lab.functions.service_bus_data import ReceivedMessage
    from lab.functions.trigger import Host
    from lab.functions.trigger_data import TriggerData

# How long a source that failed is left alone.
_PAUSE_SECONDS: Final = 1.0


class Receiver(Protocol):
    """An open link to the entity, or to one of its sessions."""

    async def receive(self, limit: int, seconds: float) -> Sequence[ReceivedMessage]:
        """Return at most `limit` messages as soon as there are some; none after `seconds`.

        Raises:
            LockLost: the session is another's by now.
            SourceFailed: nothing can be received now.
        """

    def renewed(
        self, seconds: float, message: ReceivedMessage | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Renew the lock of a message, or of the session, in the context and for so long."""

    async def complete(self, message: ReceivedMessage) -> None:
        """Let the message be gone.

        Raises:
            LockLost: its lock has run out; it comes again.
            SourceFailed: nobody can be told now; it comes again.
        """

    async def abandon(self, message: ReceivedMessage) -> None:
        """Let the message be delivered again at once.

        Raises:
            LockLost: its lock has run out; it comes again.
            SourceFailed: nobody can be told now; it comes again.
        """


class Source(Protocol):
    """A queue, a subscription or a dead-letter sub-queue."""

    @property
    def entity(self) -> str:
        """Its path."""

    def receiver(self) -> AbstractAsyncContextManager[Receiver]:
        """Open a link to it; raises `SourceFailed`."""

    def next_session(self, seconds: float) -> AbstractAsyncContextManager[Receiver | None]:
        """Hold the next session that is free; None when there was none in that time.

        Raises:
            SourceFailed: none can be had now.
        """

    async def close(self) -> None:
        """Let go of every connection."""


@dataclass(frozen=True, slots=True)
class ServiceBusTrigger:
    """Drives one function from one queue or subscription.

    Attributes:
        binary: whether bodies go to the function as bytes (`data_type="binary"`).
        many: whether batches do (`cardinality="many"`), or single messages.
        sessions: whether the entity's sessions are received (`is_sessions_enabled=True`).
        options: what host.json and the function say of it.
    """

    function: Function
    source: Source
    host: Host
    binary: bool
    many: bool
    sessions: bool
    options: ServiceBusOptions

    async def run(self) -> None:
        """Receive until cancelled; what is under way then stays locked for its time."""
        # Batches come from one session after another, single messages from several at once.
        readers = 1 if self.many else self.options.max_concurrent_sessions
        try:
            async with asyncio.TaskGroup() as reading:
                for _ in range(readers if self.sessions else 1):
                    reading.create_task(self._read())
        finally:
            await self.source.close()

    @property
    def _idle_seconds(self) -> float:
        return self.options.session_idle_timeout.total_seconds() * self.host.time_scale

    @property
    def _renewal_seconds(self) -> float:
        return self.options.max_auto_lock_renewal_duration.total_seconds()

    @property
    def _limit(self) -> int:
        return self.options.max_message_batch_size if self.many else 1

    async def _read(self) -> None:
        while True:
            try:
                await (self._read_session() if self.sessions else self._read_entity())
            except LockLost as error:
                self.host.log(logging.WARNING, f"{self.function.name}: {error}")
            except SourceFailed as error:
                self.host.log(logging.ERROR, f"{self.function.name}: {error}")
                await asyncio.sleep(_PAUSE_SECONDS * self.host.time_scale)

    async def _read_session(self) -> None:
        """Take one session's messages in order, and let it go when no more come."""
        async with (
            self.source.next_session(self._idle_seconds) as receiver,
            AsyncExitStack() as lock,
        ):
            if receiver and not self.many:
                await lock.enter_async_context(receiver.renewed(self._renewal_seconds))
            while receiver and (
                found := await receiver.receive(self._limit, self._idle_seconds)
            ):
                await self._handle(receiver, found)

    async def _read_entity(self) -> None:
        async with self.source.receiver() as receiver:
            await (self._one_by_one if self.many else self._side_by_side)(receiver)

    async def _one_by_one(self, receiver: Receiver) -> None:
        while True:
            if found := await receiver.receive(self._limit, self._idle_seconds):
                await self._handle(receiver, found)

    async def _side_by_side(self, receiver: Receiver) -> None:
        """Run as many invocations at once as are allowed, until the link fails.

        Those under way are finished, whatever becomes of the link meanwhile: were they
        dropped, the function would go on with messages that are delivered anew.
        """
        busy: set[asyncio.Task[None]] = set()
        failed: SourceFailed | None = None
        async with asyncio.TaskGroup() as calls:
            while failed is None:
                try:
                    found = await self._free_for(receiver, busy)
                except SourceFailed as error:
                    failed = error
                    continue
                for message in found:
                    call = calls.create_task(self._handle_renewed(receiver, message))
                    busy.add(call)
                    call.add_done_callback(busy.discard)
        raise failed

    async def _free_for(
        self, receiver: Receiver, busy: set[asyncio.Task[None]]
    ) -> Sequence[ReceivedMessage]:
        """Return the next messages, no more than may be handled beside those under way."""
        most = self.options.max_concurrent_calls
        if len(busy) == most:
            await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
        return await receiver.receive(most - len(busy), self._idle_seconds)

    async def _handle_renewed(self, receiver: Receiver, message: ReceivedMessage) -> None:
        async with receiver.renewed(self._renewal_seconds, message):
            await self._handle(receiver, [message])

    async def _handle(self, receiver: Receiver, messages: Sequence[ReceivedMessage]) -> None:
        answer = await self._invoke(messages)
        if not answer.succeeded:
            await self._settle(receiver.abandon, messages)
        elif self.options.auto_complete_messages:
            await self._settle(receiver.complete, messages)

    async def _settle(
        self,
        settle: Callable[[ReceivedMessage], Awaitable[None]],
        messages: Sequence[ReceivedMessage],
    ) -> None:
        for message in messages:
            try:
                await settle(message)
            except (LockLost, SourceFailed) as error:
                self.host.log(logging.ERROR, f"{self.function.name}: {error}")

    async def _invoke(self, messages: Sequence[ReceivedMessage]) -> Answer:
        try:
            data = self._data(messages)
            return await self.host.invoke(self.function, data.input, data.metadata)
        except (CannotBindError, WorkerDied) as error:
            self.host.log(logging.ERROR, f"{self.function.name}: {error}")
            return Answer(error=f"{type(error).__name__}: {error}")

    def _data(self, messages: Sequence[ReceivedMessage]) -> TriggerData:
        if self.many:
            return batch(messages, binary=self.binary)
        return single(messages[0], binary=self.binary)
