"""The stand-in for the Discovery API answers as Microsoft's REST reference says."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lab.certificates import issue
from lab.identity import Directory
from lab.service_tags import ServiceTagsDiscovery
from tests.relay.operations.tag_lists import a_list

PATH = (
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/providers/Microsoft.Network"
    "/locations/westeurope/serviceTags"
)
VERSION = "api-version=2023-09-01"
MANAGEMENT = "https://management.azure.com"


@dataclass
class World:
    directory: Directory
    discovery: ServiceTagsDiscovery
    ca_file: Path

    async def ask(self, path: str, audience: str = MANAGEMENT) -> tuple[int, Any]:
        token = self.directory.issue(self.directory.principal("relay"), audience)
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                self.discovery.url + path,
                headers={"Authorization": f"Bearer {token}"},
                ssl=ssl.create_default_context(cafile=self.ca_file),
            ) as reply,
        ):
            return reply.status, await reply.json()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    directory = Directory()
    relay = directory.register("relay", app="relay", system_assigned=True)
    tls = issue(tmp_path, ["127.0.0.1"])
    discovery = ServiceTagsDiscovery(directory, tls, a_list()["values"], page=4)
    discovery.readers.add(relay.object_id)
    await discovery.start()
    yield World(directory, discovery, tls.ca_file)
    await discovery.stop()


async def test_a_page_has_the_apis_shape_and_says_where_the_next_one_is(world: World) -> None:
    status, page = await world.ask(f"{PATH}?{VERSION}")
    first = page["values"][0]["properties"]

    assert (status, page["changeNumber"], len(page["values"])) == (200, "375", 4)
    assert (first["changeNumber"], "platform" in first) == ("52", False)
    status, last = await world.ask(page["nextLink"].removeprefix(world.discovery.url))
    assert (status, len(last["values"]), "nextLink" in last) == (200, 1, False)


@pytest.mark.parametrize(
    ("path", "audience", "status", "code"),
    [
        (f"{PATH}?{VERSION}", "https://storage.azure.com", 401, "InvalidAuthenticationToken"),
        (PATH, MANAGEMENT, 400, "MissingApiVersionParameter"),
        (f"{PATH}s?{VERSION}", MANAGEMENT, 404, "InvalidResourceType"),
    ],
)
async def test_errors_have_arms_shape(
    world: World, path: str, audience: str, status: int, code: str
) -> None:
    found, body = await world.ask(path, audience)

    assert (found, body["error"]["code"]) == (status, code)


async def test_who_may_not_read_the_subscription_is_named(world: World) -> None:
    world.discovery.readers.clear()
    status, body = await world.ask(f"{PATH}?{VERSION}")

    assert (status, body["error"]["code"]) == (403, "AuthorizationFailed")
    assert world.directory.principal("relay").object_id in body["error"]["message"]
