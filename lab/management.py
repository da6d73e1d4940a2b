"""Azure Resource Manager, as far as the relay's own tools ask it: resources and assignments.

It reads and changes nothing. The shapes are those of Microsoft's REST reference: role
assignments 2022-04-01, namespaces of Event Hubs and Service Bus 2024-01-01 with their network
rule sets, storage accounts 2025-06-01. Whoever asks needs *Reader* at the scope or above.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from aiohttp import web

from lab.identity.roles import RESOURCE_GROUP, covers
from lab.identity.tokens import TokenRefused
from lab.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.certificates import TlsFiles
    from lab.identity import Assignment, Claims, Directory

AUDIENCES: Final = ("https://management.azure.com", "https://management.core.windows.net")
READ: Final = "management/read"

_ASSIGNMENTS: Final = "/providers/Microsoft.Authorization/roleAssignments"
_ASSIGNED: Final = UUID("1b2f2a52-6a4f-5f0e-8b2b-3a8f2c7d9e10")
_OF_PRINCIPAL: Final = re.compile(r"principalId eq '([0-9a-fA-F-]+)'")
_SUBSCRIPTION: Final = "/".join(RESOURCE_GROUP.split("/")[:3])


@dataclass(frozen=True, slots=True)
class Posture:
    """How a namespace or an account is locked.

    Attributes:
        local_auth: whether keys open it too.
        public_network: `Enabled`, `Disabled` or, for storage with rules, `Enabled`.
        default_action: what its firewall does with an address that no rule names.
        trusted_services: whether trusted Microsoft services come past the firewall.
        private_endpoints: how many it has.
    """

    local_auth: bool = False
    public_network: str = "Disabled"
    default_action: str = "Deny"
    trusted_services: bool = False
    private_endpoints: int = 1


LANDING: Final = Posture(public_network="Enabled", trusted_services=True)
"""The landing namespace: closed but for Azure Digital Twins."""


class RefusedError(Exception):
    """A request that is answered with an error; ARM's code and words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Management:
    """Serves what the directory and the postures say.

    Attributes:
        postures: by resource id; change them with `set_posture`.
        page: how many role assignments stand in one answer.
    """

    def __init__(
        self,
        directory: Directory,
        tls: TlsFiles,
        postures: Mapping[str, Posture],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.postures = {_path(name): posture for name, posture in postures.items()}
        self.page = 100
        self._names = {_path(name): name for name in postures}
        self._directory = directory
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        self._server = HttpServer(
            "Azure Resource Manager", app, address=address, port=port, tls=context
        )

    @property
    def url(self) -> str:
        """Return where it listens."""
        return self._server.url

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: the port is taken.
        """
        await self._server.start()

    async def stop(self) -> None:
        """Listen no longer."""
        await self._server.stop()

    def set_posture(self, resource_id: str, **changes: Any) -> None:
        """Lock a resource otherwise.

        Raises:
            KeyError: there is no such resource.
        """
        path = _path(resource_id)
        self.postures[path] = replace(self.postures[path], **changes)

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(self._answer(request))
        except RefusedError as refused:
            error = {"code": refused.code, "message": str(refused)}
            return web.json_response({"error": error}, status=refused.status)

    def _answer(self, request: web.Request) -> dict[str, Any]:
        claims = self._who(request)
        if "api-version" not in request.query:
            raise RefusedError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        path = f"/{request.match_info['path']}".rstrip("/")
        scope, is_assignments, _ = _split(path, _ASSIGNMENTS)
        if is_assignments:
            action = "Microsoft.Authorization/roleAssignments/read"
            self._demand(claims, action, scope)
            return self._paged(request, scope)
        return self._resource(claims, path)

    def _who(self, request: web.Request) -> Claims:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise RefusedError(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        try:
            return self._directory.verify(token.strip(), AUDIENCES)
        except TokenRefused as refused:
            code = "ExpiredAuthenticationToken" if "Expired" in refused.text else None
            raise RefusedError(
                401, code or "InvalidAuthenticationToken", refused.text
            ) from refused

    def _demand(self, claims: Claims, action: str, scope: str) -> None:
        if self._directory.allows(claims.object_id, READ, scope):
            return
        raise RefusedError(
            403,
            "AuthorizationFailed",
            f"The client '{claims.client_id}' with object id '{claims.object_id}' does not "
            f"have authorization to perform action '{action}' over scope '{scope}' or the "
            "scope is invalid. If access was recently granted, please refresh your "
            "credentials.",
        )

    # Role assignments

    def _paged(self, request: web.Request, scope: str) -> dict[str, Any]:
        found = self._assignments(scope, request.query.get("$filter", ""))
        start = int(request.query.get("$skipToken", "0"))
        end = start + self.page
        answer: dict[str, Any] = {"value": found[start:end]}
        if end < len(found):
            following = request.rel_url.update_query({"$skipToken": str(end)})
            answer["nextLink"] = f"{self.url}{following}"
        return answer

    def _assignments(self, scope: str, wanted: str) -> list[dict[str, Any]]:
        """Return those at and above a scope, and below it too unless `atScope()` is asked."""
        only = _OF_PRINCIPAL.search(wanted)
        return [
            self._told(each)
            for each in self._directory.assignments()
            if (only is None or each.object_id == only[1].lower())
            and (
                covers(each.scope, scope)
                or ("atScope()" not in wanted and covers(scope, each.scope))
            )
        ]

    def _told(self, assignment: Assignment) -> dict[str, Any]:
        name = str(
            uuid5(_ASSIGNED, f"{assignment.object_id}/{assignment.role.id}/{assignment.scope}")
        )
        granted = datetime.fromtimestamp(assignment.granted, UTC).isoformat()
        return {
            "id": f"{assignment.scope}{_ASSIGNMENTS}/{name}",
            "name": name,
            "type": "Microsoft.Authorization/roleAssignments",
            "properties": {
                "roleDefinitionId": (
                    f"{_SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/"
                    f"{assignment.role.id}"
                ),
                "principalId": assignment.object_id,
                "principalType": "ServicePrincipal",
                "scope": assignment.scope,
                "condition": None,
                "conditionVersion": None,
                "createdOn": granted.replace("+00:00", "Z"),
                "updatedOn": granted.replace("+00:00", "Z"),
            },
        }

    # Resources

    def _resource(self, claims: Claims, path: str) -> dict[str, Any]:
        account, is_rules, _ = _split(path, "/networkRuleSets/default")
        kind = _kind(account)
        self._demand(claims, f"{kind}{'/networkRuleSets' if is_rules else ''}/read", account)
        posture = self.postures.get(_path(account))
        if posture is None:
            raise RefusedError(
                404,
                "ResourceNotFound",
                f"The Resource '{kind}/{account.rpartition('/')[2]}' under resource group "
                f"'{_group(account)}' was not found. For more details please go to "
                "https://aka.ms/ARMResourceNotFoundFix",
            )
        name = self._names[_path(account)]
        properties = _rules(posture) if is_rules else _properties(kind, name, posture)
        return {
            "id": name + ("/networkRuleSets/default" if is_rules else ""),
            "name": "default" if is_rules else name.rpartition("/")[2],
            "type": f"{kind}/NetworkRuleSets" if is_rules else kind,
            "properties": properties,
        }


def _properties(kind: str, resource_id: str, posture: Posture) -> dict[str, Any]:
    connections = [
        {
            "id": f"{resource_id}/privateEndpointConnections/{number}",
            "properties": {
                "provisioningState": "Succeeded",
                "privateLinkServiceConnectionState": {"status": "Approved"},
            },
        }
        for number in range(posture.private_endpoints)
    ]
    common = {
        "publicNetworkAccess": posture.public_network,
        "privateEndpointConnections": connections,
        "provisioningState": "Succeeded",
    }
    if kind.startswith("Microsoft.Storage/"):
        bypass = "AzureServices" if posture.trusted_services else "None"
        rules = {"defaultAction": posture.default_action, "bypass": bypass}
        return common | {"allowSharedKeyAccess": posture.local_auth, "networkAcls": rules}
    return common | {"disableLocalAuth": not posture.local_auth, "minimumTlsVersion": "1.2"}


def _rules(posture: Posture) -> dict[str, Any]:
    return {
        "publicNetworkAccess": posture.public_network,
        "defaultAction": posture.default_action,
        "trustedServiceAccessEnabled": posture.trusted_services,
        "virtualNetworkRules": [],
        "ipRules": [],
    }


def _kind(resource_id: str) -> str:
    found = re.search(r"/providers/([^/]+/[^/]+)/", resource_id, re.IGNORECASE)
    return found[1] if found else "Microsoft.Resources/subscriptions/resourceGroups"


def _group(resource_id: str) -> str:
    found = re.search(r"/resourceGroups/([^/]+)", resource_id, re.IGNORECASE)
    return found[1] if found else ""


def _split(path: str, end: str) -> tuple[str, bool, str]:
    """Divide a path at a known end, in any letters."""
    at = path.lower().find(end.lower())
    return (path, False, "") if at < 0 else (path[:at], True, path[at + len(end) :])


def _path(resource_id: str) -> str:
    return resource_id.rstrip("/").lower()


def postures_of(namespaces: Iterable[str], landing: str, account: str) -> dict[str, Posture]:
    """Return how the plant is locked: all of it private, the landing namespace excepted."""
    found = dict.fromkeys(namespaces, Posture()) | {account: Posture()}
    return found | {landing: LANDING} if landing else found
