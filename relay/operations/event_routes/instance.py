"""An instance's event routes over its data plane: the only place that talks to it.

Paths, shapes and errors: the REST reference of the data plane, 2023-10-31.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from azure.core import AsyncPipelineClient
from azure.core.exceptions import (
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from relay.clouds import DIGITAL_TWINS
from relay.operations.event_routes.patience import TroubleError
from relay.operations.event_routes.plan import EventRoute
from relay.redaction import redacted

if TYPE_CHECKING:
    from azure.core.rest import AsyncHttpResponse

    from relay.operations.event_routes.sign_in import Credential

_VERSION: Final = "api-version=2023-10-31"
_SECONDS: Final = 20.0
_PAGES: Final = 50
_LONGEST: Final = 500
_OF_THE_NETWORK: Final = re.compile(
    r"public\s*network|private\s*(endpoint|link)", re.IGNORECASE
)
_PASSING: Final = frozenset({401, 403, 404, 408, 429})
_NOT_ACTIVE: Final = "EventRouteEndpointInvalid"
_NOT_FOUND: Final = "EventRouteNotFound"


class NoTokenError(TroubleError):
    """Nobody is signed in, or whoever is gets no token for Azure Digital Twins."""


class AnswerError(TroubleError):
    """The instance refused, or gave no answer.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        code: the service's own; `""` where it gave none.
        said: its words, without anything secret; `""` where it gave none.
    """

    def __init__(
        self, host: str, status: int, code: str, said: str, after: float | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.said = said
        told = " ".join(filter(None, (str(status or ""), code)))
        text = f"{host} answered {told}" if status else f"{host} gave no answer"
        super().__init__(
            f"{text}: {said.rstrip('.')}" if said else text, passes=self._passes(), after=after
        )

    @property
    def is_of_the_network(self) -> bool:
        """Whether it says itself that the call came from outside its network."""
        words = f"{self.code} {self.said}"
        return self.status == HTTPStatus.FORBIDDEN and bool(_OF_THE_NETWORK.search(words))

    def _passes(self) -> bool:
        """Roles, names and endpoints that are new take minutes; what is wrong stays wrong."""
        if not self.status:
            return "CERTIFICATE_VERIFY_FAILED" not in self.said
        if self.is_of_the_network or self.code == _NOT_FOUND:
            return False
        is_ill = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return is_ill or self.status in _PASSING or self.code == _NOT_ACTIVE


class Instance:
    """The event routes of one instance.

    Args:
        address: such as `https://plant.api.weu.digitaltwins.azure.net`.
        credential: who asks.
        ca_file: authorities to trust instead of the public ones.
    """

    def __init__(self, address: str, credential: Credential, ca_file: str | None) -> None:
        self._address = address
        self._host = urlsplit(address).hostname or address
        self._credential = credential
        self._ca_file = ca_file

    async def event_routes(self) -> list[EventRoute]:
        """Return all event routes, whichever endpoint they lead to.

        Raises:
            TroubleError: they can't be read.
        """
        url, found = f"{self._address}/eventroutes?{_VERSION}", list[EventRoute]()
        for _ in range(_PAGES):
            page = await self._ask("GET", url)
            try:
                found += [_event_route(each) for each in page["value"]]
            except (KeyError, TypeError) as error:
                raise self._strange() from error
            following = page.get("nextLink")
            if not following:
                return found
            # The token goes where it is meant for and nowhere else, whatever a page says.
            if not str(following).startswith(f"{self._address}/"):
                raise TroubleError(f"{self._host} has its next page at another host")
            url = str(following)
        raise self._strange()

    async def put(self, route: EventRoute) -> None:
        """Create the event route, or make it what it should be.

        Raises:
            TroubleError: it was refused.
        """
        body = {"endpointName": route.endpoint, "filter": route.filter}
        await self._ask("PUT", self._url(route.id), body)

    async def delete(self, route_id: str) -> None:
        """Delete an event route; one that isn't there is deleted.

        Raises:
            TroubleError: it was refused.
        """
        try:
            await self._ask("DELETE", self._url(route_id))
        except AnswerError as error:
            if error.code != _NOT_FOUND:
                raise

    def _url(self, route_id: str) -> str:
        return f"{self._address}/eventroutes/{quote(route_id, safe='')}?{_VERSION}"

    def _strange(self) -> TroubleError:
        return TroubleError(f"{self._host} answered in an unknown shape")

    async def _ask(
        self, method: str, url: str, body: dict[str, str] | None = None
    ) -> dict[str, Any]:
        request = HttpRequest(method, url, json=body)
        try:
            async with asyncio.timeout(_SECONDS):
                response = await self._send(request)
        except HttpResponseError as error:  # the credential's: nothing here raises for a status
            raise NoTokenError(_plain(str(error))) from error
        except (ServiceRequestError, ServiceResponseError, OSError) as error:
            said = _first_line(error) or f"nothing came within {_SECONDS:g} seconds"
            raise AnswerError(self._host, 0, "", said) from error
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refusal(response)
        return _json(response)

    async def _send(self, request: HttpRequest) -> AsyncHttpResponse:
        """Send a request, by a client of its own: of a new token and new addresses.

        It follows nobody elsewhere and does not try again: that is done once, above.
        """
        transport = AioHttpTransport(
            connection_timeout=_SECONDS,
            read_timeout=_SECONDS,
            connection_verify=self._ca_file or True,
        )
        policy = AsyncBearerTokenCredentialPolicy(self._credential, f"{DIGITAL_TWINS}/.default")
        client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            self._address, policies=[policy], transport=transport
        )
        async with client:
            response: AsyncHttpResponse = await client.send_request(request)
            return response

    def _refusal(self, response: AsyncHttpResponse) -> AnswerError:
        error = _json(response).get("error")
        told = error if isinstance(error, dict) else {}
        code = _plain(response.headers.get("x-ms-error-code") or str(told.get("code") or ""))
        said = _plain(str(told.get("message") or ""))
        after = _seconds(response.headers.get("Retry-After"))
        return AnswerError(self._host, response.status_code, code, said, after)


def _event_route(written: dict[str, Any]) -> EventRoute:
    return EventRoute(
        str(written["id"]), str(written["endpointName"]), str(written.get("filter") or "")
    )


def _json(response: AsyncHttpResponse) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(retry_after: str | None) -> float | None:
    """Read `Retry-After`: seconds, or a date (RFC 9110)."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(
        0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    )


def _first_line(error: Exception) -> str:
    return _plain(str(error).split("\n")[0])


def _plain(said: str) -> str:
    """Return others' words in one line, without anything secret that they echo."""
    return redacted(" ".join(said.split()))[:_LONGEST]
