"""Azure Digital Twins for pages in browsers, which its data plane does not answer: no CORS.

The proxy leads to one configured instance and nowhere else. It shows the caller's own token, so
that the instance's role assignments decide; the relay's identity is not lent. Only documented
headers pass. Data plane and its headers: the instance's REST reference, 2023-10-31.

How bodies pass is a matter of its own: `relay/operations/bodies.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import aiohttp
import jwt
from yarl import URL

from relay.observer import RequestRefused
from relay.operations.answers import (
    PROBLEM,
    Answer,
    BrokenOffError,
    Flow,
    RefusedError,
    problem,
)
from relay.operations.bodies import Sent, Whole
from relay.permissions import TWINS
from relay.refusals import TWINS_OWNER, TWINS_READER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from relay.observer import Observer
    from relay.operations.bodies import Bodies
    from relay.settings import TwinsInstance

METHODS: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")
SENT: Final = (
    "accept",
    "authorization",
    "content-type",
    "if-match",
    "if-none-match",
    "max-items-per-page",
    "message-id",
    "operation-id",
    "telemetry-source-time",
    "traceparent",
    "tracestate",
)
"""The request headers that pass."""
RETURNED: Final = (
    "content-type",
    "etag",
    "operation-location",
    "query-charge",
    "retry-after",
    "x-ms-error-code",
)
"""The headers of an answer that pass."""

_AREAS: Final = frozenset({"digitaltwins", "eventroutes", "jobs", "models", "query"})
_PATH: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/%-]+")
_QUERY: Final = re.compile(r"[!-~]*")
_HIDDEN: Final = frozenset({"code", "clientid"})
"""Query parameters by which the Functions host is shown a key: they end here."""
_REMEMBERED: Final = 600
"""Seconds for which a browser need not ask again; some browsers cap it at that or below."""
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Request(Sent, Protocol):
    """What the proxy asks of a request."""

    @property
    def method(self) -> str:
        """Such as `POST`."""

    @property
    def url(self) -> str:
        """As the caller wrote it."""


@dataclass(frozen=True, slots=True)
class _Unreached(Answer):
    """What is answered for an instance out of reach: why is for the log, not for strangers."""

    why: str = ""


class TwinsProxy:
    """Answers requests under `/api/twins/`, or where an app of several relays has it.

    Args:
        instance: where it leads, and for whom.
        observe: hears of requests that are refused.
        base: how the paths of its own begin.
        ca_file: authorities to trust instead of the public ones.
        bodies: how bodies pass; whole, if nothing else is said.
    """

    def __init__(
        self,
        instance: TwinsInstance,
        observe: Observer,
        base: str = "/api/twins/",
        ca_file: str | None = None,
        bodies: Bodies | None = None,
    ) -> None:
        self._base = base
        self._observe = observe
        self._instance = instance
        self._host = urlsplit(instance.address).hostname or ""
        self._ca_file = ca_file
        self._bodies: Bodies = bodies or Whole()
        self._opening = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def answer(self, request: Request) -> Answer:
        """Answer a request; a page of an origin that is not allowed can't read the answer."""
        answer = _varied(await self._answer(request))
        if answer.headers.get("Content-Type") == PROBLEM:
            detail = str(json.loads(answer.body)["detail"])
            why = f": {answer.why}" if isinstance(answer, _Unreached) else ""
            self._observe(RequestRefused(answer.status, f"{detail}{why}", TWINS))
        return answer

    async def _answer(self, request: Request) -> Answer:
        origin = request.headers.get("origin", "")
        if origin not in self._instance.origins:
            detail = (
                f"pages of {origin!r} may not use this proxy: add the origin to TWINS_ORIGINS"
                if origin
                else "this proxy is for pages in browsers: the header Origin is missing"
            )
            return problem(HTTPStatus.FORBIDDEN, detail)
        if request.method.upper() == "OPTIONS":
            return _preflight(origin, request.headers)
        return _shared(origin, await self._forward(request))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _forward(self, request: Request) -> Answer:
        try:
            target = _checked(self._instance.address, self._base, request)
            return await self._ask(target, request)
        except RefusedError as refused:
            return refused.answer
        except TimeoutError:
            return problem(504, f"{self._host} did not answer in time")
        except aiohttp.ClientPayloadError:
            return problem(502, f"{self._host} broke off its answer: ask again")
        except (aiohttp.ClientError, OSError) as error:
            answer = problem(502, f"{self._host} can't be reached; the relay's log says why")
            return _Unreached(answer.status, answer.headers, answer.body, str(error))

    async def _ask(self, target: URL, request: Request) -> Answer:
        passing = (*SENT, *self._bodies.sent)
        headers = {name: request.headers[name] for name in passing if name in request.headers}
        sent = self._bodies.of(request)
        session = await self._opened()
        reply = await session.request(
            request.method.upper(), target, headers=headers, data=sent, allow_redirects=False
        )
        answer: Answer | None = None
        try:
            answer = await self._answered(reply, request)
        finally:
            if not isinstance(answer, Flow):
                reply.close()  # one that was read to its end has left its connection already
        return answer

    async def _answered(self, reply: aiohttp.ClientResponse, request: Request) -> Answer:
        if HTTPStatus(reply.status).is_redirection and reply.status != 304:  # noqa: PLR2004
            return problem(502, f"{self._host} sends elsewhere, where nobody is followed")
        passed = {name: reply.headers[name] for name in RETURNED if name in reply.headers}
        if reply.status == HTTPStatus.FORBIDDEN:
            body = await self._bodies.refusal(reply)
            method, authorization = request.method.upper(), request.headers["authorization"]
            return _refused(self._host, method, authorization, body, passed)
        more = self._bodies.returned
        passed |= {name: reply.headers[name] for name in more if name in reply.headers}
        answer = await self._bodies.answer(reply, passed)
        if isinstance(answer, Flow):
            return replace(answer, pieces=self._heard(answer.pieces))
        return answer

    async def _heard(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Tell of an answer that breaks off: its status has been sent long since."""
        try:
            async for piece in pieces:
                yield piece
        except BrokenOffError as error:
            detail = f"{self._host} broke off its answer midway: {error}"
            self._observe(RequestRefused(HTTPStatus.BAD_GATEWAY, detail, TWINS))
            raise

    async def _opened(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                self._session = _session(
                    await asyncio.to_thread(ssl.create_default_context, cafile=self._ca_file),
                    self._bodies,
                )
        return self._session


def _session(context: ssl.SSLContext, bodies: Bodies) -> aiohttp.ClientSession:
    left_alone = ("User-Agent", "Content-Type")
    return aiohttp.ClientSession(
        timeout=bodies.timeout,
        auto_decompress=bodies.decodes,
        connector=aiohttp.TCPConnector(ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=left_alone if bodies.decodes else (*left_alone, "Accept-Encoding"),
        trust_env=True,
    )


def _preflight(origin: str, headers: Mapping[str, str]) -> Answer:
    """Answer what a browser asks before it sends what is no plain form."""
    method = headers.get("access-control-request-method", "").upper()
    asked = _names(headers.get("access-control-request-headers", ""))
    if method not in METHODS:
        return problem(HTTPStatus.FORBIDDEN, f"pages may not send {method or 'that'} here")
    if strange := [name for name in asked if name not in SENT]:
        detail = f"these headers do not pass: {', '.join(strange)}"
        return problem(HTTPStatus.FORBIDDEN, detail)
    granted = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(SENT),
        "Access-Control-Max-Age": str(_REMEMBERED),
    }
    return Answer(HTTPStatus.NO_CONTENT, granted)


def _names(listed: str) -> list[str]:
    return [name.strip().lower() for name in listed.split(",") if name.strip()]


def _shared(origin: str, answer: Answer) -> Answer:
    """Let the page read an answer, and the headers of it that the data plane documents."""
    granted = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(
            name for name in RETURNED if name != "content-type"
        ),
    }
    return replace(answer, headers={**answer.headers, **granted})


def _varied(answer: Answer) -> Answer:
    """Keep caches from giving one origin's answer to another, and from keeping any."""
    vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    return replace(
        answer, headers={**answer.headers, "Vary": vary, "Cache-Control": "no-store"}
    )


def _checked(address: str, base: str, request: Request) -> URL:
    """Return where a request goes.

    Raises:
        RefusedError: nowhere.
    """
    method = request.method.upper()
    if method not in METHODS:
        allow = {"Allow": ", ".join((*METHODS, "OPTIONS"))}
        raise RefusedError(problem(405, f"{method} is no method of the data plane", allow))
    if not request.headers.get("authorization", "").lower().startswith("bearer "):
        detail = (
            "there is no bearer token: sign in, and send your own token for "
            "https://digitaltwins.azure.net"
        )
        raise RefusedError(problem(401, detail, {"WWW-Authenticate": "Bearer"}))
    try:
        return _target(address, base, request.url)
    except ValueError as error:
        raise RefusedError(problem(HTTPStatus.BAD_REQUEST, str(error))) from error


def _target(address: str, base: str, url: str) -> URL:
    """Return where a request goes: the instance's host, always, and the caller's path.

    Raises:
        ValueError: the path is none of the data plane, or the version is missing.
    """
    parts = urlsplit(url)
    path = parts.path[len(base) :]
    if not parts.path.lower().startswith(base) or not _is_plain(path):
        areas = ", ".join(sorted(_AREAS))
        raise ValueError(f"no such path in the data plane; it begins with one of: {areas}")
    if not _QUERY.fullmatch(parts.query):
        raise ValueError("the query is not percent-encoded")
    query = [part for part in parts.query.split("&") if part and not _is_hidden(part)]
    versions = [part for part in query if part.startswith("api-version=")]
    if len(versions) != 1 or versions == ["api-version="]:
        raise ValueError("say api-version once, for example ?api-version=2023-10-31")
    return URL(f"{address}/{path}?{'&'.join(query)}", encoded=True)


def _is_plain(path: str) -> bool:
    """Whether a path stays in the data plane, read once or twice: servers differ in that."""
    segments = [*_readings(path)]
    return (
        bool(_PATH.fullmatch(path))
        and path.partition("/")[0].lower() in _AREAS
        and not any(each in {"", ".", ".."} or "\\" in each for each in segments)
        and not any(ord(char) < 32 for each in segments for char in each)  # noqa: PLR2004
    )


def _readings(path: str) -> Iterable[str]:
    for read in (path, unquote(path), unquote(unquote(path))):
        yield from read.split("/")


def _is_hidden(part: str) -> bool:
    return unquote(part.partition("=")[0]).lower() in _HIDDEN


def _refused(
    host: str, method: str, authorization: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    """Say what may be the matter; the instance's own error stays where its clients look."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        error = None
    return problem(
        HTTPStatus.FORBIDDEN,
        f"{host} refused the caller: {_said(error)}. Look at the causes in their order.",
        {name: value for name, value in headers.items() if name != "content-type"},
        error=error,
        causes=_causes(host.partition(".")[0], method, authorization),
    )


def _said(error: Any) -> str:
    said = error.get("message") if isinstance(error, dict) else None
    return str(said or "it does not say why").rstrip(".")


def _causes(instance: str, method: str, authorization: str) -> list[dict[str, str]]:
    """What Microsoft's page on the error 403 has, and what the instance's network may do."""
    role = TWINS_READER if method == "GET" else TWINS_OWNER
    who = _object_id(authorization)
    return [
        {
            "cause": f"the caller lacks the role {role.name} ({role.id}) on the instance, or "
            "was given it only minutes ago; Owner of the subscription or resource is not it",
            "remedy": f"az dt role-assignment create --dt-name {instance} --assignee {who} "
            f"--role {role.id}",
        },
        {
            "cause": "the app registration that signed the caller in lacks the permission "
            "Read.Write of Azure Digital Twins (0b07f429-9f4b-4714-9392-cc5e8e80c8b0)",
            "remedy": "az ad app permission list --id '<client id of the app>'",
        },
        {
            "cause": "the instance takes calls by private endpoints only, and this app's "
            "network has none: then it refuses every token so",
            "remedy": f"az dt show --dt-name {instance} --query publicNetworkAccess",
        },
    ]


def _object_id(authorization: str) -> str:
    """Read whom a token names, to show it; the instance judges the token, not we."""
    try:
        claims = jwt.decode(
            authorization.partition(" ")[2].strip(), options={"verify_signature": False}
        )
        found = str(claims.get("oid", ""))
    except (jwt.PyJWTError, ValueError):
        found = ""
    return found if _GUID.fullmatch(found) else "'<object id>'"
