"""Event Grid of the lab, a webhook that answers as it is told, and a publisher."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
from aiohttp import web

from lab.certificates import TlsFiles, server_context
from lab.event_grid import EventGrid, Subscription, Topic
from lab.event_grid.service import RESOURCE, Active
from lab.identity import Directory
from lab.serving import HttpServer

DEADLINE_SECONDS = 15.0
SENDER = "EventGrid Data Sender"
CLOUD, GRID = Topic("cloud"), Topic("grid", "EventGridSchema")
CODE = "the-secret-code"


def a_cloud_event(number: int = 1, **changes: object) -> dict[str, object]:
    return {
        "id": str(number),
        "source": "//plant",
        "specversion": "1.0",
        "type": "example",
        "data": {"number": number},
    } | changes


def an_event(number: int = 1, **changes: object) -> dict[str, object]:
    return {
        "id": str(number),
        "subject": "twin",
        "eventType": "example",
        "eventTime": "2026-11-21T12:00:00Z",
        "dataVersion": "1.0",
        "data": {"data": {"number": number}},
    } | changes


@dataclass(frozen=True)
class Seen:
    """A request that the webhook got."""

    method: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def events(self) -> list[Any]:
        content = json.loads(self.body)
        return content if isinstance(content, list) else [content]

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]


@dataclass
class Hook:
    """A webhook: it consents, and answers each delivery with the next status, then with 200."""

    statuses: list[int] = field(default_factory=list)
    consent: Callable[[web.Request, bytes], web.Response] | None = None
    seen: list[Seen] = field(default_factory=list)
    asked: list[Seen] = field(default_factory=list)
    waits: asyncio.Event | None = None
    url: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        seen = Seen(request.method, request.headers.copy(), body)
        if request.headers.get("aeg-event-type") != "Notification":
            self.asked.append(seen)
            return (self.consent or consenting)(request, body)
        self.seen.append(seen)
        self.changed.set()
        if self.waits is not None:
            await self.waits.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def until_seen(self, count: int) -> list[Seen]:
        await self.until(lambda: len(self.seen) >= count)
        return self.seen

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def consenting(request: web.Request, body: bytes) -> web.Response:
    if request.method == "OPTIONS":
        return web.Response(headers={"WebHook-Allowed-Origin": "eventgrid.azure.net"})
    code = json.loads(body)[0]["data"]["validationCode"]
    return web.json_response({"validationResponse": code})


@dataclass
class Letters:
    """A container in memory (`Container`)."""

    written: list[tuple[str, str, list[Mapping[str, Any]]]] = field(default_factory=list)
    fails: int = 0

    async def write(
        self, container: str, subscription: str, events: list[Mapping[str, Any]]
    ) -> bool:
        if self.fails:
            self.fails -= 1
            return False
        self.written.append((container, subscription, events))
        return True


@dataclass
class GridLab:
    grid: EventGrid
    directory: Directory
    hook: Hook
    letters: Letters
    trust: ssl.SSLContext

    async def subscribe(self, topic: str = "cloud", **changes: Any) -> Active:
        """Subscribe the webhook, in the topic's own schema unless told otherwise."""
        fields = {"name": "Sub", "url": self.hook.url, "schema": self.grid.schema(topic)}
        return await self.grid.subscribe(topic, Subscription(**(fields | changes)))

    async def publish(
        self, content: object, topic: str = "cloud", **headers: str
    ) -> tuple[int, str]:
        """Publish by the identity `plant`; return status and text."""
        plant = self.directory.principal("plant")
        kind = {"cloud": "application/cloudevents+json", "grid": "application/json"}[topic]
        if topic == "cloud" and isinstance(content, list):
            kind = "application/cloudevents-batch+json"
        given = {
            "Authorization": f"Bearer {self.directory.issue(plant, RESOURCE)}",
            "Content-Type": kind,
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                self.grid.endpoint(topic), data=BytesIO(body), headers=given, ssl=self.trust
            ) as answer,
        ):
            return answer.status, await answer.text()


async def until_counts(active: Active, **wanted: int) -> None:
    """Wait until a subscription's counts are these."""
    deliveries = active.deliveries
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not wanted.items() <= dict(deliveries.counts).items():
            deliveries.changed.clear()
            await deliveries.changed.wait()


@asynccontextmanager
async def a_grid(
    tls: TlsFiles, *, time_scale: float = 0.0005, patience_seconds: float = 30
) -> AsyncIterator[GridLab]:
    directory = Directory()
    plant = directory.register("plant", app="plant", system_assigned=True)
    letters = Letters()
    grid = EventGrid(
        directory,
        [CLOUD, GRID],
        tls,
        account_url=lambda: "https://127.0.0.1:1/none",
        dead_letters=lambda _: letters,
        time_scale=time_scale,
        patience_seconds=patience_seconds,
    )
    for topic in (CLOUD, GRID):
        directory.grant(plant.object_id, SENDER, topic.resource_id)
    hook = Hook()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.serve)
    server = HttpServer("the webhook", app, tls=server_context(tls))
    await server.start()
    hook.url = f"{server.url}/hook?code={CODE}"
    await grid.start()
    trust = ssl.create_default_context(cafile=tls.ca_file)
    try:
        yield GridLab(grid, directory, hook, letters, trust)
    finally:
        await grid.stop()
        await server.stop()
