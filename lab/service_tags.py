"""The Discovery API of service tags, as far as the relay asks it.

Shape and errors: virtualnetwork REST reference, service tags list (2023-09-01), and ARM's own.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from lab.identity.tokens import TokenRefused
from lab.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.certificates import TlsFiles
    from lab.identity import Directory

AUDIENCES: Final = ("https://management.azure.com", "https://management.core.windows.net")

_PATH: Final = re.compile(
    r"/subscriptions/(?P<subscription>[-0-9a-f]{36})/providers/Microsoft\.Network"
    r"/locations/[a-z0-9]+/serviceTags",
    re.IGNORECASE,
)


class ServiceTagsDiscovery:
    """Serves lists of service tags to whoever may read the subscription.

    Args:
        directory: whose tokens are good.
        tls: the server's certificate.
        tags: the members of `values`.
        page: how many of them it puts on a page.

    Attributes:
        readers: the object ids that may read; change them at will.
        tags: the members of `values`; change them at will.
        next_host: where the next page is said to be; `""` for here.
    """

    def __init__(
        self,
        directory: Directory,
        tls: TlsFiles,
        tags: Sequence[Mapping[str, Any]],
        page: int = 1000,
    ) -> None:
        self.readers: set[str] = set()
        self.tags = list(tags)
        self.next_host = ""
        self._directory = directory
        self._page = page
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        self._server = HttpServer("the Discovery API", app, tls=context)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return self._server.url

    async def start(self) -> None:
        """Listen."""
        await self._server.start()

    async def stop(self) -> None:
        """Listen no longer."""
        await self._server.stop()

    async def _serve(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            claims = self._directory.verify(token if scheme == "Bearer" else "", AUDIENCES)
        except TokenRefused as refused:
            return _error(401, "InvalidAuthenticationToken", refused.text)
        if "api-version" not in request.query:
            return _error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        found = _PATH.fullmatch(request.path)
        if found is None:
            return _error(404, "InvalidResourceType", "The resource type could not be found.")
        if claims.object_id not in self.readers:
            return _error(
                403,
                "AuthorizationFailed",
                f"The client '{claims.client_id}' with object id '{claims.object_id}' does not "
                "have authorization to perform action "
                "'Microsoft.Network/locations/serviceTags/read' over scope "
                f"'/subscriptions/{found['subscription']}' or the scope is invalid.",
            )
        return web.json_response(self._list(request))

    def _list(self, request: web.Request) -> dict[str, Any]:
        begin = int(request.query.get("$skiptoken", "0"))
        values = [_as_discovered(tag) for tag in self.tags[begin : begin + self._page]]
        written = {
            "name": "public",
            "id": request.path,
            "type": "Microsoft.Network/serviceTags",
            "changeNumber": "375",
            "cloud": "Public",
            "values": values,
        }
        if begin + self._page < len(self.tags):
            version = request.query["api-version"]
            query = f"api-version={version}&$skiptoken={begin + self._page}"
            written["nextLink"] = f"{self.next_host or self.url}{request.path}?{query}"
        return written


def _as_discovered(tag: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tag of the file as the API has it."""
    properties = dict(tag["properties"])
    properties["changeNumber"] = str(properties["changeNumber"])
    for name in ("platform", "regionId"):
        properties.pop(name, None)
    return {**tag, "properties": properties}


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
