"""The managed identity, and who its token says it is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Self

from azure.identity import ManagedIdentityCredential as BlockingCredential
from azure.identity.aio import ManagedIdentityCredential

from relay.failures import DeliveryError
from relay.refusals import Principal
from relay.sdk_errors import cause_of_no_token, reason_of
from relay.settings import ManagedIdentity
from relay.tokens import NOBODY, Claims, claims_of

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

_FRESH: Final = 300
"""Seconds for which a token must still be good to be no matter: then SDKs ask for another."""
_ANSWER_SECONDS: Final = 10.0
"""For a token, for which the SDK else waits minutes, and every route of the batch with it."""


class Identity:
    """One managed identity of the function app, with one credential and one token cache.

    An Azure credential for the SDKs (`get_token`), which also remembers whom the last token
    named, since a refusal is mended by object id.

    Args:
        client_id: of a user-assigned identity; `""` for the system-assigned one.
        resource_id: of a user-assigned identity, in place of the client id.
        retried: whether a failing identity endpoint is asked again at once.
    """

    def __init__(
        self, client_id: str = "", resource_id: str = "", *, retried: bool = True
    ) -> None:
        self._which = ManagedIdentity(client_id, resource_id)
        self._options = {} if retried else {"retry_total": 0}
        self._credential: ManagedIdentityCredential | None = None
        self._is_stale = False
        self._good_until: dict[str, float] = {}  # by scope, in seconds since 1970
        self._turn = asyncio.Lock()  # so that nobody closes what another one uses
        self._claims = NOBODY

    @property
    def claims(self) -> Claims:
        """What the last token said; `NOBODY` while there was none."""
        return self._claims

    @property
    def principal(self) -> Principal:
        """Who the relay is by this identity, as far as known."""
        client_id = self._which.client_id or self._claims.client_id
        claims = self._claims
        return Principal(self._which.name, client_id, claims.object_id, claims.issued)

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token; the SDKs call this.

        Raises:
            azure.core.exceptions.AzureError: the identity endpoint gave none.
        """
        async with self._turn:
            if self._is_stale:
                await self.close()
            if self._credential is None:
                self._credential = self._new_credential()
            token: AccessToken = await self._credential.get_token(*scopes, **options)
            self._claims = claims_of(token.token)
            self._good_until.update(dict.fromkeys(scopes, token.expires_on))
            return token

    def _new_credential(self) -> ManagedIdentityCredential:
        """Make the SDK's credential; the aio one passes the endpoint's own parameters on."""
        by_id = {"mi_res_id": self._which.resource_id} if self._which.resource_id else None
        return ManagedIdentityCredential(
            client_id=self._which.client_id or None, identity_config=by_id, **self._options
        )

    def forget(self) -> None:
        """Ask for a new token next time: a service did not accept the cached one."""
        self._is_stale = True

    async def check(self, audience: str) -> None:
        """Make sure of a token before an SDK asks for it, since SDKs hide why they got none.

        Raises:
            DeliveryError: `unauthenticated` if the identity endpoint refuses, `unavailable`,
                `throttled` or `timeout` if it is in trouble or out of reach.
        """
        scope = f"{audience}/.default"
        if not self._is_stale and self._good_until.get(scope, 0) > time.time() + _FRESH:
            return
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.get_token(scope)
        except Exception as error:
            why = str(error) or f"no answer within {_ANSWER_SECONDS:g} seconds"
            cause = cause_of_no_token(error)
            raise DeliveryError(
                reason_of(error), f"no token for {audience} ({cause}): {why}"
            ) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection to the identity endpoint."""
        if self._credential is not None:
            await self._credential.close()
        self._credential, self._is_stale = None, False


class BlockingIdentity:
    """The same for what runs in a thread of its own: an exporter of telemetry.

    Args:
        client_id: of a user-assigned identity; `""` for the system-assigned one.
    """

    def __init__(self, client_id: str = "") -> None:
        self._which = ManagedIdentity(client_id)
        self._credential = BlockingCredential(client_id=client_id or None)
        self._claims = NOBODY

    @property
    def principal(self) -> Principal:
        """Who the relay is by this identity, as far as known."""
        claims = self._claims
        client_id = self._which.client_id or claims.client_id
        return Principal(self._which.name, client_id, claims.object_id, claims.issued)

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token; the SDKs call this.

        Raises:
            azure.core.exceptions.AzureError: the identity endpoint gave none.
        """
        token: AccessToken = self._credential.get_token(*scopes, **options)
        self._claims = claims_of(token.token)
        return token
