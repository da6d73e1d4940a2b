"""A Service Bus namespace of the lab and the real SDK beside it, for the tests of this room."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import SystemRandom
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from azure.core.credentials import AccessToken
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
)
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from lab.certificates import TlsFiles, issue
from lab.identity import ROLES, Directory, Principal
from lab.messaging.broker import Broker
from lab.messaging.message import Header, Message, Properties, data
from lab.messaging.model import Entity, Namespace
from lab.messaging.node import Error, LinkRequest

OWNER, SENDER, RECEIVER = (
    next(each.id for each in ROLES if each.name == f"Azure Service Bus Data {kind}")
    for kind in ("Owner", "Sender", "Receiver")
)


@dataclass
class Identity:
    """A credential that asks the directory itself."""

    directory: Directory
    principal: Principal
    audience: str = "https://servicebus.azure.net/"

    async def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return AccessToken(
            self.directory.issue(self.principal, self.audience), int(time.time()) + 3600
        )

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None: ...


@dataclass
class ServiceBusLab:
    broker: Broker
    directory: Directory
    namespace: Namespace
    principal: Principal
    ca_file: Path

    def client(self, **options: object) -> ServiceBusClient:
        """The SDK's client, without retries unless they are asked for."""
        credential = options.pop("credential", Identity(self.directory, self.principal))
        settings = {"retry_total": 0, "connection_verify": str(self.ca_file)} | options
        return ServiceBusClient(self.namespace.address, credential, **settings)

    @asynccontextmanager
    async def sender(self, path: str, **options: object) -> AsyncIterator[ServiceBusSender]:
        """A sender to a queue (for a topic the protocol is the same), opened with its link."""
        client = self.client(**options)
        # Without keep-alive, whose end takes up to a second.
        async with client, client.get_queue_sender(path, keep_alive=0) as sender:
            yield sender

    @asynccontextmanager
    async def receiver(
        self, path: str, subscription: str | None = None, **options: object
    ) -> AsyncIterator[ServiceBusReceiver]:
        """A receiver from a queue or a subscription, opened with its link."""
        client = self.client()
        receiver = (
            client.get_queue_receiver(path, **options)
            if subscription is None
            else client.get_subscription_receiver(path, subscription, **options)
        )
        async with client, receiver:
            yield receiver
            stop_keeping_alive(receiver)

    async def drain(
        self, path: str, count: int, subscription: str | None = None, **options: object
    ) -> list[str]:
        """Receive and delete so many messages; return their bodies."""
        deleting = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        settings = {
            "receive_mode": deleting,
            "prefetch_count": count,
            "keep_alive": 0,
        } | options
        found: list[str] = []
        async with self.receiver(path, subscription, **settings) as receiver:
            while len(found) < count:
                messages = await receiver.receive_messages(count - len(found), 10)
                assert messages
                found += bodies(messages)
        return found

    def grant(self, role_id: str, *below: str) -> None:
        self.directory.grant(self.principal.object_id, role_id, self.namespace.scope(*below))

    def revoke(self, role_id: str, *below: str) -> None:
        self.directory.revoke(self.principal.object_id, role_id, self.namespace.scope(*below))

    def counts(self, path: str) -> Mapping[str, int]:
        state = self.broker.state()[self.namespace.name]
        return state["entities"][path]

    async def send(self, path: str, *bodies: str, **options: object) -> None:
        """Send messages as one batch."""
        async with self.sender(path) as sender:
            messages = [ServiceBusMessage(body, **options) for body in bodies]
            await sender.send_messages(messages, timeout=10)

    def put(self, path: str, *bodies: str, **properties: object) -> None:
        """Let messages be there, without a sender, which would take half a second."""
        ttl = properties.pop("ttl_ms", None)
        mine = properties.pop("application_properties", {})
        for body in bodies:
            message = Message(
                header=Header(ttl=ttl),
                properties=Properties(**properties),
                application_properties=mine,
                body=data(body.encode()),
            )
            delivery = Put(message.encode())
            service = self.broker._sites[self.namespace.name].service
            service.intake(LinkRequest("test", path)).take(delivery)


@dataclass
class Put:
    """What a sender's link would deliver."""

    payload: bytes
    message_format: int = 0

    def accept(self) -> None: ...

    def reject(self, error: Error) -> None:
        raise AssertionError(error)


def stop_keeping_alive(receiver: ServiceBusReceiver) -> None:
    """Stop what only listens once in a while: a receiver's end waits up to a second for it."""
    handler = receiver._handler
    if handler is not None and handler._keep_alive_thread is not None:
        handler._keep_alive_thread.cancel()
        handler._keep_alive_thread = None


@asynccontextmanager
async def a_lab(*entities: Entity, role: str | None = OWNER) -> AsyncIterator[ServiceBusLab]:
    """Serve these entities to one identity that has `role` on the namespace."""
    address, tls, keys = _place()
    directory = Directory(keys)
    principal = directory.register("relay", app="relay")
    namespace = Namespace("operations", "servicebus", address, entities)
    broker = Broker(directory, [namespace], tls)
    lab = ServiceBusLab(broker, directory, namespace, principal, tls.ca_file)
    if role is not None:
        lab.grant(role)
    await broker.start()
    try:
        yield lab
    finally:
        await broker.stop()


@cache
def _place() -> tuple[str, TlsFiles, Path]:
    """An address of this process alone, with its certificate; keys are slow to make."""
    pick = SystemRandom().randrange
    address = f"127.{pick(64, 128)}.{pick(256)}.{pick(1, 255)}"
    directory = Path(mkdtemp(prefix="twin-relay-test-"))
    return address, issue(directory, [address]), directory


def bodies(messages: list[ServiceBusReceivedMessage]) -> list[str]:
    return [str(message) for message in messages]
