"""The Discovery API: service tags by an identity, without a download.

It needs `Microsoft.Network/*/read` on the subscription, which *Reader* has. Its answer may be
older than the file by up to four weeks, and leaves out regional tags
(MicrosoftDocs/azure-docs, virtual-network/service-tags-overview.md).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from azure.core.exceptions import AzureError

from relay.failures import Reason
from relay.operations.service_tags.tags import ServiceTagsError, tags_of
from relay.sdk_errors import STATUSES, reason_of

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

    from relay.operations.service_tags.tags import TagList

API_VERSION: Final = "2023-09-01"
MANAGEMENT: Final = "https://management.azure.com"

_PATIENCE: Final = 60.0


class Credential(Protocol):
    """What gives tokens: an `Identity`, or a credential of the SDK."""

    async def get_token(self, *scopes: str) -> AccessToken:
        """Return a token for a scope."""


class DiscoveryError(Exception):
    """The list can't be had; the message says why, and what would help.

    Args:
        message: for people.
        reason: why, as far as the status or the SDK tells; else `unknown`.
    """

    def __init__(self, message: str, reason: Reason = Reason.UNKNOWN) -> None:
        super().__init__(message)
        self.reason = reason


async def discover(
    credential: Credential,
    subscription: str,
    location: str,
    *,
    management: str = MANAGEMENT,
    audience: str = MANAGEMENT,
    ca_file: str | None = None,
) -> tuple[TagList, dict[str, Any]]:
    """Ask for all service tags; returned as read, and as they came.

    Args:
        credential: whose token is shown.
        subscription: any that the identity may read.
        location: an Azure region; it chooses the version of the list, not what is in it.
        management: the address of Azure Resource Manager.
        audience: whom tokens for it are made out to.
        ca_file: authorities to trust instead of the public ones.

    Raises:
        DiscoveryError: there is no list.
    """
    path = f"/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}"
    url = f"{management}{path}/serviceTags?api-version={API_VERSION}"
    try:
        token = await _token(credential, audience)
        whole = await _pages(token.token, url, management, ca_file)
        return tags_of(whole), whole
    except (aiohttp.ClientError, OSError, ValueError, ServiceTagsError) as error:
        raise DiscoveryError(f"the Discovery API gave no list: {error}") from error


async def _token(credential: Credential, audience: str) -> AccessToken:
    try:
        return await credential.get_token(f"{audience}/.default")
    except AzureError as error:
        raise DiscoveryError(
            f"the Discovery API gave no list: {error}", reason_of(error)
        ) from error


async def _pages(token: str, url: str, management: str, ca_file: str | None) -> dict[str, Any]:
    context = await asyncio.to_thread(ssl.create_default_context, cafile=ca_file)
    whole: dict[str, Any] = {}
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=_PATIENCE),
        headers={"Authorization": f"Bearer {token}"},
        connector=aiohttp.TCPConnector(ssl=context),
        trust_env=True,
    ) as session:
        while url:
            # The token goes where it is meant for and nowhere else, whatever a page says.
            if not url.startswith(f"{management}/"):
                raise DiscoveryError("its next page would be at another host")
            page = await _page(session, url)
            values = [*whole.get("values", []), *page["values"]]
            whole = {**page, **whole, "values": values}
            url = str(page.get("nextLink") or "")
    whole.pop("nextLink", None)
    return whole


async def _page(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False) as answer:
        body = await answer.read()
    if answer.status != HTTPStatus.OK:
        reason = STATUSES.get(answer.status, Reason.UNKNOWN)
        raise DiscoveryError(_refusal(answer.status, body), reason)
    page = json.loads(body)
    if not isinstance(page, dict) or not isinstance(page.get("values"), list):
        raise ServiceTagsError("it is no list of service tags")
    return page


def _refusal(status: int, body: bytes) -> str:
    """Say what ARM says, and whose role is missing where one is."""
    try:
        said = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = "it does not say why"
    hint = (
        ". The identity needs the role Reader (acdd72a7-3385-48ef-bd42-f606fba81ae7) on the "
        "subscription"
    )
    is_refusal = status == HTTPStatus.FORBIDDEN
    return f"the Discovery API answered {status}: {said}{hint if is_refusal else ''}"
