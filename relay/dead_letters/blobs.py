"""A container of Azure Blob storage, of dead letters or of others'."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.pipeline.transport import AioHttpTransport

from relay.dead_letters.letters import Listed
from relay.failures import DeliveryError
from relay.formats.json_format import BATCH_TYPE
from relay.observer import BlobFailed
from relay.refusals import explain
from relay.resources import resource_of_container
from relay.sdk_errors import code_of, reason_of
from relay.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from azure.storage.blob import ContentSettings
    from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

    from relay.identity import Identity
    from relay.observer import Observer
    from relay.settings import Container

_CONNECT: Final = 5
_READ: Final = 10
"""Seconds for one attempt."""
_CALL: Final = 40
"""Seconds for a call with all its attempts, far below the host's `functionTimeout`."""
_LEASE: Final = 60
"""Seconds after which a claim ends by itself; the longest that a lease may have."""
_PRECONDITION_FAILED: Final = 412
_PAGE: Final = 500
"""Names in one answer to a listing: a page is all of it that is in memory."""
_AT_ONCE: Final = 16
"""Calls side by side for one portion."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob as it was read; its version changes with every write."""

    name: str
    version: str
    body: bytes


class Blobs:
    """The blobs of a container, by the relay's own identity.

    Every method raises `DeliveryError` and nothing else.

    Args:
        container: which one.
        identity: by whom.
        ca_file: a CA to trust instead of the public ones.
        observe: hears of calls that fail.
    """

    def __init__(
        self,
        container: Container,
        identity: Identity,
        ca_file: str | None = None,
        observe: Observer = lambda _: None,
    ) -> None:
        self._container = container
        self._identity = identity
        self._ca_file = ca_file
        self._observe = observe
        self._client: ContainerClient | None = None
        self._leases: dict[str, BlobLeaseClient] = {}
        self._resource = resource_of_container(container)

    async def write(self, name: str, text: str, marks: Mapping[str, str]) -> None:
        """Make a blob durable, with its marks; an older one of that name is overwritten."""
        async with self._call():
            await (await self._open()).upload_blob(
                name,
                text,
                overwrite=True,
                content_settings=_content(),
                encryption_scope=self._container.encryption_scope or None,
                metadata=dict(marks),
            )

    async def prefixes(self, start: str, delimiter: str) -> list[str]:
        """Return what names that begin so have up to the next delimiter, each once."""
        container = await self._open()
        walk = container.walk_blobs(start, delimiter=delimiter, results_per_page=_PAGE)
        pages, found = walk.by_page(), []
        while (page := await self._page(pages)) is not None:
            found += [item.name for item in page if hasattr(item, "prefix")]
        return found

    async def listed(self, start: str) -> AsyncIterator[Listed]:
        """Yield the blobs whose names begin so, in the names' order."""
        container = await self._open()
        listing = container.list_blobs(
            name_starts_with=start, include=["metadata"], results_per_page=_PAGE
        )
        pages = listing.by_page()
        while (page := await self._page(pages)) is not None:
            for blob in page:
                yield Listed(blob.name, blob.size, blob.last_modified, blob.metadata or {})

    async def _page(self, pages: AsyncIterator[Any]) -> list[Any] | None:
        async with self._call():
            page = await anext(pages, None)
            return None if page is None else [item async for item in page]

    async def read(self, names: Iterable[str]) -> list[Stored]:
        """Read blobs side by side; those that are gone by now are left out."""
        found = await side_by_side(self._read, names, _AT_ONCE)
        return [stored for stored in found if stored is not None]

    async def _read(self, name: str) -> Stored | None:
        async with self._call():
            try:
                blob = await (await self._open()).download_blob(name)
                return Stored(name, blob.properties.etag, await blob.readall())
            except ResourceNotFoundError:
                return None  # removed by somebody else between the listing and now

    @asynccontextmanager
    async def claimed(self, blobs: Sequence[tuple[str, str]]) -> AsyncIterator[int]:
        """Claim blobs, by name and version, with leases: so many of the first ones are ours."""
        mine: list[str] = []
        try:
            ours = await side_by_side(lambda blob: self._claim(*blob, mine), blobs, _AT_ONCE)
            count = ours.index(False) if False in ours else len(ours)
            await self._release(mine, [name for name, _ in blobs[count:]])
            yield count
        finally:
            await self._release(mine, list(mine))

    async def _claim(self, name: str, version: str, mine: list[str]) -> bool:
        blob = (await self._open()).get_blob_client(name)
        async with self._call():
            try:
                lease = await blob.acquire_lease(
                    _LEASE, etag=version, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                return False
        self._leases[name] = lease
        mine.append(name)
        return True

    async def _release(self, mine: list[str], names: Sequence[str]) -> None:
        """Let go of those of these that are mine; what was removed needs no letting go."""
        held = [self._leases.pop(name, None) for name in names if name in mine]
        mine[:] = [name for name in mine if name not in names]
        leases = [lease for lease in held if lease is not None]
        await side_by_side(self._let_go, leases, _AT_ONCE)

    async def _let_go(self, lease: BlobLeaseClient) -> None:
        with suppress(DeliveryError):  # it runs out by itself
            async with self._call():
                await lease.release()

    async def overwrite(
        self, name: str, version: str, text: str, marks: Mapping[str, str]
    ) -> bool:
        """Write a claimed blob anew; false, and nothing is written, if the claim was lost."""
        lease = self._leases.get(name)
        if lease is None:
            return False
        async with self._call():
            try:
                await (await self._open()).upload_blob(
                    name,
                    text,
                    overwrite=True,
                    content_settings=_content(),
                    metadata=dict(marks),
                    encryption_scope=self._container.encryption_scope or None,
                    lease=lease,
                    etag=version,
                    match_condition=MatchConditions.IfNotModified,
                )
            except HttpResponseError as error:
                return _still_ours(error)
        return True

    async def remove(self, name: str, version: str) -> bool:
        """Remove a claimed blob; false, and nothing is removed, if the claim was lost."""
        lease = self._leases.get(name)
        if lease is None:
            return False
        async with self._call():
            try:
                await (await self._open()).delete_blob(
                    name,
                    lease=lease,
                    etag=version,
                    match_condition=MatchConditions.IfNotModified,
                )
            except HttpResponseError as error:
                return _still_ours(error)
        self._leases.pop(name, None)
        return True

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _open(self) -> ContainerClient:
        if self._client is None:
            await load()
            from azure.storage.blob.aio import ContainerClient, LinearRetry

        if self._client is None:
            self._client = ContainerClient(
                self._container.service_uri,
                self._container.name,
                credential=self._identity,
                retry_policy=LinearRetry(backoff=1, retry_total=2, random_jitter_range=1),
                connection_timeout=_CONNECT,
                read_timeout=_READ,
                **_trusting(self._ca_file),
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
            said = str(error)
            refusal = explain(reason, self._resource, self._identity.principal, said)
            detail = f"{self._resource.label}: {str(error) or type(error).__name__}"
            failure = DeliveryError(reason, detail, refusal=refusal)
            self._observe(BlobFailed(failure))
            raise failure from error


async def load() -> None:
    """Import the SDK, in a thread: that takes a tenth of a second, and links open meanwhile."""
    await asyncio.to_thread(import_module, "azure.storage.blob.aio")


def _content() -> ContentSettings:
    from azure.storage.blob import ContentSettings

    return ContentSettings(content_type=BATCH_TYPE)


def _trusting(ca_file: str | None) -> dict[str, Any]:
    """Return how to trust a CA of one's own.

    Told its file, azure-core would read it anew for every request, and aiohttp never use a
    connection again, for it keeps one only for the same `SSLContext`.
    """
    if ca_file is None:
        return {}
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca_file))
    session = aiohttp.ClientSession(
        connector=connector,
        trust_env=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    return {"transport": AioHttpTransport(session=session)}


def _still_ours(error: HttpResponseError) -> bool:
    """Say that a claim was lost, if that is what an error says; else raise it."""
    if error.status_code == _PRECONDITION_FAILED or code_of(error) == "BlobNotFound":
        return False
    raise error
