"""An instance of Azure Digital Twins behind the proxy, and people who may and may not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.certificates import issue
from lab.identity import RESOURCE_GROUP, Directory
from lab.twins_data_plane import TwinsDataPlane
from relay.observer import Fact
from relay.operations.bodies import Bodies
from relay.operations.twins_proxy import TwinsProxy
from relay.settings import TwinsInstance

INSTANCE = f"{RESOURCE_GROUP}/providers/Microsoft.DigitalTwins/digitalTwinsInstances/plant"
OWNER = "bcd981a7-7f74-457b-83e1-cceb9e632ffe"
READER = "d57506d4-4c8d-48b1-8587-93c323f6a5a3"
AUDIENCE = "https://digitaltwins.azure.net"
VERSION = "api-version=2023-10-31"


@dataclass(frozen=True)
class Request:
    """A request as the Functions worker hands it over."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def get_body(self) -> bytes:
        return self.body


@dataclass
class World:
    directory: Directory
    plane: TwinsDataPlane
    ca_file: str
    facts: list[Fact] = field(default_factory=list)

    def reset(self) -> None:
        """One twin, `pump-17`, two endpoints, and nothing that was seen."""
        self.plane.twins = {"pump-17": {"$dtId": "pump-17", "pressure": 4}}
        self.plane.seen.clear()
        self.plane.paths.clear()
        self.plane.flow = None
        self.plane.flow_headers = {}
        self.plane.heard = None
        self.plane.surplus = {}
        self.plane.faults.fault = None
        self.plane.left.clear()
        self.plane.endpoints = {"landing": "Succeeded", "other": "Succeeded"}
        self.plane.event_routes = {}

    def token(self, name: str, audience: str = AUDIENCE) -> str:
        return self.directory.issue(self.directory.principal(name), audience)


@asynccontextmanager
async def a_world(directory: Path) -> AsyncIterator[World]:
    """One owner, one reader, one stranger; a twin `pump-17`."""
    people = Directory()
    for name in ("owner", "reader", "stranger"):
        people.register(name, app=name, system_assigned=True)
    people.grant(people.principal("owner").object_id, OWNER, INSTANCE)
    people.grant(people.principal("reader").object_id, READER, INSTANCE)
    tls = issue(directory / "tls", ["127.0.0.1"])
    plane = TwinsDataPlane(people, tls, INSTANCE)
    world = World(people, plane, str(tls.ca_file))
    world.reset()
    await plane.start()
    try:
        yield world
    finally:
        await plane.stop()


@asynccontextmanager
async def a_proxy(
    world: World, origins: set[str], bodies: Bodies | None = None
) -> AsyncIterator[TwinsProxy]:
    proxy = TwinsProxy(
        TwinsInstance(world.plane.url, frozenset(origins)),
        world.facts.append,
        ca_file=world.ca_file,
        bodies=bodies,
    )
    try:
        yield proxy
    finally:
        await proxy.close()


def body_of(written: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(written)
    return found
