"""A managed identity for code that runs inside the lab's own process."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azure.identity.aio import ManagedIdentityCredential

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def managed_identity(
    endpoint: str, header: str, client_id: str | None = None
) -> ManagedIdentityCredential:
    """Return the SDK's credential for the identity that `endpoint` and `header` belong to.

    The SDK knows these two from the environment alone and reads them once, when the credential
    is made; several identities live in the lab's process, so each is shown its own.

    Args:
        endpoint: the value of `IDENTITY_ENDPOINT`.
        header: the value of `IDENTITY_HEADER`.
        client_id: a user-assigned identity; without it the system-assigned one.
    """
    with _environment({"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": header}):
        return ManagedIdentityCredential(client_id=client_id)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a moment in which nothing else runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
