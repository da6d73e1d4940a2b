"""The first step: who calls, by a token of his own or by App Service's word where it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from relay.operations.access import ForbiddenError
from relay.operations.app_service import HEADER, principal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from relay.operations.access import Caller
    from relay.settings import Api


class Request(Protocol):
    """What of a request tells who sent it, and from where."""

    @property
    def method(self) -> str:
        """Such as `POST`."""

    @property
    def url(self) -> str:
        """As the caller wrote it."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in lower case."""


class Identifier:
    """Tells who calls. A token counts before App Service's word: it is verified here.

    Args:
        api: whether App Service is believed.
        verify: tells whom the header Authorization names, or raises `AccessError`.
    """

    def __init__(self, api: Api, verify: Callable[[str | None], Awaitable[Caller]]) -> None:
        self._api = api
        self._verify = verify

    async def caller(self, request: Request) -> Caller:
        """Return who sent a request.

        Raises:
            AccessError: nobody who is known.
        """
        headers = request.headers
        token, word = headers.get("authorization"), headers.get(HEADER)
        if token or not word or not self._api.trusts_app_service:
            return await self._verify(token)
        if request.method.upper() not in {"GET", "HEAD"}:
            _check_origin(request)
        return principal(word, self._api.access)


def _check_origin(request: Request) -> None:
    """Refuse what another site's page lets a browser send, which adds the user's cookie."""
    headers = request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    host = headers.get("host") or urlsplit(request.url).netloc
    if site not in {"same-origin", "none"} or (origin and urlsplit(origin).netloc != host):
        raise ForbiddenError("a page of another site sent this: send it from the relay's own")
