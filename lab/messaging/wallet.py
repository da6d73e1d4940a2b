"""The tokens that a connection has put, and what they allow."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from lab.identity import Claims, Directory
    from lab.messaging.model import Service
    from lab.messaging.node import Claim


def entity_path(address: str) -> str:
    """Return the path of an address or audience: no scheme, host or outer slashes."""
    path = urlsplit(address).path if "://" in address else address
    return unquote(path).strip("/")


class Wallet:
    """Tokens by audience path; one connection's."""

    def __init__(self, directory: Directory, service: Service) -> None:
        self._directory = directory
        self._service = service
        self._tokens: dict[str, Claims] = {}

    def put(self, path: str, claims: Claims) -> None:
        """Keep a verified token for an audience path, in the place of an earlier one."""
        self._tokens[path.lower()] = claims

    def covers(self, claim: Claim) -> bool:
        """Tell whether a good token concerns the claim's path, whatever it allows."""
        return bool(self._bearers(claim))

    def allows(self, claim: Claim) -> bool:
        """Tell whether a good token concerns the path and its bearer has the role."""
        action = f"{self._service}/{claim.right.lower()}"
        return any(
            self._directory.allows(bearer.object_id, action, claim.scope)
            for bearer in self._bearers(claim)
        )

    def _bearers(self, claim: Claim) -> list[Claims]:
        wanted = claim.path.lower()
        return [
            claims
            for path, claims in self._tokens.items()
            if _related(path, wanted) and self._directory.good(claims)
        ]


def _related(one: str, other: str) -> bool:
    """Tell whether two paths are equal or one lies below the other."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or not shorter or longer.startswith(shorter + "/")
