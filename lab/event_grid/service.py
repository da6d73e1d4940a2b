"""Event Grid itself: where events are published, and the subscriptions that get them."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import aiohttp
from aiohttp import web

from lab.certificates import server_context
from lab.event_grid.dead_letters import Blobs
from lab.event_grid.delivery import Deliveries
from lab.event_grid.events import LARGEST, PublishRefused, published
from lab.event_grid.faults import TopicFaults
from lab.event_grid.handshake import HandshakeFailed, consents, question
from lab.event_grid.schedule import SOCKET_ERROR, TIMED_OUT, Outcome
from lab.event_grid.tokens import WebhookTokens
from lab.identity.directory import UnknownNameError
from lab.identity.tokens import TokenRefused
from lab.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.certificates import TlsFiles
    from lab.event_grid.dead_letters import Container
    from lab.event_grid.events import Request
    from lab.event_grid.model import Schema, Subscription, Topic
    from lab.identity.directory import Directory, Principal

RESOURCE: Final = "https://eventgrid.azure.net"
SEND: Final = "eventgrid/send"
PATIENCE_SECONDS: Final = 30.0
"""How long Event Grid waits for an answer."""


@dataclass(slots=True)
class Active:
    """A subscription with what is on its way to it.

    Attributes:
        state: `Succeeded`, or `AwaitingManualAction` while the webhook has not consented.
    """

    deliveries: Deliveries
    state: str
    running: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Deliver from now on."""
        self.state = "Succeeded"
        self.running = self.running or asyncio.create_task(self.deliveries.run())

    async def end(self) -> None:
        """Deliver nothing any more."""
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)


@dataclass(slots=True)
class _Served:
    """A topic with its subscriptions and its faults."""

    topic: Topic
    dead_letters: Container
    faults: TopicFaults = field(default_factory=TopicFaults)
    active: dict[str, Active] = field(default_factory=dict)


class EventGrid:
    """All topics of a lab, on one HTTPS address; paths are `/topics/<name>/api/events`.

    Args:
        directory: who issues tokens and says who may publish.
        topics: what there is.
        tls: the certificates of the lab.
        account_url: the storage account that takes dead letters.
        dead_letters: makes what takes the dead letters of a topic; by default the account's
            containers, written by the topic's own identity.
        time_scale: what delays and lives of events are multiplied by; not how long an answer
            is waited for.

    Attributes:
        tokens: what webhooks are shown.
    """

    def __init__(
        self,
        directory: Directory,
        topics: Sequence[Topic],
        tls: TlsFiles,
        *,
        account_url: Callable[[], str],
        dead_letters: Callable[[Topic], Container] | None = None,
        port: int = 0,
        time_scale: float = 1.0,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.tokens = WebhookTokens(directory)
        self.time_scale = time_scale
        self._directory = directory
        self._patience = patience_seconds
        identities = {each.name: _own(directory, each) for each in topics}

        def blobs(topic: Topic) -> Container:
            return Blobs(directory, identities[topic.name], account_url, tls.ca_file)

        letters = dead_letters or blobs
        self._served = {each.name: _Served(each, letters(each)) for each in topics}
        self._awaited: dict[str, Active] = {}
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post("/topics/{topic}/api/events", self._publish)
        app.router.add_route("*", "/validate/{code}", self._validate)
        self._server = HttpServer("Event Grid", app, port=port, tls=server_context(tls))

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url

    def endpoint(self, topic: str) -> str:
        """Return where events are published to a topic.

        Raises:
            UnknownNameError: there is no such topic.
        """
        return f"{self.url}/topics/{self._find(topic).topic.name}/api/events"

    def schema(self, topic: str) -> Schema:
        """Return what a topic takes.

        Raises:
            UnknownNameError: there is no such topic.
        """
        return self._find(topic).topic.schema

    def faults(self, topic: str) -> TopicFaults:
        """Return what makes a topic misbehave.

        Raises:
            UnknownNameError: there is no such topic.
        """
        return self._find(topic).faults

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: the port is taken.
        """
        await self._server.start()
        trust = ssl.create_default_context(cafile=self._tls.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=self._patience),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def stop(self) -> None:
        """End every subscription and listen no longer; what is pending is forgotten."""
        for served in self._served.values():
            for active in served.active.values():
                await active.end()
            served.active.clear()
        await self._server.stop()
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Subscriptions

    async def subscribe(self, topic: str, subscription: Subscription) -> Active:
        """Create a subscription: ask the webhook, then deliver what is published from now on.

        Raises:
            UnknownNameError: there is no such topic.
            ValueError: the topic has such a subscription, or can't deliver in its schema.
            HandshakeFailed: the webhook did not consent.
        """
        served = self._find(topic)
        if subscription.name in served.active:
            raise ValueError(f"{topic} has a subscription {subscription.name!r} already")
        if served.topic.schema == "CloudEventSchemaV1_0" != subscription.schema:
            raise ValueError(f"{topic} takes CloudEvents and delivers nothing else")
        active = Active(self._deliveries(served, subscription), "AwaitingManualAction")
        code = str(uuid4()).upper()
        self._awaited[code] = active
        if await self._ask(served.topic, subscription, code):
            active.begin()
        served.active[subscription.name] = active
        return active

    async def unsubscribe(self, topic: str, name: str) -> None:
        """End a subscription; what is pending is forgotten.

        Raises:
            UnknownNameError: there is no such topic or subscription.
        """
        await self.active(topic, name).end()
        del self._find(topic).active[name]

    def active(self, topic: str, name: str) -> Active:
        """Find a subscription.

        Raises:
            UnknownNameError: there is no such topic or subscription.
        """
        found = self._find(topic).active
        if name not in found:
            raise UnknownNameError(f"subscription of {topic}", name, found)
        return found[name]

    def _deliveries(self, served: _Served, subscription: Subscription) -> Deliveries:
        return Deliveries(
            subscription, self, served.dead_letters, served.faults, self.time_scale
        )

    async def _ask(self, topic: Topic, subscription: Subscription, code: str) -> bool:
        asked = question(topic, subscription, code, f"{self.url}/validate/{code}")
        headers = {**asked.headers, **self.tokens.header(subscription.audience)}
        try:
            async with self._client().request(
                asked.method,
                subscription.url,
                data=asked.body or None,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                return consents(subscription, code, answer.status, answer.headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            where = subscription.url.partition("?")[0]
            text = f"the webhook {where} does not answer the handshake: {error!r}"
            raise HandshakeFailed(text) from error

    # Delivery

    async def post(self, subscription: Subscription, request: Request) -> Outcome:
        """Send a request and return how that ended; never raises."""
        headers = {
            **request.headers,
            **dict(subscription.headers),
            **self.tokens.header(subscription.audience),
        }
        try:
            async with self._client().post(
                subscription.url,
                data=BytesIO(request.body),
                headers=headers,
                allow_redirects=False,
            ) as answer:
                await answer.read()
                return Outcome.of(answer.status)
        except TimeoutError:
            return TIMED_OUT
        except (aiohttp.ClientError, OSError):
            return SOCKET_ERROR

    def _client(self) -> aiohttp.ClientSession:
        assert self._session is not None, "Event Grid was not started"
        return self._session

    # Requests

    async def _publish(self, request: web.Request) -> web.Response:
        served = self._served.get(request.match_info["topic"])
        if served is None:
            return _problem(404, "The topic was not found.")
        refused = self._refuse(request, served.topic)
        if refused is not None:
            return refused
        fault = await served.faults.publishing.endure()
        if fault.status is not None:
            return _problem(fault.status, "The lab was told to refuse.")
        try:
            body = await request.read()
            events = published(served.topic, request.content_type, body)
        except web.HTTPRequestEntityTooLarge:
            return _problem(413, f"The request exceeds the limit of {LARGEST} bytes.")
        except PublishRefused as error:
            return _problem(error.status, str(error))
        for active in served.active.values():
            if active.running:
                active.deliveries.take(events)
        return web.Response()

    def _refuse(self, request: web.Request, topic: Topic) -> web.Response | None:
        if "aeg-sas-key" in request.headers or "aeg-sas-token" in request.headers:
            return _problem(401, "The topic takes no keys: local authentication is disabled.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _problem(401, "The request has no bearer token.")
        try:
            who = self._directory.verify(token.strip(), (RESOURCE,)).object_id
        except TokenRefused as refused:
            return _problem(401, refused.text)
        if not self._directory.allows(who, SEND, topic.resource_id):
            text = f"The principal {who} may not perform Microsoft.EventGrid/events/send/action"
            return _problem(403, f"{text} over {topic.resource_id}.")
        return None

    async def _validate(self, request: web.Request) -> web.Response:
        """Hear that a webhook consents that could not do so at once."""
        active = self._awaited.pop(request.match_info["code"], None)
        if active is None:
            return _problem(404, "There is nothing to validate.")
        active.begin()
        return web.Response(text="Webhook successfully validated as a subscription endpoint")

    # What is

    def struck(self) -> int:
        """Return how often faults have hit a publisher or a webhook so far."""
        found = [each.faults for each in self._served.values()]
        return sum(each.struck + each.publishing.struck for each in found)

    def state(self) -> Mapping[str, object]:
        """Return everything that can be seen, by topic; no key of a webhook."""
        return {name: self._state(served) for name, served in self._served.items()}

    def _state(self, served: _Served) -> Mapping[str, object]:
        return {
            "endpoint": self.endpoint(served.topic.name),
            "schema": served.topic.schema,
            "faults": served.faults.state(),
            "subscriptions": {
                name: {
                    "url": active.deliveries.subscription.url.partition("?")[0],
                    "state": active.state,
                    "pending": active.deliveries.pending,
                    **active.deliveries.counts,
                }
                for name, active in served.active.items()
            },
        }

    def _find(self, topic: str) -> _Served:
        if topic not in self._served:
            raise UnknownNameError("topic", topic, self._served)
        return self._served[topic]


def _own(directory: Directory, topic: Topic) -> Principal:
    """Return the topic's system-assigned identity."""
    return directory.register(topic.name, app=topic.name, system_assigned=True)


def _problem(status: int, text: str) -> web.Response:
    return web.json_response({"error": {"code": str(status), "message": text}}, status=status)
