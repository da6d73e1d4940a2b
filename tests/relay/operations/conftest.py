"""A local Azure for the commands, and the commands in processes of their own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lab.identity import RESOURCE_GROUP
from lab.local_azure import LocalAzure
from lab.plan import free_block, plant_plan

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def the_sdks_are_heard_again() -> Iterator[None]:
    """A command silences the SDKs for its process, which here goes on with other tests."""
    logger = logging.getLogger("azure")
    level = logger.level
    yield
    logger.setLevel(level)


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Desk:
    """The plant's Azure, and an operator's terminal in the relay's app."""

    azure: LocalAzure

    def settings(self, **changes: str) -> dict[str, str]:
        routes = {"RELAY_ROUTES_FILE": "lab/demo/routes.json"}
        return self.azure.settings("relay") | routes | changes

    async def call(self, *arguments: str, **changes: str) -> Done:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "relay",
            *arguments,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "COLUMNS": "240"} | self.settings(**changes),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    state = tmp_path_factory.mktemp("desk")
    async with LocalAzure(plant_plan(free_block()), state) as azure:
        yield Desk(azure)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(shared_desk: Desk) -> AsyncIterator[Desk]:
    """One Azure for all of them; each finds it as the plan made it, with no Reader."""
    directory = shared_desk.azure.directory
    before = directory.assignments()
    yield shared_desk
    for each in directory.assignments():
        if each not in before:
            directory.revoke(each.object_id, each.role.id, each.scope)
    for each in before:
        directory.grant(each.object_id, each.role.id, each.scope)
    for name in ("ingress", "analytics", "operations"):
        shared_desk.azure.control.heal(name)


@pytest.fixture
def reader(desk: Desk) -> Desk:
    """Let the relay's identities ask Azure Resource Manager."""
    for name in ("relay", "relay-operations"):
        desk.azure.control.grant(name, "Reader", RESOURCE_GROUP)
    return desk
