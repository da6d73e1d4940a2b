"""The HTTP surface for operators: how the routes fare, what waits, and what may be done.

Each resource names the action that it takes; whoever calls is known first (401), then may or
may not (403). Errors are problems (RFC 9457). The surface is described in `openapi.json`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from relay.failures import DeliveryError
from relay.observer import RequestRefused
from relay.operations.access import AccessError
from relay.operations.answers import Answer, in_json, problem
from relay.permissions import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from relay.observer import Observer
    from relay.operations.access import Caller

    type Query = Mapping[str, str]
    type Handle = Callable[[Call], Awaitable[Answer]]

_DOCUMENT: Final = Path(__file__).with_name("openapi.json")
_LATER: Final = 30
"""Seconds after which to try again where nobody knows better."""
LARGEST_REQUEST: Final = 64 * 1024
"""Bytes that the body of a request may have."""


class Request(Protocol):
    """What the surface asks of a request; the body last of all."""

    @property
    def method(self) -> str:
        """Such as `POST`."""

    @property
    def url(self) -> str:
        """As the caller wrote it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in lower case."""

    def get_body(self) -> bytes:
        """Return the body."""


class BadRequestError(Exception):
    """What was asked for can't be understood; the message names what, where and the remedy."""


class NotThereError(Exception):
    """There is no such thing."""


class NotNowError(Exception):
    """It can't be done as things stand; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered.

    Attributes:
        name: of the one thing that is meant, `""` for all of its kind.
        query: each parameter once.
        body: what was sent, as JSON.
    """

    name: str
    query: Query
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that may be asked for, or be done.

    Attributes:
        action: what it takes; `None` for what everybody may see.
        handle: answers.
        query: the parameters that it knows.
    """

    action: Action | None
    handle: Handle
    query: frozenset[str] = frozenset()


class HttpApi:
    """Answers requests.

    Args:
        base: how the paths of its own begin, such as `/api/`.
        resources: by method and pattern, such as `GET routes` or `GET dead-letters/{name}`.
        identify: tells who sent a request, or raises `AccessError`.
        permit: lets a caller do something, or raises `AccessError`.
        observe: hears of requests that are refused.
        page: what a browser is shown in the place of `GET routes`.
    """

    def __init__(
        self,
        base: str,
        resources: Mapping[str, Resource],
        identify: Callable[[Request], Awaitable[Caller]],
        permit: Callable[[Caller, Action], None],
        observe: Observer,
        page: Callable[[], Answer] | None = None,
    ) -> None:
        self._base = base
        self._resources = resources
        self._identify = identify
        self._permit = permit
        self._observe = observe
        self._page = page

    async def answer(self, request: Request) -> Answer:
        """Answer a request, whatever it is."""
        parts = urlsplit(request.url)
        path = unquote(parts.path[len(self._base) :]).strip("/")
        method = request.method.upper()
        if self._page and (method, path) == ("GET", "routes") and _is_browser(request.headers):
            return self._page()
        action = ""
        try:
            found, name = self._find("GET" if method == "HEAD" else method, path)
            action = found.action or ""
            return await self._answer(request, found, name, parts.query)
        except _REFUSALS as error:
            return self._refuse(error, action)

    async def _answer(self, request: Request, found: Resource, name: str, asked: str) -> Answer:
        reads = request.method.upper() in {"GET", "HEAD"}
        if found.action is not None:
            caller = await self._identify(request)
            self._permit(caller, found.action)
        query = _query(asked, found.query)
        body = {} if reads else _body(request)
        answer = await found.handle(Call(name, query, body))
        return _conditional(request, answer) if reads else answer

    def _find(self, method: str, path: str) -> tuple[Resource, str]:
        matches = {
            key: name
            for key in self._resources
            if (name := _match(key.partition(" ")[2], path)) is not None
        }
        if not matches:
            raise NotThereError(f"there is nothing at {self._base}{path}")
        # What is called so itself goes before what may be called anything.
        matches = {key: name for key, name in matches.items() if not name} or matches
        for key, name in matches.items():
            if key.partition(" ")[0] == method:
                return self._resources[key], name
        raise _NotAllowedError(sorted({key.partition(" ")[0] for key in matches}))

    def _refuse(self, error: Exception, action: str) -> Answer:
        status, detail, headers = _told(error)
        caller = error.caller if isinstance(error, AccessError) else ""
        self._observe(RequestRefused(status, detail, action, caller))
        return problem(status, detail, {**headers, "Cache-Control": "no-store"})


_REFUSALS: Final = (
    AccessError,
    BadRequestError,
    NotThereError,
    NotNowError,
    DeliveryError,
)


def _told(error: Exception) -> tuple[int, str, Mapping[str, str]]:
    """Return status, detail and headers of what a refusal is answered."""
    match error:
        case AccessError():
            return error.status, error.detail, error.headers
        case DeliveryError():
            wait = max(1, round(error.wait)) if error.wait else _LATER
            detail = f"Blob storage does not answer: {error}"
            return HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": str(wait)}
        case NotThereError():
            return HTTPStatus.NOT_FOUND, str(error), {}
        case NotNowError():
            return HTTPStatus.CONFLICT, str(error), {}
        case _:
            return HTTPStatus.BAD_REQUEST, str(error), {}


class _NotAllowedError(AccessError):
    """A method that a resource does not have."""

    status = 405

    def __init__(self, methods: list[str]) -> None:
        super().__init__(f"it takes {' and '.join(methods)} only")
        self._methods = methods

    @property
    def headers(self) -> Mapping[str, str]:
        """Which methods it has."""
        return {"Allow": ", ".join(self._methods)}


def document(base: str) -> Answer:
    """Return the description of the surface, for where it is served."""
    written = json.loads(_DOCUMENT.read_text("utf-8"))
    return in_json({**written, "servers": [{"url": base.rstrip("/")}]})


def tagged(answer: Answer, told: Mapping[str, Any]) -> Answer:
    """Let an answer's tag follow from what it tells, where not every difference is a change."""
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return replace(answer, headers={**answer.headers, "ETag": f'W/"{digest[:32]}"'})


def _match(pattern: str, path: str) -> str | None:
    """Return the name that a path has where the pattern has `{name}`; `None`: no match."""
    before, has_name, after = pattern.partition("{name}")
    if not has_name:
        return "" if path == pattern else None
    name = path.removeprefix(before).removesuffix(after)
    is_like = path == before + name + after
    return name if is_like and name and "/" not in name else None


def _is_browser(headers: Mapping[str, str]) -> bool:
    return "text/html" in headers.get("accept", "")


def _query(written: str, known: frozenset[str]) -> dict[str, str]:
    """Return each parameter once; `code` is how the Functions host is shown a key."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(written, keep_blank_values=True):
        if name == "code":
            continue
        if name not in known:
            may = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise BadRequestError(f"there is no parameter {name!r}: {may}")
        if name in found:
            raise BadRequestError(f"the parameter {name!r} stands there twice")
        if not value:
            raise BadRequestError(f"the parameter {name!r} has no value")
        found[name] = value
    return found


def _body(request: Request) -> dict[str, Any]:
    """Read a JSON object; nothing at all is an empty one."""
    if "transfer-encoding" in request.headers and not request.get_body():
        # The Functions host hands over a body only where it knows its length.
        raise BadRequestError("chunked bodies don't get here: send a Content-Length")
    body = request.get_body()
    if len(body) > LARGEST_REQUEST:
        raise BadRequestError(f"the body has more than {LARGEST_REQUEST} bytes")
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadRequestError("the body is no JSON object")
    return found


def _conditional(request: Request, answer: Answer) -> Answer:
    """Add a tag by which a caller need not be sent again what he has."""
    if answer.status != HTTPStatus.OK:
        return answer
    digest = answer.headers.get("ETag") or f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    headers = {**answer.headers, "ETag": digest, "Cache-Control": "no-cache, private"}
    asked = request.headers.get("if-none-match", "")
    # Compared weakly (RFC 9110, 13.1.2): who compresses on the way makes a tag a weak one.
    told = [each.strip().removeprefix("W/") for each in asked.split(",")]
    if digest.removeprefix("W/") in told or asked.strip() == "*":
        kept = {name: headers[name] for name in ("ETag", "Cache-Control")}
        return Answer(HTTPStatus.NOT_MODIFIED, kept)
    body = b"" if request.method.upper() == "HEAD" else answer.body
    return replace(answer, headers=headers, body=body)
