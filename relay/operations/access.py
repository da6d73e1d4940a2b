"""Who calls: a bearer token of the tenant is verified, then asked whether it may.

Two steps, as Azure Digital Twins takes them: authenticate (401 names the fault), then authorise
(403 names what is missing). Nothing of a request but its headers is looked at. Where the
tenant's keys can't be had, nothing is known of the caller: that is our own trouble (503).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import jwt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from relay.settings import Access

    type Fetch = Callable[[], Awaitable[bytes]]

_ALGORITHM: Final = "RS256"
_LEEWAY: Final = 60
"""Seconds by which clocks may differ."""
_LONGEST_TOKEN: Final = 16 * 1024
_SMALLEST_KEY: Final = 2048
_FRESH: Final = 24 * 3600.0
"""Seconds after which keys are read again."""
_KNOWN: Final = 2 * _FRESH
"""Seconds after which keys that could not be read again are believed no longer."""
_PAUSE: Final = 30.0
"""Seconds between two readings: whoever makes up keys must not make us read without end."""
_PATIENCE: Final = 5.0
_LARGEST_ANSWER: Final = 512 * 1024
_CHINA: Final = (
    "https://login.chinacloudapi.cn",
    "https://login.partner.microsoftonline.cn",
)


class AccessError(Exception):
    """A caller is not let in.

    Attributes:
        status: of the HTTP answer.
        error: the code of RFC 6750, `""` where it has none.
        detail: what is wrong, in words that are safe to send and to log.
        caller: who it is, `""` while that is not known.
    """

    status = 401

    def __init__(self, detail: str, error: str = "", caller: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.error = error
        self.caller = caller

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the answer needs, the challenge of RFC 6750 among them."""
        if not self.error:
            return {"WWW-Authenticate": "Bearer"}
        said = self.detail.translate(_UNQUOTABLE)
        challenge = f'Bearer error="{self.error}", error_description="{said}"'
        return {"WWW-Authenticate": challenge}


class UnauthenticatedError(AccessError):
    """Who calls is not known: there is no token, or no good one."""


class ForbiddenError(AccessError):
    """Who calls is known, and may not."""

    status = 403


class UnverifiableError(AccessError):
    """The tenant's keys can't be had, so that nobody can be known for now."""

    status = 503

    @property
    def headers(self) -> Mapping[str, str]:
        """When to try again."""
        return {"Retry-After": str(int(_PAUSE))}


_UNQUOTABLE: Final = {ord('"'): "'", ord("\\"): "/", **dict.fromkeys(range(32), " ")}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a verified token names.

    Attributes:
        application: the client id of the application that asked for the token.
        object_id: of the service principal or the user.
        roles: the app roles that it has, or that the user has.
        scopes: what the application may do in a user's name.
        is_application: whether it calls in its own name, and not in a user's.
    """

    application: str
    object_id: str
    roles: frozenset[str]
    is_application: bool = True
    scopes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        application = f"application {self.application or '?'}"
        if self.is_application:
            return f"{application} (object id {self.object_id or '?'})"
        return f"user {self.object_id or '?'} by {application}"


class Authenticator:
    """Tells who calls.

    Args:
        access: whose tokens are believed.
        fetch: reads the tenant's keys; over HTTPS if none is given.
        ca_file: a CA to trust instead of the public ones.
    """

    def __init__(
        self, access: Access, fetch: Fetch | None = None, ca_file: str | None = None
    ) -> None:
        self._audiences = access.audiences
        self._tenant = access.tenant
        self._issuers = _issuers(access)
        url = f"{access.authority}/{access.tenant}/discovery/v2.0/keys"
        self._keys = Keys(fetch or (lambda: _fetch(url, ca_file)))

    async def caller(self, authorization: str | None) -> Caller:
        """Return who sent a request, by the value of its Authorization header.

        Raises:
            UnauthenticatedError: there is no token, or it is not good.
            UnverifiableError: the tenant's keys can't be had.
        """
        token = _bearer(authorization)
        key = await self._keys.find(_key_id(token))
        return _caller(self._claims(token, key))

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=self._audiences,
                issuer=self._issuers,
                leeway=_LEEWAY,
                options={"require": ["exp", "nbf", "iat", "aud", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise UnauthenticatedError(_words(error), "invalid_token") from error
        if claims.get("tid", self._tenant) != self._tenant:
            raise UnauthenticatedError("the token is of another tenant", "invalid_token")
        return claims


class Keys:
    """The tenant's signing keys: read once, again every day, and when a new one shows up.

    Args:
        fetch: reads the key set, as JSON.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read: float | None = None
        self._tried: float | None = None
        self._turn = asyncio.Lock()

    async def find(self, key_id: str) -> jwt.PyJWK:
        """Return the key of that id.

        Raises:
            UnauthenticatedError: the tenant has no such key.
            UnverifiableError: its keys can't be had.
        """
        async with self._turn:
            if key_id not in self._keys or self._age(self._read) > _FRESH:
                await self._refresh()
            if self._age(self._read) > _KNOWN:
                raise UnverifiableError("the tenant's keys can't be had for now")
            if key_id not in self._keys:
                detail = "the token is signed by a key that the tenant does not have"
                raise UnauthenticatedError(detail, "invalid_token")
            return self._keys[key_id]

    def _age(self, moment: float | None) -> float:
        return float("inf") if moment is None else _now() - moment

    async def _refresh(self) -> None:
        """Read the keys, unless that was tried just now; if they can't be had, keep the old."""
        if self._age(self._tried) < _PAUSE:
            return
        self._tried = _now()
        try:
            keys = _usable(await self._fetch())
        except (aiohttp.ClientError, OSError, ValueError):
            return
        if keys:
            self._keys, self._read = keys, self._tried


def permit(caller: Caller, role: str, applications: frozenset[str]) -> None:
    """Let a caller pass that has the role and is one of the applications; `""`, none: any.

    Raises:
        ForbiddenError: naming what is missing.
    """
    detail = ""
    if not caller.is_application:
        detail = "the token is a user's: send with an application's own"
    elif applications and caller.application not in applications:
        detail = f"{caller} is none of the applications that may"
    elif role and role not in caller.roles:
        detail = f"{caller} lacks the app role {role}: assign it in Entra, and get a new token"
    if detail:
        raise ForbiddenError(detail, "insufficient_scope", str(caller))


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("there is no bearer token in the header Authorization")
    if len(token) > _LONGEST_TOKEN:
        raise UnauthenticatedError("the token is too long to be one", "invalid_token")
    return token.strip()


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise UnauthenticatedError("it is no JSON Web Token", "invalid_token") from error
    key_id = header.get("kid")
    if header.get("alg") != _ALGORITHM:
        raise UnauthenticatedError(f"the token is not signed by {_ALGORITHM}", "invalid_token")
    if not isinstance(key_id, str):
        raise UnauthenticatedError("the token does not name its key", "invalid_token")
    return key_id


def _caller(claims: Mapping[str, Any]) -> Caller:
    roles = claims.get("roles")
    named = [each for each in roles if isinstance(each, str)] if isinstance(roles, list) else []
    application = str(claims.get("azp") or claims.get("appid") or "").lower()
    if not application:
        # So look ID tokens: they tell an application who signed in, and open nothing.
        detail = "it is no access token: it does not say which application asked for it"
        raise UnauthenticatedError(detail, "invalid_token")
    return Caller(
        application,
        str(claims.get("oid", "")),
        frozenset(named),
        is_application="scp" not in claims,
        scopes=frozenset(str(claims.get("scp", "")).split()),
    )


def _issuers(access: Access) -> list[str]:
    """Return how tokens of both versions name the tenant."""
    own = "chinacloudapi.cn" if access.authority in _CHINA else "windows.net"
    sts = f"https://sts.{own}/{access.tenant}/"
    return [sts, f"{access.authority}/{access.tenant}/v2.0"]


def _words(error: jwt.PyJWTError) -> str:
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words
    return "the token is not good"


_WORDS: Final[Mapping[type[jwt.PyJWTError], str]] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is meant for another audience",
    jwt.InvalidIssuerError: "the token was issued by somebody else",
    jwt.MissingRequiredClaimError: "the token lacks a claim that it must have",
    jwt.InvalidSignatureError: "the token's signature is not the tenant's",
}


def _usable(written: bytes) -> dict[str, jwt.PyJWK]:
    """Return the keys that may sign tokens, by id; an id that stands twice is nobody's.

    Raises:
        ValueError: it is no key set.
    """
    try:
        listed = json.loads(written)["keys"]
        entries = [each for each in listed if isinstance(each, dict)]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is no key set") from error
    named = [each for each in entries if isinstance(each.get("kid"), str)]
    counts = Counter(each["kid"] for each in named)
    found = {each["kid"]: _key(each) for each in named if counts[each["kid"]] == 1}
    return {key_id: key for key_id, key in found.items() if key is not None}


def _key(entry: Mapping[str, Any]) -> jwt.PyJWK | None:
    if entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key = jwt.PyJWK.from_dict(dict(entry), _ALGORITHM)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return key if key.key.key_size >= _SMALLEST_KEY else None


async def _fetch(url: str, ca_file: str | None) -> bytes:
    """Read the tenant's key set.

    Raises:
        OSError: the authority is out of reach, or does not answer in time.
        aiohttp.ClientError: the same, or it answers with an error.
        ValueError: it answers without end.
    """
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    context = ssl.create_default_context(cafile=ca_file)
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
        session.get(url, ssl=context, allow_redirects=False) as answer,
    ):
        answer.raise_for_status()
        body = b""
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > _LARGEST_ANSWER:
                raise ValueError("the answer does not end")
        return body


def _now() -> float:
    return asyncio.get_running_loop().time()
