"""The data plane of an Azure Digital Twins instance, as far as the relay's own tools ask it.

Shapes and errors: the REST reference, 2023-10-31. Twins and models are kept, queries answer
with every twin, telemetry is only counted; event routes are kept and checked, nothing more.
It answers no preflight and allows no origin, as the service does; `surplus` makes it send
headers that must not reach a page. Not documented, and so the lab's own: what an id of an event
route may look like, and the words of its refusals.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from lab.identity.tokens import TokenRefused
from lab.misbehaviour import Misbehaviour
from lab.serving import HttpServer
from lab.twins_filter import is_filter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from lab.certificates import TlsFiles
    from lab.identity import Directory

AUDIENCES: Final = ("https://digitaltwins.azure.net",)
API_VERSION: Final = "2023-10-31"
MOST_EVENT_ROUTES: Final = 6
"""Of an instance, unless Microsoft's support raises it."""

_ROUTE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


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
        flow_headers: what such an answer says of itself.
        heard: hears each piece of a query's body as it comes.
        is_public: whether it takes calls that come by no private endpoint.
        endpoints: the provisioning state of each, by name.
        event_routes: endpoint and filter of each, by id.
        page: how many event routes stand in one answer, at most.
        next_host: where the next page is said to be; `""` for here.
        lag: how often event routes are still shown as they were, after a change.
        is_wordless: whether it refuses without a body, as public reports show of 403
            (Azure/azure-sdk-for-java#22640).
        left: set when somebody has gone before he was answered.
        faults: what it does wrong on purpose.
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
        self.flow_headers: dict[str, str] = {}
        self.heard: Callable[[bytes], None] | None = None
        self.is_public = True
        self.endpoints: dict[str, str] = {}
        self.event_routes: dict[str, dict[str, str]] = {}
        self.page = 100
        self.next_host = ""
        self.lag = 0
        self.is_wordless = False
        self.left = asyncio.Event()
        self.faults = Misbehaviour()
        self._shown: dict[str, dict[str, str]] = {}
        self._behind = 0
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
            await self._endure(request)
            self._check(request)
            if self.moved_to:
                return web.Response(status=307, headers={"Location": self.moved_to})
            answer: web.StreamResponse = await handler(request)
        except _RefusedError as refused:
            wordless = web.Response(status=refused.status)
            answer = wordless if self.is_wordless else _error(refused)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        except web.HTTPException as error:
            answer = _error(_RefusedError(error.status, error.reason, "The request is wrong."))
        answer.headers.update(self.surplus)
        return answer

    async def _endure(self, request: web.Request) -> None:
        fault = await self.faults.endure(request.path, request.method)
        if fault.status is not None:
            raise _RefusedError(fault.status, fault.code, "The lab was told to refuse.")

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
        area = "eventroutes" if request.path.startswith("/eventroutes") else "digitaltwins"
        action = f"{area}/{'read' if reads else 'write'}"
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

    # Event routes

    async def list_event_routes(self, request: web.Request) -> web.Response:
        """Answer with a page of event routes."""
        shown = [_shown(name, route) for name, route in sorted(self._read().items())]
        wanted = int(request.headers.get("max-items-per-page", self.page))
        start = int(request.query.get("continuationToken", "0"))
        end = start + min(wanted, self.page)
        answer: dict[str, Any] = {"value": shown[start:end]}
        if end < len(shown):
            following = request.rel_url.update_query({"continuationToken": str(end)})
            answer["nextLink"] = f"{self.next_host or self.url}{following}"
        return _json(answer)

    async def read_event_route(self, request: web.Request) -> web.Response:
        """Answer with an event route."""
        name = request.match_info["id"]
        return _json(_shown(name, _known(name, self._read())))

    async def write_event_route(self, request: web.Request) -> web.Response:
        """Create or replace an event route."""
        name = request.match_info["id"]
        if not _ROUTE_ID.fullmatch(name):
            raise _RefusedError(400, "EventRouteIdInvalid", f"The id {name!r} is invalid.")
        written = await request.json()
        route = {each: str(written.get(each, "")) for each in ("endpointName", "filter")}
        if self.endpoints.get(route["endpointName"]) != "Succeeded":
            raise _RefusedError(
                400,
                "EventRouteEndpointInvalid",
                f"The endpoint {route['endpointName']} does not exist or is not active.",
            )
        if not is_filter(route["filter"]):
            raise _RefusedError(
                400, "EventRouteFilterInvalid", "The event route filter is invalid."
            )
        if name not in self.event_routes and len(self.event_routes) >= MOST_EVENT_ROUTES:
            raise _RefusedError(
                400,
                "LimitExceeded",
                "The maximum number of event routes allowed has been reached.",
            )
        self._change(self.event_routes | {name: route})
        return web.Response(status=204)

    async def delete_event_route(self, request: web.Request) -> web.Response:
        """Delete an event route."""
        name = request.match_info["id"]
        _known(name, self.event_routes)
        self._change({each: r for each, r in self.event_routes.items() if each != name})
        return web.Response(status=204)

    def _read(self) -> dict[str, dict[str, str]]:
        """Return the event routes as they are shown: as they were, for a while."""
        if self._behind > 0:
            self._behind -= 1
            return self._shown
        return self.event_routes

    def _change(self, routes: dict[str, dict[str, str]]) -> None:
        self._shown, self._behind = self.event_routes, self.lag
        self.event_routes = routes

    # The rest

    async def query(self, request: web.Request) -> web.Response:
        """Answer a query with every twin."""
        async for piece in request.content.iter_any():
            if self.heard is not None:
                self.heard(piece)
        return _json({"value": list(self.twins.values())}, {"query-charge": "2.75"})

    async def read_models(self, request: web.Request) -> web.StreamResponse:
        """Answer with every model."""
        if self.flow is not None:
            return await _flowing(request, self.flow(), self.flow_headers)
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
    router.add_get("/eventroutes", instance.list_event_routes)
    router.add_get("/eventroutes/{id}", instance.read_event_route)
    router.add_put("/eventroutes/{id}", instance.write_event_route)
    router.add_delete("/eventroutes/{id}", instance.delete_event_route)


def _known(name: str, routes: Mapping[str, dict[str, str]]) -> dict[str, str]:
    if name not in routes:
        raise _RefusedError(404, "EventRouteNotFound", f"There is no event route {name}.")
    return routes[name]


def _shown(name: str, route: Mapping[str, str]) -> dict[str, str]:
    return {"id": name, **route}


async def _flowing(
    request: web.Request, flow: AsyncGenerator[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
    await answer.prepare(request)
    with suppress(ConnectionResetError):  # whoever asked has heard enough
        async with aclosing(flow):
            async for piece in flow:
                await answer.write(piece)
                await asyncio.sleep(0)  # a write to a connection that ended does not wait
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
