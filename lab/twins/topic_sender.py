"""Publishes notifications to an Event Grid topic, in the schema that the topic takes.

Azure Digital Twins itself reaches a topic by the topic's key only; the lab knows no keys, so
this shows a token of its identity instead. What is published is the same.
"""

from __future__ import annotations

import ssl
from io import BytesIO
from typing import TYPE_CHECKING, Final, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from azure.core.credentials_async import AsyncTokenCredential

    from lab.event_grid.model import Schema
    from lab.twins.notification import Message, Notification

_SCOPE: Final = "https://eventgrid.azure.net/.default"


class PublishFailed(Exception):  # noqa: N818 - says what happened
    """The topic did not take an event; the message says what it answered."""


class TopicSender:
    """A publisher on a topic. Use it as an async context manager.

    Args:
        endpoint: where the topic takes events, `…/api/events`.
        credential: the identity; see `lab.credential.managed_identity`.
        ca_file: the authority that the topic's certificate is from.
        schema: the topic's.
    """

    def __init__(
        self, endpoint: str, credential: AsyncTokenCredential, ca_file: Path, schema: Schema
    ) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._ca_file = ca_file
        self._schema = schema
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Get ready; the connection is made at the first event."""
        trust = ssl.create_default_context(cafile=self._ca_file)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, notifications: Iterable[Notification]) -> int:
        """Publish in the given order, one a request, and return how many there were.

        Raises:
            PublishFailed: the topic refused one.
        """
        sent = 0
        for notification in notifications:
            await self.send_message(self._rendered(notification))
            sent += 1
        return sent

    async def send_message(self, message: Message) -> None:
        """Publish a message as it is.

        Raises:
            PublishFailed: the topic refused it.
        """
        assert self._session is not None, "use it as a context manager"
        token = await self._credential.get_token(_SCOPE)
        headers = {
            "Authorization": f"Bearer {token.token}",
            "Content-Type": message.content_type or "application/json",
        }
        async with self._session.post(
            self._endpoint, data=BytesIO(message.body), headers=headers
        ) as answer:
            if answer.status != 200:
                raise PublishFailed(f"{answer.status}: {await answer.text()}")

    def _rendered(self, notification: Notification) -> Message:
        if self._schema == "EventGridSchema":
            return notification.as_event_grid()
        return notification.as_structured()
