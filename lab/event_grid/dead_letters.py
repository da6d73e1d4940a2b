"""Where events go that were given up: a container, written by the topic's own identity.

Source: MicrosoftDocs/azure-docs articles/event-grid/manage-event-delivery.md (the blobs' names:
the subscription in upper case, date and hour not padded; an array in each).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobClient

from lab.event_grid.credential import DirectoryCredential
from lab.storage import RESOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lab.identity.directory import Directory, Principal


class Container(Protocol):
    """Takes what was given up."""

    async def write(
        self, container: str, subscription: str, events: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Write a blob; tell whether it could be done."""


class Blobs:
    """Containers of the lab's storage account.

    Args:
        directory: who issues the topic's tokens.
        identity: the topic's own.
        account_url: where the account is, once it is known.
        ca_file: what to trust.
    """

    def __init__(
        self,
        directory: Directory,
        identity: Principal,
        account_url: Callable[[], str],
        ca_file: Path,
    ) -> None:
        self._directory = directory
        self._identity = identity
        self._account_url = account_url
        self._ca_file = ca_file

    async def write(
        self, container: str, subscription: str, events: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Write a blob; tell whether it could be done."""
        blob = BlobClient(
            self._account_url(),
            container,
            _name(subscription, datetime.now(UTC)),
            credential=DirectoryCredential(self._directory, self._identity, RESOURCE),
            connection_verify=str(self._ca_file),
            retry_total=0,
        )
        try:
            async with blob:
                await blob.upload_blob(json.dumps(list(events), ensure_ascii=False).encode())
        except (AzureError, OSError):
            return False
        return True


def _name(subscription: str, now: datetime) -> str:
    hour = f"{now.year}/{now.month}/{now.day}/{now.hour}"
    return f"{subscription.upper()}/{hour}/{uuid4()}.json"
