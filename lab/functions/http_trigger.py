"""The HTTP trigger: routes, keys, and what the host makes of a request for a worker."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from lab.functions.event_grid_trigger import PATH
from lab.functions.failures import WorkerDied
from lab.functions.messages import Answer, Data, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.functions.event_grid_trigger import EventGridWebhook
    from lab.functions.http_routes import Route
    from lab.functions.metadata import Function
    from lab.functions.trigger import Host

_NOT_FOUND: Final = HttpResponse(404)
_UNAUTHORIZED: Final = HttpResponse(401)
_FAILED: Final = HttpResponse(500)
_NO_CONTENT: Final = HttpResponse(204)


def _new_key() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a function that is not anonymous.

    Attributes:
        function: opens `FUNCTION`.
        admin: opens `FUNCTION` and `ADMIN`, and every webhook of an extension.
        event_grid: the system key `eventgrid_extension`, which opens Event Grid's webhook.
    """

    function: str = field(default_factory=_new_key, repr=False)
    admin: str = field(default_factory=_new_key, repr=False)
    event_grid: str = field(default_factory=_new_key, repr=False)

    def open(self, function: Function, given: str) -> bool:
        """Whether `given` opens the function."""
        level = str(function.trigger.get("authLevel", "FUNCTION")).upper()
        if level == "ANONYMOUS":
            return True
        keys = [self.admin] if level == "ADMIN" else [self.function, self.admin]
        return _is_one_of(given, *keys)

    def open_event_grid(self, given: str) -> bool:
        """Whether `given` opens Event Grid's webhook."""
        return _is_one_of(given, self.event_grid, self.admin)


def _is_one_of(given: str, *keys: str) -> bool:
    return any(secrets.compare_digest(key.encode(), given.encode()) for key in keys)


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """Answers requests for all HTTP functions of an app, and for its Event Grid functions."""

    routes: Sequence[Route]
    webhook: EventGridWebhook
    keys: Keys
    host: Host

    async def answer(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        scheme: str = "http",
    ) -> HttpResponse:
        """Return the answer to one request; `target` is the path with its query.

        As the host does it (GrpcMessageConversionExtensions in Azure/azure-functions-host):
        header names in lower case, an empty query value is dropped, and a body without
        Content-Length is none.
        """
        _, _, search = target.partition("?")
        lower = {name.lower(): value for name, value in headers.items()}
        query = {name: ",".join(values) for name, values in parse_qs(search).items()}
        if self.is_webhook(target):
            return await self.webhook.answer(method.upper(), query, lower, body)
        found = self.find(method, target, lower)
        if isinstance(found, HttpResponse):
            return found
        route, params = found
        url = f"{scheme}://{lower.get('host', 'localhost')}{target}"
        sized = int(lower.get("content-length", "0")) > 0
        request = HttpRequest(method, url, lower, query, params, body if sized else None)
        return await self._invoke(route.function, request)

    def is_webhook(self, target: str) -> bool:
        """Whether a request is for Event Grid's webhook, and not for an HTTP function."""
        return target.partition("?")[0].rstrip("/").lower() == PATH

    def find(
        self, method: str, target: str, headers: Mapping[str, str]
    ) -> tuple[Route, Mapping[str, str]] | HttpResponse:
        """Return which function a request is for with the route's parameters, or a refusal."""
        path, _, search = target.partition("?")
        code = ",".join(parse_qs(search).get("code", []))
        for route in self.routes:
            params = route.match(method.upper(), path)
            if params is None:
                continue
            given = headers.get("x-functions-key", code)
            return (route, params) if self.keys.open(route.function, given) else _UNAUTHORIZED
        return _NOT_FOUND

    async def _invoke(self, function: Function, request: HttpRequest) -> HttpResponse:
        try:
            answer = await self.host.invoke(function, Data("http", request), {})
        except WorkerDied as error:
            self.host.log(logging.ERROR, f"{function.name}: {error}")
            return _FAILED
        return _response(answer)


def _response(answer: Answer) -> HttpResponse:
    if not answer.succeeded:
        return _FAILED
    match answer.returned:
        case HttpResponse() as response:
            return response
        case str() as text:
            headers = (("content-type", "text/plain; charset=utf-8"),)
            return HttpResponse(200, headers, text.encode())
        case bytes() as body:
            return HttpResponse(200, (("content-type", "application/octet-stream"),), body)
        case _:
            return _NO_CONTENT
