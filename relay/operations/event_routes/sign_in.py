"""Who asks: the app's managed identity, or whoever deploys, by his own sign-in.

What deploys the relay runs on a laptop or in a pipeline, where no managed identity is. It may
have signed in by `azd` or `az`, or hold a federated token (OIDC). No client secret, certificate
or password is read, from the environment or elsewhere: `DefaultAzureCredential`, which would,
is not used.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from azure.identity.aio import (
    AzureCliCredential,
    AzureDeveloperCliCredential,
    ChainedTokenCredential,
    WorkloadIdentityCredential,
)

from relay.identity import Identity
from relay.refusals import Principal
from relay.tokens import NOBODY, claims_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials import AccessToken

_FEDERATED: Final = ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID")


class SignIn(StrEnum):
    """By what the caller has signed in."""

    AUTO = "auto"
    """The managed identity or federated token that the environment names; else azd, then az."""
    MANAGED_IDENTITY = "managed-identity"
    WORKLOAD_IDENTITY = "workload-identity"
    AZD = "azd"
    AZ = "az"


class Credential(Protocol):
    """What gives tokens, and remembers whom the last one named."""

    @property
    def principal(self) -> Principal:
        """Who asks, as far as known."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token."""

    async def close(self) -> None:
        """Let go of connections."""

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(self, *_: object) -> None:
        """Let go of connections."""


class _SignedIn:
    """A credential of the SDK that remembers whom its last token named."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._claims = NOBODY

    @property
    def principal(self) -> Principal:
        claims = self._claims
        return Principal("caller", claims.client_id, claims.object_id, claims.issued)

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        token: AccessToken = await self._credential.get_token(*scopes, **options)
        self._claims = claims_of(token.token)
        return token

    async def close(self) -> None:
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def credential(how: SignIn, client_id: str, environment: Mapping[str, str]) -> Credential:
    """Return what gives tokens.

    Args:
        how: by what the caller has signed in.
        client_id: of a user-assigned managed identity; `""` for the system-assigned one.
        environment: what tells an app's or a pipeline's own identity.

    Raises:
        ValueError: the environment names no federated token.
    """
    if how is SignIn.AUTO:
        how = _told_by(environment)
    missing = [name for name in _FEDERATED if not environment.get(name)]
    if how is SignIn.WORKLOAD_IDENTITY and missing:
        raise ValueError(f"the environment lacks {', '.join(missing)}")
    if how is SignIn.MANAGED_IDENTITY:
        return Identity(client_id, retried=False)
    return _SignedIn(_SDK[how]())


def _told_by(environment: Mapping[str, str]) -> SignIn:
    if environment.get("IDENTITY_ENDPOINT"):
        return SignIn.MANAGED_IDENTITY
    if all(environment.get(name) for name in _FEDERATED):
        return SignIn.WORKLOAD_IDENTITY
    return SignIn.AUTO


_SDK: Final[Mapping[SignIn, Callable[[], Any]]] = {
    SignIn.AUTO: lambda: ChainedTokenCredential(
        AzureDeveloperCliCredential(), AzureCliCredential()
    ),
    SignIn.WORKLOAD_IDENTITY: WorkloadIdentityCredential,
    SignIn.AZD: AzureDeveloperCliCredential,
    SignIn.AZ: AzureCliCredential,
}
