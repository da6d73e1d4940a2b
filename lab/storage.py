"""Blob storage: Azurite behind a check of token and role, answering as Blob does.

The check stands in front because Azurite believes every token that looks like one. Shared keys
and SAS are refused, as an account that allows Entra alone refuses them.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from lab.azurite import Azurite
from lab.blob_answers import (
    KEY_BASED,
    NO_ACCOUNT,
    NO_ROLE,
    NO_TOKEN,
    BlobRefusal,
    RefusedError,
    answer,
    bad_token,
    busy,
)
from lab.certificates import server_context
from lab.identity.directory import Principal
from lab.identity.roles import storage_scope
from lab.identity.tokens import TokenRefused
from lab.misbehaviour import HttpFault, Misbehaviour
from lab.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from lab.certificates import TlsFiles
    from lab.identity.directory import Directory

RESOURCE: Final = "https://storage.azure.com"

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ACTS: Final = frozenset({"read", "write", "delete", "lease"})
"""The kinds of requests that a fault may concern."""
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_KEEP_ALIVE_SECONDS: Final = 3
"""Shorter than Azurite's 5, so that no request meets a connection that is just being closed."""
_BATCH_BYTES: Final = 4 * 1024 * 1024
_OURS: Final = Principal(
    name="storage",
    client_id="00000000-0000-0000-0000-00000000000f",
    object_id="00000000-0000-0000-0000-00000000000f",
    resource_id="",
    system_assigned=False,
)
"""Who makes the containers; Azurite asks for no role."""


class Storage:
    """One storage account.

    Attributes:
        account: its name.
        resource_id: its ARM id.
        azurite: the process behind it.
        server: where it listens.
        encryption_scopes: those that writes asked for, by path.
    """

    def __init__(
        self,
        directory: Directory,
        tls: TlsFiles,
        *,
        state_dir: Path,
        address: str = "127.0.0.1",
        port: int = 0,
        account: str = "twinrelaylab",
    ) -> None:
        self.account = account
        self.encryption_scopes: dict[str, str] = {}
        self.resource_id = storage_scope(account)
        self.azurite = Azurite(tls, account=account, state_dir=state_dir)
        self._directory = directory
        self._tls = tls
        self._misbehaviour = Misbehaviour()
        self._session: aiohttp.ClientSession | None = None
        app = web.Application(client_max_size=_BATCH_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self.server = HttpServer(
            "storage", app, address=address, port=port, tls=server_context(tls)
        )

    @property
    def url(self) -> str:
        """Return the account's address, as `blobServiceUri` wants it."""
        return f"{self.server.url}/{self.account}"

    def container_id(self, container: str) -> str:
        """Return the ARM id of a container: the narrowest scope of a role."""
        return storage_scope(self.account, container)

    async def start(self) -> None:
        """Start Azurite and listen.

        Raises:
            AzuriteError: Azurite can't be had.
            PortInUseError: the port is taken.
        """
        await self.azurite.start()
        try:
            self._session = self._new_session()
            await self.server.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Listen no longer and end Azurite; every blob is forgotten."""
        await self.server.stop()
        if self._session is not None:
            await self._session.close()
            self._session = None
        await self.azurite.stop()

    async def create_container(self, name: str) -> None:
        """Make a container, as whoever sets up the account would."""
        token = self._directory.issue(_OURS, RESOURCE)
        headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"}
        url = f"{self.azurite.url}/{self.account}/{name}?restype=container"
        async with self._behind().put(url, headers=headers) as made:
            if made.status not in {201, 409}:
                raise RuntimeError(f"the container {name!r} can't be made: {await made.text()}")

    # Faults

    def refuse(
        self,
        status: int,
        code: str,
        times: int | None = None,
        container: str = "",
        acts: Collection[str] = (),
    ) -> None:
        """Answer the next `times` requests, or all, with this status and error code.

        It concerns one container, or the whole account where none is named; and requests of
        some kinds, or of all where none is named.
        """
        self._misbehave(HttpFault(status=status, code=code, times=times), container, acts)

    def stop_answering(self, container: str = "", acts: Collection[str] = ()) -> None:
        """Take requests and answer none."""
        self._misbehave(HttpFault(silent=True), container, acts)

    def slow(self, seconds: float, container: str = "", acts: Collection[str] = ()) -> None:
        """Wait before every answer."""
        self._misbehave(HttpFault(seconds=seconds), container, acts)

    def _misbehave(self, fault: HttpFault, container: str, acts: Collection[str]) -> None:
        if unknown := set(acts) - ACTS:
            known = ", ".join(sorted(ACTS))
            raise ValueError(f"no kinds of requests: {', '.join(sorted(unknown))} ({known})")
        below = f"/{self.account}/{container}" if container else ""
        self._misbehaviour.fault = replace(fault, below=below, acts=frozenset(acts))

    def allow(self) -> None:
        """Do everything right again."""
        self._misbehaviour.fault = None

    @property
    def fault(self) -> HttpFault | None:
        """Return what it does wrong at present."""
        return self._misbehaviour.fault

    @property
    def struck(self) -> int:
        """Return how many requests have run into a fault so far."""
        return self._misbehaviour.struck

    # Requests

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._endure(request)
            body = await self._check(request)
            return await self._forward(request, body)
        except RefusedError as error:
            tenant = self._directory.tenant_id
            return answer(
                error.refusal, f"https://login.microsoftonline.com/{tenant}/oauth2/authorize"
            )

    async def _endure(self, request: web.Request) -> None:
        path = unquote(request.rel_url.raw_path)
        fault = await self._misbehaviour.endure(path, _act(request))
        if fault.status is not None:
            told = BlobRefusal(fault.status, fault.code, "The lab was told to refuse.")
            raise RefusedError(told)

    async def _check(self, request: web.Request) -> bytes | None:
        """Check the request and return its body if it had to be read for that.

        Raises:
            RefusedError: it may not be done.
        """
        object_id = self._who(request)
        action = "blob/read" if request.method in _READING else "blob/write"
        self._demand(object_id, action, request.rel_url.raw_path)
        if source := request.headers.get("x-ms-copy-source"):
            self._demand_source(object_id, source)
        if request.query.get("comp") != "batch":
            return None
        body = await request.read()
        for path in _batch_paths(body):
            self._demand(object_id, "blob/write", path)
        return body

    def _who(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if "sig" in request.query or scheme.lower().startswith("sharedkey"):
            raise RefusedError(KEY_BASED)
        if scheme.lower() != "bearer":
            raise RefusedError(NO_TOKEN)
        audiences = (RESOURCE, f"https://{self.account}.blob.core.windows.net")
        try:
            return self._directory.verify(token.strip(), audiences).object_id
        except TokenRefused as refused:
            raise RefusedError(bad_token(refused.text)) from refused

    def _demand(self, object_id: str, action: str, path: str) -> None:
        if not self._directory.allows(object_id, action, self._scope(path)):
            raise RefusedError(NO_ROLE)

    def _demand_source(self, object_id: str, source: str) -> None:
        """Whoever copies must be allowed to read what they copy, if it is of this account."""
        path = urlsplit(source).path
        if unquote(path).startswith(f"/{self.account}/"):
            self._demand(object_id, "blob/read", path)

    def _scope(self, raw_path: str) -> str:
        """Read a path as Azurite reads it: decode first, then split."""
        account, _, rest = unquote(raw_path).removeprefix("/").partition("/")
        container = rest.partition("/")[0]
        if account != self.account:
            raise RefusedError(NO_ACCOUNT)
        return self.container_id(container) if container else self.resource_id

    async def _forward(self, request: web.Request, body: bytes | None) -> web.StreamResponse:
        url = URL(self.azurite.url + request.rel_url.raw_path_qs, encoded=True)
        if scope := request.headers.get("x-ms-encryption-scope"):
            self.encryption_scopes[unquote(request.path)] = scope
        response: web.StreamResponse | None = None
        try:
            async with self._behind().request(
                request.method,
                url,
                headers=_passed_on(request.headers),
                data=body or (request.content if request.can_read_body else None),
                allow_redirects=False,
            ) as truth:
                response = web.StreamResponse(
                    status=truth.status,
                    reason=truth.reason,
                    headers=_passed_on(truth.headers),
                )
                await response.prepare(request)
                async for chunk in truth.content.iter_any():
                    await response.write(chunk)
        except aiohttp.ClientError as error:
            if response is not None and response.prepared:
                raise
            raise RefusedError(busy(f"Azurite does not answer ({error})")) from error
        await response.write_eof()
        return response

    def _behind(self) -> aiohttp.ClientSession:
        assert self._session is not None, "storage was not started"
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        trust = ssl.create_default_context(cafile=self._tls.ca_file)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=trust, limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS
            ),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )


def _act(request: web.Request) -> str:
    if request.query.get("comp") == "lease":
        return "lease"
    if request.method == "DELETE" or request.query.get("comp") == "batch":
        return "delete"
    return "read" if request.method in _READING else "write"


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP
    )


def _batch_paths(body: bytes) -> Iterable[str]:
    """Find what the requests inside a batch are about: lines like `DELETE /a/b HTTP/1.1`."""
    for line in body.decode("latin-1").splitlines():
        match line.split(" "):
            case [_, path, version] if version.startswith("HTTP/"):
                yield urlsplit(path).path
