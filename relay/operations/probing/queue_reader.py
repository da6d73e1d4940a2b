"""Reads a queue or a subscription: what is not the run's is neither taken nor locked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from azure.servicebus import TransportType
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError

from relay.operations.probing.access import CALL
from relay.operations.probing.places import Kind

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusReceiver

    from relay.operations.probing.access import Access
    from relay.operations.probing.run import Run
    from relay.operations.probing.tally import Tally

_AT_ONCE: Final = 200
_PAUSE: Final = 0.5
_HELD: Final = 20.0
"""Seconds for which a session is held; its lock lasts for at least half as long again."""
_DEMANDS_SESSIONS: Final = ("amqp:not-allowed", "requires sessions")


class QueueReader:
    """Browses where there are no sessions; else takes the run's sessions, which are its own."""

    def __init__(self, access: Access, run: Run, tally: Tally) -> None:
        self._access = access
        self._run = run
        self._tally = tally
        self._has_sessions = False
        self._next = 1
        self._seen: set[int] = set()

    async def check(self) -> None:
        """Browse one message; a refusal tells that the entity has sessions.

        Raises:
            DeliveryError: the entity can't be read.
        """
        await self._access.check_token()
        with self._access.told():
            try:
                async with (
                    asyncio.timeout(CALL),
                    self._client() as client,
                    self._receiver(client) as receiver,
                ):
                    await receiver.peek_messages(1)
            except ServiceBusError as error:
                if not any(words in str(error) for words in _DEMANDS_SESSIONS):
                    raise
                self._has_sessions = True

    async def read(self) -> None:
        """Enter what is of the run, until cancelled or the reading breaks off.

        Raises:
            DeliveryError: it broke off; another `read` goes on where it was.
        """
        with self._access.told():
            async with self._client() as client:
                if not self._has_sessions:
                    await self._browse(client)
                await self._take_sessions(client)

    async def _browse(self, client: ServiceBusClient) -> None:
        async with self._receiver(client) as receiver:
            while True:
                async with asyncio.timeout(CALL):
                    found = await receiver.peek_messages(_AT_ONCE, sequence_number=self._next)
                for message in found:
                    self._enter(message)
                    self._next = (message.sequence_number or 0) + 1
                if not found:
                    await asyncio.sleep(_PAUSE)

    async def _take_sessions(self, client: ServiceBusClient) -> None:
        try:
            async with asyncio.TaskGroup() as reading:
                for session in self._run.sessions:
                    reading.create_task(self._take_session(client, session))
        except* Exception as errors:  # noqa: BLE001 - one tells enough, and is told in words
            raise errors.exceptions[0] from None

    async def _take_session(self, client: ServiceBusClient, session: str) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            async with self._receiver(client, session) as receiver:
                until = clock() + _HELD
                while clock() < until:
                    async with asyncio.timeout(CALL):
                        found = await receiver.receive_messages(_AT_ONCE, max_wait_time=1)
                    for message in found:
                        self._enter(message)
                        await receiver.complete_message(message)

    def _enter(self, message: ServiceBusReceivedMessage) -> None:
        """Enter a message once: one that could not be completed comes again."""
        number = self._run.recognise(message.application_properties)
        stored = message.sequence_number or 0
        if number is not None and stored not in self._seen:
            self._seen.add(stored)
            self._tally.arrived(number, asyncio.get_running_loop().time())

    def _receiver(self, client: ServiceBusClient, session: str = "") -> ServiceBusReceiver:
        place, chosen = self._access.place, session or None
        if place.kind is Kind.QUEUE:
            return client.get_queue_receiver(place.entity, session_id=chosen)
        return client.get_subscription_receiver(place.entity, place.reader, session_id=chosen)

    def _client(self) -> ServiceBusClient:
        web = self._access.over_web_sockets
        return ServiceBusClient(
            self._access.place.connection.namespace,
            self._access.identity,
            transport_type=TransportType.AmqpOverWebsocket if web else TransportType.Amqp,
            connection_verify=self._access.ca_file,
            retry_total=0,
            retry_backoff_factor=0,
        )
