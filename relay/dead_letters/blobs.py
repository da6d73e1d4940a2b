"""Dead letters in Azure Blob storage."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import ContainerClient, LinearRetry

from relay.dead_letters.letters import WAITING_SUFFIX, encode, lane_mark, lanes_of, unpack
from relay.failures import DeliveryError
from relay.formats.json_format import BATCH_TYPE
from relay.refusals import BLOB_CONTRIBUTOR, Resource, explain
from relay.sdk_errors import reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from azure.storage.blob.aio import BlobLeaseClient

    from relay.dead_letters.letters import DeadLetter, Parcel
    from relay.identity import Identity
    from relay.settings import Container

AUDIENCE: Final = "https://storage.azure.com"

_CONTENT: Final = ContentSettings(content_type=BATCH_TYPE)
_CONNECT: Final = 5
_READ: Final = 10
"""Seconds for one attempt."""
_CALL: Final = 40
"""Seconds for a call with all its attempts, far below the host's `functionTimeout`."""
_LEASE: Final = 60
"""Seconds after which a claim ends by itself; the longest that a lease may have."""


class BlobDeadLetters:
    """Keeps dead letters in a container, by the relay's own identity.

    Args:
        container: which one.
        identity: by whom.
        ca_file: a CA to trust instead of the public ones.
    """

    def __init__(
        self, container: Container, identity: Identity, ca_file: str | None = None
    ) -> None:
        self._container = container
        self._identity = identity
        self._ca_file = ca_file
        self._client: ContainerClient | None = None
        self._leases: dict[str, BlobLeaseClient] = {}
        self._resource = _resource(container)

    async def put(self, name: str, letters: Sequence[DeadLetter], route: str) -> None:
        """Make a blob of letters durable; an older one of that name is overwritten."""
        async with self._call():
            await self._open().upload_blob(
                name, encode(letters, route), overwrite=True, content_settings=_CONTENT
            )

    async def lanes(self, route: str) -> list[str]:
        """Return the lanes of which something waits for a route, the longest waiting first."""
        with self._translated():
            names = self._open().list_blob_names(name_starts_with=f"{route}/")
            return lanes_of([name async for name in names])

    async def waiting(self, route: str, lane: str) -> AsyncIterator[Parcel]:
        """Yield what waits of a lane for a route, in order of arrival."""
        mark = lane_mark(lane)
        with self._translated():
            async for name in self._open().list_blob_names(name_starts_with=f"{route}/"):
                last = name.rpartition("/")[2]
                if last.startswith(mark) and last.endswith(WAITING_SUFFIX):
                    parcel = await self._read(name)
                    if parcel is not None:
                        yield parcel

    async def _read(self, name: str) -> Parcel | None:
        try:
            blob = await self._open().download_blob(name)
            stored = await blob.readall()
        except ResourceNotFoundError:
            return None  # redriven by another instance between the listing and now
        return unpack(name, blob.properties.etag, stored)

    @asynccontextmanager
    async def claimed(self, parcel: Parcel) -> AsyncIterator[bool]:
        """Claim a parcel by a lease on its blob; false if it is leased, changed or gone."""
        lease = await self._lease(parcel)
        if lease is None:
            yield False
            return
        self._leases[parcel.name] = lease
        try:
            yield True
        finally:
            if self._leases.pop(parcel.name, None) is not None:
                with suppress(AzureError):  # it runs out by itself
                    await lease.release()

    async def _lease(self, parcel: Parcel) -> BlobLeaseClient | None:
        blob = self._open().get_blob_client(parcel.name)
        async with self._call():
            try:
                return await blob.acquire_lease(
                    _LEASE, etag=parcel.version, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return None

    async def replace(self, parcel: Parcel, letters: Sequence[DeadLetter], route: str) -> None:
        """Keep only these of a claimed parcel's letters."""
        async with self._call():
            await self._open().upload_blob(
                parcel.name,
                encode(letters, route),
                overwrite=True,
                content_settings=_CONTENT,
                lease=self._leases[parcel.name],
            )

    async def remove(self, parcel: Parcel) -> None:
        """Remove a claimed parcel whose letters are all delivered."""
        async with self._call():
            await self._open().delete_blob(parcel.name, lease=self._leases[parcel.name])
        del self._leases[parcel.name]

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _open(self) -> ContainerClient:
        if self._client is None:
            self._client = ContainerClient(
                self._container.service_uri,
                self._container.name,
                credential=self._identity,
                retry_policy=LinearRetry(backoff=1, retry_total=2, random_jitter_range=1),
                connection_timeout=_CONNECT,
                read_timeout=_READ,
                connection_verify=self._ca_file or True,
            )
        return self._client

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        """Bound a call, its token and its retries included, and translate its errors."""
        with self._translated():
            async with asyncio.timeout(_CALL):
                yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (AzureError, ValueError, OSError) as error:
            reason = reason_of(error)
            refusal = explain(reason, self._resource, self._identity.principal)
            detail = f"{self._resource.label}: {str(error) or type(error).__name__}"
            raise DeliveryError(reason, detail, refusal=refusal) from error


def _resource(container: Container) -> Resource:
    account = container.service_uri.removeprefix("https://").rstrip("/")
    account = account.rpartition("/")[2].partition(".")[0]
    return Resource(
        label=f"{account}/{container.name}",
        audience=AUDIENCE,
        role=BLOB_CONTRIBUTOR,
        provider="Microsoft.Storage/storageAccounts",
        account=account,
        path=f"/blobServices/default/containers/{container.name}",
        resource_id=container.resource_id,
    )
