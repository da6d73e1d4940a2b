"""Sends notifications to a Service Bus topic or queue, by the identity of Azure Digital Twins.

Azure Digital Twins itself writes to topics only, and sets no session as far as is known; a
queue or a session is what something in between would make of it.
"""

from __future__ import annotations

from itertools import batched
from typing import TYPE_CHECKING, Final, Self

from azure.servicebus import ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from azure.core.credentials_async import AsyncTokenCredential

    from lab.twins.notification import Message, Notification

    type Primitive = int | float | bytes | bool | str | UUID

_CHUNK: Final = 100
"""How many messages go out at a time: 100 are well below the megabyte of a batch."""


def by_twin_session(notification: Notification) -> str:
    """Make a session of every twin."""
    return notification.twin_id


class BusSender:
    """A sender to a topic or a queue. Use it as an async context manager.

    Args:
        namespace: the fully qualified namespace.
        entity: the topic or queue.
        credential: the identity; see `lab.credential.managed_identity`.
        ca_file: the authority that the namespace's certificate is from.
        session: chooses the session of each notification; without it there are none.
        render: chooses the shape, one of `Notification`'s three.
    """

    def __init__(
        self,
        namespace: str,
        entity: str,
        credential: AsyncTokenCredential,
        ca_file: str,
        *,
        session: Callable[[Notification], str] | None = None,
        render: Callable[[Notification], Message] | None = None,
    ) -> None:
        self._client = ServiceBusClient(
            namespace,
            credential,
            connection_verify=ca_file,
            transport_type=TransportType.Amqp,
        )
        # A topic is sent to as a queue is; what keeps an idle link alive delays its end.
        self._sender = self._client.get_queue_sender(entity, keep_alive=0)
        self._session = session
        self._render = render or (lambda notification: notification.as_amqp())

    async def __aenter__(self) -> Self:
        """Connect at the first send."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._sender.close()
        await self._client.close()

    async def send(self, notifications: Iterable[Notification]) -> int:
        """Send in the given order and return how many were sent."""
        sent = 0
        for chunk in batched(notifications, _CHUNK, strict=False):
            await self._sender.send_messages([self._message(each) for each in chunk])
            sent += len(chunk)
        return sent

    async def send_messages(
        self, messages: Iterable[Message], session: str | None = None
    ) -> None:
        """Send messages as they are, malformed ones (`lab.twins.POISON`) among them."""
        for message in messages:
            await self._sender.send_messages(_sent(message, session))

    def _message(self, notification: Notification) -> ServiceBusMessage:
        session = self._session(notification) if self._session else None
        return _sent(self._render(notification), session)


def _sent(message: Message, session: str | None) -> ServiceBusMessage:
    properties: dict[str | bytes, Primitive] = {}
    properties.update(message.properties)
    return ServiceBusMessage(
        message.body,
        application_properties=properties,
        content_type=message.content_type,
        session_id=session,
    )
