"""A queue or a subscription read by the Azure SDK, peek-lock."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import certifi
from azure.core.exceptions import AzureError
from azure.servicebus import NEXT_AVAILABLE_SESSION
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageLockLostError,
    OperationTimeoutError,
    SessionLockLostError,
)

from lab.functions.failures import LockLost, SourceFailed
from lab.functions.sdk_values import plain, texts
from lab.functions.service_bus_data import ReceivedMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusReceiver

# A lock is renewed when half of it is over, and ten seconds before its end at the latest.
_RENEW_BEFORE_SECONDS: Final = 10.0
_DEAD_LETTER_SOURCE: Final = "x-opt-deadletter-source"


@dataclass(frozen=True, slots=True)
class BusAddress:
    """Where a trigger receives, and how it gets there.

    Attributes:
        queue: a queue, or a topic if there is a subscription; `<queue>/$DeadLetterQueue` too.
        ca_file: what to trust; `None` for the public authorities.
    """

    namespace: str
    queue: str
    subscription: str = ""
    ca_file: Path | None = None

    @property
    def entity(self) -> str:
        """The entity's path."""
        if self.subscription:
            return f"{self.queue}/Subscriptions/{self.subscription}"
        return self.queue


class SdkReceiver:
    """One link of the SDK's (`Receiver` of the trigger)."""

    def __init__(self, receiver: ServiceBusReceiver, place: str) -> None:
        self._receiver = receiver
        self._place = place
        self._held: dict[str, ServiceBusReceivedMessage] = {}

    async def receive(self, limit: int, seconds: float) -> Sequence[ReceivedMessage]:
        """Return at most `limit` messages as soon as there are some; none after `seconds`."""
        async with _explained(self._place, "nothing can be received"):
            found = await self._receiver.receive_messages(limit, seconds)
        self._held.update({str(each.lock_token): each for each in found})
        return [received(each) for each in found]

    @asynccontextmanager
    async def renewed(
        self, seconds: float, message: ReceivedMessage | None = None
    ) -> AsyncIterator[None]:
        """Renew the lock of a message, or of the session, for so long."""
        held = self._held[message.lock_token] if message else None
        renewing = asyncio.create_task(self._renew(held, seconds))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})

    async def _renew(self, message: ServiceBusReceivedMessage | None, seconds: float) -> None:
        lock = message or self._receiver.session
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # What can't be renewed is lost: that shows when the message is settled.
        with suppress(AzureError, OSError, ValueError):
            while True:
                left = _left(lock.locked_until_utc)
                pause = max(left - min(left / 2, _RENEW_BEFORE_SECONDS), 0)
                if loop.time() + pause > end:
                    return
                await asyncio.sleep(pause)
                if message:
                    await self._receiver.renew_message_lock(message)
                else:
                    await self._receiver.session.renew_lock()

    async def complete(self, message: ReceivedMessage) -> None:
        """Let the message be gone."""
        await self._settle(self._receiver.complete_message, message, "complete")

    async def abandon(self, message: ReceivedMessage) -> None:
        """Let the message be delivered again at once."""
        await self._settle(self._receiver.abandon_message, message, "abandon")

    async def _settle(
        self,
        settle: Callable[[ServiceBusReceivedMessage], Awaitable[None]],
        message: ReceivedMessage,
        verb: str,
    ) -> None:
        what = f"cannot {verb} message {message.sequence_number}"
        async with _explained(self._place, what):
            await settle(self._held.pop(message.lock_token))


class ServiceBusSource:
    """One queue or subscription (`Source` of the trigger).

    Args:
        credential: the identity that receives.
        prefetch: messages asked for ahead by each receiver.
    """

    def __init__(
        self, address: BusAddress, credential: AsyncTokenCredential, *, prefetch: int
    ) -> None:
        self._address = address
        self._credential = credential
        self._prefetch = prefetch
        self._client = ServiceBusClient(
            address.namespace,
            credential,
            retry_total=0,
            connection_verify=str(address.ca_file) if address.ca_file else certifi.where(),
        )

    @property
    def entity(self) -> str:
        """The entity's path."""
        return self._address.entity

    @property
    def _place(self) -> str:
        return f"{self.entity!r} in {self._address.namespace}"

    @asynccontextmanager
    async def next_session(self, seconds: float) -> AsyncIterator[SdkReceiver | None]:
        """Hold the next session that is free; None when there was none in that time."""
        options = {"session_id": NEXT_AVAILABLE_SESSION, "max_wait_time": seconds}
        async with self._opened(self._receiver(**options)) as receiver:
            yield receiver

    @asynccontextmanager
    async def receiver(self) -> AsyncIterator[SdkReceiver]:
        """Open a link to the entity."""
        async with self._opened(self._receiver()) as receiver:
            if receiver is None:
                raise SourceFailed(f"{self._place}: it did not open in time")
            yield receiver

    @asynccontextmanager
    async def _opened(self, receiver: ServiceBusReceiver) -> AsyncIterator[SdkReceiver | None]:
        async with _explained(self._place, "it cannot be opened"), AsyncExitStack() as opened:
            opened.push_async_callback(_closed, receiver)
            try:
                await opened.enter_async_context(receiver)
            except OperationTimeoutError:
                found = None
            else:
                found = SdkReceiver(receiver, self._place)
            opened.pop_all()
        try:
            yield found
        finally:
            await _closed(receiver)

    def _receiver(self, **options: Any) -> ServiceBusReceiver:
        settings = {"prefetch_count": self._prefetch, **options}
        if self._address.subscription:
            return self._client.get_subscription_receiver(
                self._address.queue, self._address.subscription, **settings
            )
        return self._client.get_queue_receiver(self._address.queue, **settings)

    async def close(self) -> None:
        """Close every link and the credential."""
        await self._client.close()
        await self._credential.close()


def _left(until: datetime | None) -> float:
    return (until - datetime.now(UTC)).total_seconds() if until else 0.0


async def _closed(receiver: ServiceBusReceiver) -> None:
    """Close a link, though its end may not be heard any more."""
    with suppress(AzureError, OSError):
        await receiver.close()


@asynccontextmanager
async def _explained(place: str, what: str) -> AsyncIterator[None]:
    try:
        yield
    except (MessageLockLostError, SessionLockLostError) as error:
        raise LockLost(f"{place}: {what}: {error}") from error
    except (AzureError, OSError) as error:
        raise SourceFailed(f"{place}: {what}: {error}") from error


def received(message: ServiceBusReceivedMessage) -> ReceivedMessage:
    """Return what the SDK received, as .NET sees it."""
    return ReceivedMessage(
        body=_body(message),
        sequence_number=message.sequence_number or 0,
        lock_token=str(message.lock_token),
        enqueued_time=message.enqueued_time_utc or datetime.fromtimestamp(0, UTC),
        delivery_count=(message.delivery_count or 0) + 1,
        expires_at=message.expires_at_utc,
        message_id=message.message_id,
        session_id=message.session_id,
        content_type=message.content_type,
        correlation_id=message.correlation_id,
        subject=message.subject,
        to=message.to,
        reply_to=message.reply_to,
        reply_to_session_id=message.reply_to_session_id,
        partition_key=message.partition_key,
        dead_letter_source=_dead_letter_source(message),
        properties=_properties(message),
    )


def _body(message: ServiceBusReceivedMessage) -> bytes | str | None:
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    value = plain(message.body) if message.body_type == AmqpMessageBodyType.VALUE else None
    return value if isinstance(value, bytes | str) else None


def _properties(message: ServiceBusReceivedMessage) -> dict[str, object]:
    return texts(message.application_properties or {})


def _dead_letter_source(message: ServiceBusReceivedMessage) -> str | None:
    source = texts(message.raw_amqp_message.annotations or {}).get(_DEAD_LETTER_SOURCE)
    return None if source is None else str(source)
