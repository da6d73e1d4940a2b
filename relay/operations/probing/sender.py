"""Sends a run's events into the landing hub, each until it is accepted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from azure.eventhub import TransportType
from azure.eventhub.aio import EventHubProducerClient

from relay.failures import DeliveryError
from relay.resources import resource_of
from relay.routing import Destination, Kind
from relay.settings import Connection, Transport
from relay.sinks.errors import translated
from relay.sinks.event_hub import message

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.identity import Identity
    from relay.operations.probing.run import Run
    from relay.operations.probing.tally import Number, Sent

_CALL: Final = 20.0
_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is sent.

    Attributes:
        count: events; `None` for as many as the time allows.
        seconds: after which no further is sent; `None` for as long as `count` takes.
        rate: events a second.
    """

    count: int | None
    seconds: float | None
    rate: float


class Ingress:
    """The landing hub, from the side of those who send.

    Attributes:
        retried: how often an event had to be sent again.
    """

    def __init__(
        self, connection: Connection, hub: str, identity: Identity, ca_file: str | None
    ) -> None:
        self.retried = 0
        self._connection = connection
        self._hub = hub
        self._identity = identity
        self._ca_file = ca_file
        self._resource = resource_of(Destination("", Kind.EVENT_HUB, hub), connection)
        self._client: EventHubProducerClient | None = None

    async def check(self) -> None:
        """Make sure that events may be sent, by opening a link.

        Raises:
            DeliveryError: they may not, or the hub is not there.
        """
        with translated(self._resource, self._identity):
            await self._identity.check(self._resource.audience)
            async with asyncio.timeout(_CALL):
                await self._producer().create_batch()

    async def send(
        self,
        run: Run,
        pace: Pace,
        sent: Sent,
        stop: asyncio.Event,
        say: Callable[[str], None],
    ) -> None:
        """Send a run's events one after the other, until it is over or to be stopped.

        An event is sent until it is accepted before the next one goes, so that every twin's
        arrive in order; what was in doubt may be there twice.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        count = 0
        while not stop.is_set() and (pace.count is None or count < pace.count):
            due = count / pace.rate
            if pace.seconds is not None and max(due, clock() - started) >= pace.seconds:
                return
            await _either(stop, started + due - clock())
            if not stop.is_set():
                await self._until_accepted(run, run.number(count), sent, stop, say)
            count += 1

    async def _until_accepted(
        self,
        run: Run,
        number: Number,
        sent: Sent,
        stop: asyncio.Event,
        say: Callable[[str], None],
    ) -> None:
        event = run.event(number)
        clock = asyncio.get_running_loop().time
        sent.at[number] = clock()
        while not stop.is_set():
            try:
                with translated(self._resource, self._identity):
                    async with asyncio.timeout(_CALL):
                        batch = await self._producer().create_batch(
                            partition_key=run.twin(number.twin)
                        )
                        batch.add(message(event))
                        await self._producer().send_batch(batch)
            except DeliveryError as error:
                say(f"sending again in {_PAUSE:g} s: {error}")
                self.retried += 1
                await self.close()
                await _either(stop, _PAUSE)
            else:
                sent.accepted.add(number)
                return

    async def close(self) -> None:
        """Let go of the connection; the next send makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _producer(self) -> EventHubProducerClient:
        if self._client is None:
            self._client = EventHubProducerClient(
                self._connection.namespace,
                self._hub,
                self._identity,
                transport_type=(
                    TransportType.AmqpOverWebsocket
                    if self._connection.transport is Transport.WEB_SOCKETS
                    else TransportType.Amqp
                ),
                connection_verify=self._ca_file,
                retry_total=0,
                retry_backoff_factor=0,
            )
        return self._client


async def _either(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until it is to be stopped."""
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return
