from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from azure.core.exceptions import HttpResponseError
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob.aio import ContainerClient

from lab.audit import read_dead_letters
from lab.credential import managed_identity
from lab.local_azure import LocalAzure
from lab.plan import DEAD_LETTERS

pytestmark = pytest.mark.asyncio(loop_scope="session")


def identity(azure: LocalAzure, app: str) -> ManagedIdentityCredential:
    settings = azure.access(app)
    return managed_identity(settings["IDENTITY_ENDPOINT"], settings["IDENTITY_HEADER"])


def event(number: int) -> dict[str, object]:
    return {"specversion": "1.0", "source": "plant", "id": str(number), "type": "t"}


BLOBS = {
    "changes~hub=2F0/2026/01/05/08/a.json": [event(1), event(2)],
    "changes.held~hub=2F1/2026/01/05/09/b.json": [event(2), event(3)],
    "alarms~hub=2F0/2026/01/05/08/c.json": [event(1)],
}


@pytest_asyncio.fixture(loop_scope="session")
async def filled(azure: LocalAzure) -> AsyncIterator[LocalAzure]:
    """Dead letters that the relay's identity has written."""
    async with (
        identity(azure, "relay") as relay,
        ContainerClient(
            azure.storage.url,
            DEAD_LETTERS,
            credential=relay,
            connection_verify=str(azure.tls.ca_file),
        ) as container,
    ):
        for name, events in BLOBS.items():
            await container.upload_blob(name, json.dumps(events))
        yield azure
        for name in BLOBS:
            await container.delete_blob(name)


async def test_dead_letters_are_read_by_route(filled: LocalAzure) -> None:
    async with identity(filled, "auditor") as auditor:
        kept = await read_dead_letters(
            filled.storage.url, DEAD_LETTERS, auditor, str(filled.tls.ca_file)
        )
    assert kept == {
        "changes": {("plant", "1"), ("plant", "2"), ("plant", "3")},
        "alarms": {("plant", "1")},
    }


async def test_who_may_not_read_them_is_told_so(azure: LocalAzure) -> None:
    async with identity(azure, "digital-twins") as stranger:
        with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
            await read_dead_letters(
                azure.storage.url, DEAD_LETTERS, stranger, str(azure.tls.ca_file)
            )
