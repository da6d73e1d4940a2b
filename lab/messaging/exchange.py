"""Request and response over a pair of links: `$cbs` and `$management`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.messaging.codec import Int
from lab.messaging.message import Message, Properties, decode_message, value
from lab.messaging.node import Answer, Error, Refusal, Reply, Request
from lab.messaging.refusals import RESOURCE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.messaging.node import (
        Claim,
        Delivery,
        Link,
        Manager,
        Outcome,
        OutgoingLink,
        Peer,
    )

MOST_WAITING: Final = 1000
"""How many requests may wait; a client that asks more without reading loses its link."""

_log = logging.getLogger(__name__)


class Exchange:
    """One node's conversation with one session: requests in, replies out, in order."""

    def __init__(self, manager: Manager, peer: Peer) -> None:
        self._manager = manager
        self._peer = peer
        self._outlets: list[ReplyOutlet] = []
        self._waiting: deque[Message] = deque()
        self._worker: asyncio.Task[None] | None = None

    @property
    def claims(self) -> Sequence[Claim]:
        """What attaching needs."""
        return self._manager.claims

    def ask(self, request: Message) -> None:
        """Answer a request when those before it are answered; raises `Refusal` if too many."""
        if len(self._waiting) >= MOST_WAITING:
            raise Refusal(Error(RESOURCE_LIMIT, f"{MOST_WAITING} requests wait already."))
        self._waiting.append(request)
        if self._worker is None or self._worker.done():
            loop = asyncio.get_running_loop()
            self._worker = asyncio.Task(self._work(), loop=loop, eager_start=True)

    def join(self, outlet: ReplyOutlet) -> None:
        """Send replies there from now on."""
        self._outlets.append(outlet)

    def leave(self, outlet: ReplyOutlet) -> None:
        """Send no more replies there; without any outlet, requests are forgotten."""
        self._outlets.remove(outlet)
        if not self._outlets and self._worker is not None:
            self._waiting.clear()
            self._worker.cancel()

    async def _work(self) -> None:
        while self._waiting:
            request = self._waiting.popleft()
            self._send(request, await self._answer(request))

    async def _answer(self, request: Message) -> Reply:
        asked = Request(request.application_properties, request.value())
        try:
            return await self._manager.answer(asked, self._peer)
        except Refusal as refusal:
            return _failure(str(refusal))
        except Exception:  # noqa: BLE001 - a defect ends one request, not the lab
            _log.exception("a request could not be answered")
            return _failure("The lab could not answer; its log says why.")

    def _send(self, request: Message, reply: Reply) -> None:
        asked = request.properties or Properties()
        outlet = self._outlet(asked.reply_to or "")
        if outlet is not None:
            correlation = asked.correlation_id or asked.message_id
            outlet.send(
                Message(
                    properties=Properties(correlation_id=correlation),
                    application_properties=reply.properties,
                    body=value(reply.body),
                )
            )

    def _outlet(self, reply_to: str) -> ReplyOutlet | None:
        named = (each for each in self._outlets if each.address == reply_to)
        return next(named, self._outlets[-1] if self._outlets else None)


def _failure(text: str) -> Reply:
    """Return a refusal in both services' spellings: the exchange does not know which it is."""
    return Reply(
        {
            "status-code": Int(500),
            "status-description": text,
            "statusCode": Int(500),
            "statusDescription": text,
        }
    )


@dataclass(slots=True)
class RequestIntake:
    """Where a client's requests come in."""

    exchange: Exchange

    @property
    def claims(self) -> Sequence[Claim]:
        """What the node needs."""
        return self.exchange.claims

    async def open(self, link: Link) -> Answer:
        """Nothing is to be prepared."""
        del link
        return Answer()

    def take(self, delivery: Delivery) -> None:
        """Pass a request on."""
        self.exchange.ask(decode_message(delivery.payload))
        delivery.accept()

    def closed(self) -> None:
        """Nothing is to be forgotten: replies may still go out."""


class ReplyOutlet:
    """Where a client gets its replies."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._link: OutgoingLink | None = None
        self._waiting: deque[bytes] = deque()
        self.address = ""

    @property
    def claims(self) -> Sequence[Claim]:
        """What the node needs."""
        return self._exchange.claims

    async def open(self, link: OutgoingLink) -> Answer:
        """Learn where replies go."""
        self._link = link
        self.address = link.request.client_address
        self._exchange.join(self)
        return Answer()

    def send(self, reply: Message) -> None:
        """Send a reply as soon as there is credit."""
        self._waiting.append(reply.encode())
        self.credit()

    def credit(self) -> None:
        """Send what waits."""
        while self._link is not None and self._waiting and self._link.credit:
            self._link.send(self._waiting.popleft())

    def settled(self, tag: bytes, outcome: Outcome, *, settled: bool) -> None:
        """Replies are sent settled."""

    def closed(self) -> None:
        """Leave the conversation."""
        self._link = None
        self._exchange.leave(self)
