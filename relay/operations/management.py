"""Asks Azure Resource Manager, with an identity that may read: it changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from azure.core import AsyncPipelineClient
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from relay.assignments import Assigned, assigned_of
from relay.causes import Service

if TYPE_CHECKING:
    from relay.identity import Identity
    from relay.needs import Need
    from relay.settings import Settings

_SECONDS: Final = 10.0
_PAGES: Final = 50
_FORBIDDEN: Final = 403
_ASSIGNMENTS: Final = "2022-04-01"
_RESOURCES: Final = {
    Service.EVENT_HUBS: "2024-01-01",
    Service.SERVICE_BUS: "2024-01-01",
    Service.STORAGE: "2025-06-01",
}
"""The versions of the interface, by what is asked about."""


class MayNotReadError(Exception):
    """No identity of the relay may read this; the text says what would let it."""


class NotAnsweredError(Exception):
    """Azure Resource Manager did not answer as it should; the text says how."""


class Management:
    """Azure Resource Manager, asked by whichever identity may read.

    Args:
        settings: where it is, and whom to trust.
        identities: who may ask, in the order in which they are tried.
    """

    def __init__(self, settings: Settings, identities: tuple[Identity, ...]) -> None:
        self._url = settings.management_url
        self._scope = f"{settings.cloud.management}/.default"
        self._ca_file = settings.ca_file
        self._identities = identities

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held open between two questions."""

    async def assigned_at(self, scope: str) -> list[Assigned]:
        """Return the role assignments at a scope and above, whoever holds them.

        Raises:
            MayNotReadError, NotAnsweredError: they can't be read.
        """
        return await self._assigned(scope, "atScope()")

    async def assigned_around(self, scope: str, object_id: str) -> list[Assigned]:
        """Return a principal's role assignments at, above and below a scope.

        Raises:
            MayNotReadError, NotAnsweredError: they can't be read.
        """
        return await self._assigned(scope, f"principalId eq '{object_id}'")

    async def properties(self, need: Need) -> dict[str, Any]:
        """Return the properties of a need's namespace or account.

        Raises:
            MayNotReadError, NotAnsweredError: they can't be read.
        """
        found = await self._get(need.resource.resource_id, _RESOURCES[need.service])
        properties = found.get("properties")
        return properties if isinstance(properties, dict) else {}

    async def network_rules(self, need: Need) -> dict[str, Any]:
        """Return the network rules of a need's namespace.

        Raises:
            MayNotReadError, NotAnsweredError: they can't be read.
        """
        path = f"{need.resource.resource_id}/networkRuleSets/default"
        found = await self._get(path, _RESOURCES[need.service])
        properties = found.get("properties")
        return properties if isinstance(properties, dict) else {}

    async def _assigned(self, scope: str, wanted: str) -> list[Assigned]:
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
        query = f"&$filter={quote(wanted)}"
        page = await self._get(path, _ASSIGNMENTS, query)
        found = list(page.get("value", []))
        for _ in range(_PAGES):
            following = page.get("nextLink")
            if not following or not str(following).startswith(self._url):
                break
            page = await self._fetch(str(following))
            found += page.get("value", [])
        try:
            return [assigned_of(each) for each in found]
        except (KeyError, TypeError) as error:
            raise NotAnsweredError(f"{self._url} answered in an unknown shape") from error

    async def _get(self, path: str, version: str, query: str = "") -> dict[str, Any]:
        return await self._fetch(f"{self._url}{path}?api-version={version}{query}")

    async def _fetch(self, url: str) -> dict[str, Any]:
        refusal = "no identity is there to ask with"
        for identity in self._identities:
            try:
                async with asyncio.timeout(_SECONDS):
                    return await self._ask(url, identity)
            except HttpResponseError as error:
                if error.status_code != _FORBIDDEN:
                    raise NotAnsweredError(_first_line(error)) from error
                refusal = _first_line(error)
            except Exception as error:
                raise NotAnsweredError(_first_line(error)) from error
        raise MayNotReadError(f"give the role Reader to see it ({refusal})")

    async def _ask(self, url: str, identity: Identity) -> dict[str, Any]:
        transport = AioHttpTransport(
            connection_timeout=_SECONDS,
            read_timeout=_SECONDS,
            connection_verify=self._ca_file or True,
        )
        policies = [
            AsyncBearerTokenCredentialPolicy(identity, self._scope),
            AsyncRetryPolicy(retry_total=1, retry_backoff_factor=0.1),
        ]
        client: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            self._url, policies=policies, transport=transport
        )
        async with client:
            response = await client.send_request(HttpRequest("GET", url))
            response.raise_for_status()
            answer = response.json()
        return answer if isinstance(answer, dict) else {}


def _first_line(error: Exception) -> str:
    message = getattr(getattr(error, "error", None), "message", None) or str(error)
    return " ".join(str(message or type(error).__name__).split("\n")[0].split())
