"""A principal's tokens for the SDKs, straight from the directory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from azure.core.credentials import AccessToken

if TYPE_CHECKING:
    from lab.identity.directory import Directory, Principal


class DirectoryCredential:
    """What a service of the lab's own shows to another one (`AsyncTokenCredential`)."""

    def __init__(self, directory: Directory, principal: Principal, resource: str) -> None:
        self._directory = directory
        self._principal = principal
        self._resource = resource

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return a new token."""
        token = self._directory.issue(self._principal, self._resource)
        lifetime = self._directory.token_lifetime.total_seconds()
        return AccessToken(token, int(time.time() + lifetime))

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aenter__(self) -> Self:
        """Nothing is opened."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Nothing is held open."""
