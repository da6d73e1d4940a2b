"""The Discovery API, asked by a managed identity over TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lab.certificates import issue
from lab.identity import Directory, IdentityEndpoint
from lab.service_tags import ServiceTagsDiscovery
from relay.failures import Reason
from relay.identity import Identity
from relay.observer import Fact, ServiceTagsLooked, ServiceTagsRefused
from relay.operations.cli import app
from relay.operations.service_tags import TagList, read_tags
from relay.operations.service_tags.discovery import DiscoveryError, discover
from relay.operations.service_tags.tags import tags_of
from relay.operations.service_tags.watch import Watch
from tests.relay.operations.tag_lists import a_list

SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"


@dataclass
class World:
    directory: Directory
    discovery: ServiceTagsDiscovery
    ca_file: str

    async def ask(self, location: str = "westeurope", **changes: Any) -> TagList:
        options = {"management": self.discovery.url, "ca_file": self.ca_file} | changes
        async with Identity() as identity:
            found, _ = await discover(identity, SUBSCRIPTION, location, **options)
        return found


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[World]:
    directory = Directory()
    relay = directory.register("relay", app="relay", system_assigned=True)
    endpoint = IdentityEndpoint(directory)
    tls = issue(tmp_path, ["127.0.0.1"])
    discovery = ServiceTagsDiscovery(directory, tls, a_list()["values"], page=2)
    discovery.readers.add(relay.object_id)
    await endpoint.start()
    await discovery.start()
    for name, value in endpoint.settings("relay").items():
        monkeypatch.setenv(name, value)
    yield World(directory, discovery, str(tls.ca_file))
    await discovery.stop()
    await endpoint.stop()


async def test_the_whole_list_is_had_page_by_page(world: World) -> None:
    found = await world.ask()

    assert found.tags == tags_of(a_list()).tags
    assert (found.cloud, found.change_number) == ("Public", 375)


async def test_what_came_can_be_kept_and_read_like_a_downloaded_file(world: World) -> None:
    async with Identity() as identity:
        found, written = await discover(
            identity,
            SUBSCRIPTION,
            "westeurope",
            management=world.discovery.url,
            ca_file=world.ca_file,
        )

    assert read_tags(json.dumps(written)) == found
    assert "nextLink" not in written


async def test_an_identity_without_the_role_is_told_which(world: World) -> None:
    world.discovery.readers.clear()
    with pytest.raises(DiscoveryError, match=r"answered 403: The client .* role Reader \(acdd"):
        await world.ask()


async def test_a_token_for_somebody_else_is_told_as_such(world: World) -> None:
    with pytest.raises(DiscoveryError, match="answered 401: InvalidAudience"):
        await world.ask(audience="https://storage.azure.com")


async def test_no_token_is_told_as_such(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(DiscoveryError, match="gave no list"):
        await world.ask()


async def test_a_location_that_is_none_is_told_as_such(world: World) -> None:
    with pytest.raises(DiscoveryError, match="answered 404"):
        await world.ask("west europe")


async def test_a_certificate_of_a_stranger_is_not_trusted(world: World, tmp_path: Path) -> None:
    stranger = issue(tmp_path / "stranger", ["127.0.0.1"])
    with pytest.raises(DiscoveryError, match="CERTIFICATE_VERIFY_FAILED"):
        await world.ask(ca_file=str(stranger.ca_file))


async def test_nobody_at_home_is_told_as_such(world: World) -> None:
    await world.discovery.stop()
    with pytest.raises(DiscoveryError, match="Cannot connect"):
        await world.ask()


@pytest.mark.parametrize(
    "tag", [{}, {"name": "AzureDigitalTwins", "properties": {"changeNumber": "x"}}]
)
async def test_an_answer_that_is_no_list_is_told_as_such(world: World, tag: Any) -> None:
    world.discovery.tags = [{"properties": {"changeNumber": 1}, **tag}]
    with pytest.raises(DiscoveryError, match="gave no list"):
        await world.ask()


async def test_the_token_is_never_sent_to_another_host(world: World) -> None:
    """A page names the next one; whoever forged it would be given the relay's token."""
    elsewhere = world.discovery.url.replace("127.0.0.1", "127.0.0.2")
    world.discovery.next_host = elsewhere
    with pytest.raises(DiscoveryError, match="at another host"):
        await world.ask()


async def test_the_watch_tells_what_changed_since_the_rules_were_made(world: World) -> None:
    facts: list[Fact] = []
    known = a_list()
    world.discovery.tags = a_list(
        [*known["values"][1]["properties"]["addressPrefixes"][1:], "203.0.113.0/29"]
    )["values"]
    await Watch(tags_of(known), world.ask, facts.append).look()

    assert facts == [
        ServiceTagsLooked("AzureDigitalTwins", ("203.0.113.0/29",), ("198.18.0.0/27",))
    ]


async def test_the_watch_tells_that_nothing_changed(world: World) -> None:
    facts: list[Fact] = []
    await Watch(tags_of(a_list()), world.ask, facts.append).look()

    assert facts == [ServiceTagsLooked("AzureDigitalTwins", (), ())]


async def a_look_in_vain(world: World) -> list[Fact]:
    facts: list[Fact] = []
    with pytest.raises(DiscoveryError):
        await Watch(tags_of(a_list()), world.ask, facts.append).look()
    return facts


async def test_the_watch_tells_that_a_role_is_missing(world: World) -> None:
    world.discovery.readers.clear()
    [fact] = await a_look_in_vain(world)

    assert isinstance(fact, ServiceTagsRefused)
    assert fact.error.reason is Reason.FORBIDDEN
    assert "role Reader (acdd72a7" in fact.error.detail


async def test_the_watch_tells_that_there_is_no_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    [fact] = await a_look_in_vain(world)

    assert isinstance(fact, ServiceTagsRefused)
    assert fact.error.reason is Reason.UNAUTHENTICATED


async def test_the_watch_takes_trouble_of_the_network_for_no_refusal(world: World) -> None:
    await world.discovery.stop()

    assert await a_look_in_vain(world) == []


async def fetch(world: World, file: Path) -> Result:
    """The command runs a loop of its own, hence in a thread."""
    arguments = ["--subscription", SUBSCRIPTION, "--location", "westeurope", "--json"]
    lab = ["--management", world.discovery.url, "--ca-file", world.ca_file]
    return await asyncio.to_thread(
        CliRunner().invoke, app, ["service-tags", "fetch", str(file), *arguments, *lab]
    )


async def test_the_command_writes_the_list_to_a_file(world: World, tmp_path: Path) -> None:
    file = tmp_path / "tags.json"
    done = await fetch(world, file)

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "file": str(file),
        "cloud": "Public",
        "changeNumber": 375,
    }
    assert read_tags(file.read_text()) == tags_of(a_list())


async def test_the_command_leaves_an_old_list_alone_when_refused(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "tags.json"
    file.write_text("old")
    world.discovery.readers.clear()
    done = await fetch(world, file)

    assert done.exit_code == 1
    assert "answered 403" in json.loads(done.stdout)["error"]
    assert file.read_text() == "old"
