"""The data plane of an Azure Digital Twins instance, as far as a proxy can tell it apart.

Shapes and errors: the REST reference, 2023-10-31. Twins and models are kept, queries answer
with every twin, telemetry is only counted. It answers no preflight and allows no origin, as
the service does; `surplus` makes it send headers that must not reach a page.
"""

from __future__ import annotations

import hashlib
import json
import ssl
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from lab.identity.tokens import TokenRefused
from lab.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from lab.certificates import TlsFiles
    from lab.identity import Directory

AUDIENCES: Final = ("https://digitaltwins.azure.net",)
API_VERSION: Final = "2023-10-31"


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class TwinsDataPlane:
    """Serves one instance.

    Args:
        directory: whose tokens and roles count.
        tls: the server's certificate.
        resource_id: of the instance: the scope of roles.

    Attributes:
        twins: by id, as last written.
        models: by id.
        telemetry: how many messages were sent.
        seen: the headers of each request, by name in lower case.
        paths: the path and query of each request, as they came.
        surplus: headers that every answer has as well.
        moved_to: where it redirects every request to; `""` for nowhere.
        flow: what a listing of models answers with, piece by piece; `None` for the models. If
            it raises, the connection is cut.
        is_public: whether it takes calls that come by no private endpoint.
    """

    def __init__(self, directory: Directory, tls: TlsFiles, resource_id: str) -> None:
        self.twins: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.telemetry = 0
        self.seen: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.surplus: dict[str, str] = {}
        self.moved_to = ""
        self.flow: Callable[[], AsyncGenerator[bytes]] | None = None
        self.is_public = True
        self._directory = directory
        self._resource_id = resource_id
        app = web.Application(middlewares=[self._guard])
        _add_routes(app.router, self)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        self._server = HttpServer("the twins' data plane", app, tls=context)

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

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.raw_path)
        try:
            self._check(request)
            if self.moved_to:
                return web.Response(status=307, headers={"Location": self.moved_to})
            answer: web.StreamResponse = await handler(request)
        except _RefusedError as refused:
            answer = _error(refused)
        except web.HTTPException as error:
            answer = _error(_RefusedError(error.status, error.reason, "The request is wrong."))
        answer.headers.update(self.surplus)
        return answer

    def _check(self, request: web.Request) -> None:
        if not self.is_public:
            raise _RefusedError(
                403, "PublicNetworkAccessDisabled", "Public network access is not permitted."
            )
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            claims = self._directory.verify(
                token if scheme.lower() == "bearer" else "", AUDIENCES
            )
        except TokenRefused as refused:
            raise _RefusedError(401, "Unauthenticated", refused.text) from refused
        if "api-version" not in request.query:
            raise _RefusedError(
                400, "MissingApiVersionParameter", "The api-version parameter is required."
            )
        if request.query["api-version"] != API_VERSION:
            raise _RefusedError(400, "UnsupportedApiVersion", "The api-version is unknown.")
        reads = request.method == "GET" or request.path == "/query"
        action = "digitaltwins/read" if reads else "digitaltwins/write"
        if not self._directory.allows(claims.object_id, action, self._resource_id):
            raise _RefusedError(
                403,
                "AuthorizationFailed",
                "The user does not have permission to perform this operation.",
            )

    # Twins

    async def read_twin(self, request: web.Request) -> web.Response:
        """Answer with a twin."""
        twin = self._twin(request)
        if request.headers.get("If-None-Match") == _etag(twin):
            return web.Response(status=304, headers={"ETag": _etag(twin)})
        return _json(twin, {"ETag": _etag(twin)})

    async def write_twin(self, request: web.Request) -> web.Response:
        """Create or replace a twin."""
        name = request.match_info["id"]
        if request.headers.get("If-None-Match") == "*" and name in self.twins:
            raise _RefusedError(412, "PreconditionFailed", f"The twin {name} exists.")
        self.twins[name] = {**await request.json(), "$dtId": name}
        return _json(self.twins[name], {"ETag": _etag(self.twins[name])})

    async def patch_twin(self, request: web.Request) -> web.Response:
        """Take a JSON patch whose paths are properties."""
        twin = self._twin(request)
        if request.headers.get("If-Match", _etag(twin)) not in {_etag(twin), "*"}:
            raise _RefusedError(412, "PreconditionFailed", "The twin has changed meanwhile.")
        if request.content_type != "application/json-patch+json":
            raise _RefusedError(415, "UnsupportedMediaType", "Send a JSON patch.")
        for each in await request.json():
            twin[each["path"].strip("/")] = each["value"]
        return web.Response(status=204, headers={"ETag": _etag(twin)})

    async def delete_twin(self, request: web.Request) -> web.Response:
        """Delete a twin."""
        self.twins.pop(self._twin(request)["$dtId"])
        return web.Response(status=204)

    async def take_telemetry(self, request: web.Request) -> web.Response:
        """Take telemetry of a twin."""
        self._twin(request)
        if "Message-Id" not in request.headers:
            raise _RefusedError(400, "InvalidArgument", "The header Message-Id is missing.")
        self.telemetry += 1
        return web.Response(status=204)

    def _twin(self, request: web.Request) -> dict[str, Any]:
        name = request.match_info["id"]
        if name not in self.twins:
            raise _RefusedError(
                404, "DigitalTwinNotFound", f"There is no digital twin with the id {name}."
            )
        return self.twins[name]

    # The rest

    async def query(self, request: web.Request) -> web.Response:
        """Answer a query with every twin."""
        await request.json()
        return _json({"value": list(self.twins.values())}, {"query-charge": "2.75"})

    async def read_models(self, request: web.Request) -> web.StreamResponse:
        """Answer with every model."""
        if self.flow is not None:
            return await _flowing(request, self.flow())
        return _json({"value": list(self.models.values())})

    async def start_import(self, request: web.Request) -> web.Response:
        """Begin a job that never ends."""
        where = f"{self.url}/jobs/imports/{request.match_info['id']}"
        return _json({"status": "notstarted"}, {"Operation-Location": where}, 201)


def _add_routes(router: web.UrlDispatcher, instance: TwinsDataPlane) -> None:
    router.add_get("/digitaltwins/{id}", instance.read_twin)
    router.add_put("/digitaltwins/{id}", instance.write_twin)
    router.add_patch("/digitaltwins/{id}", instance.patch_twin)
    router.add_delete("/digitaltwins/{id}", instance.delete_twin)
    router.add_post("/digitaltwins/{id}/telemetry", instance.take_telemetry)
    router.add_post("/query", instance.query)
    router.add_get("/models", instance.read_models)
    router.add_put("/jobs/imports/{id}", instance.start_import)


async def _flowing(request: web.Request, flow: AsyncGenerator[bytes]) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    with suppress(ConnectionResetError):  # whoever asked has heard enough
        async with aclosing(flow):
            async for piece in flow:
                await answer.write(piece)
        await answer.write_eof()
    return answer


def _etag(twin: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(twin, sort_keys=True).encode()).hexdigest()
    return f'W/"{digest[:32]}"'


def _json(
    value: Any, headers: Mapping[str, str] | None = None, status: int = 200
) -> web.Response:
    return web.json_response(value, status=status, headers=headers)


def _error(refused: _RefusedError) -> web.Response:
    error = {"code": refused.code, "message": str(refused), "details": None, "innererror": None}
    return web.json_response(
        {"error": error}, status=refused.status, headers={"x-ms-error-code": refused.code}
    )
