"""The managed-identity endpoint of App Service (2019-08-01), OpenID discovery and the keys.

Plain HTTP on loopback, as App Service has it. An app proves itself by its IDENTITY_HEADER and
gets tokens for the identities that it holds, and no others.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import jwt
from aiohttp import web

from lab.misbehaviour import HttpFault, Misbehaviour
from lab.serving import HttpServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.identity.directory import Directory, Principal

API_VERSION: Final = "2019-08-01"
RESOURCES: Final = (
    "https://eventhubs.azure.net",
    "https://eventgrid.azure.net",
    "https://servicebus.azure.net",
    "https://storage.azure.com",
    "https://digitaltwins.azure.net",
    "https://management.azure.com",
    "https://monitor.azure.com",
)
"""The services that the tenant knows, without trailing slash; Blob accounts are others."""

_SELECTORS: Final = ("client_id", "object_id", "principal_id", "mi_res_id")
_NO_SUCH_IDENTITY: Final = (
    "No User Assigned or Delegated Managed Identity found for specified "
    "ClientId/ResourceId/PrincipalId."
)
_NO_OWN_IDENTITY: Final = "Unable to load the proper Managed Identity."


class IdentityEndpoint:
    """Serves tokens to apps.

    Attributes:
        faults: what it does wrong on purpose to token requests.
        server: where it listens.
    """

    def __init__(
        self, directory: Directory, *, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.faults = Misbehaviour()
        self._directory = directory
        app = web.Application()
        app.router.add_get("/msi/token", self._token)
        app.router.add_get(
            "/{tenant}/v2.0/.well-known/openid-configuration", self._openid_configuration
        )
        app.router.add_get("/{tenant}/discovery/v2.0/keys", self._keys)
        self.server = HttpServer("the identity endpoint", app, address=address, port=port)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return self.server.url

    @property
    def running(self) -> bool:
        """Tell whether it listens."""
        return self.server.running

    def settings(self, app: str) -> dict[str, str]:
        """Return the environment that lets `app` use its identities."""
        return {
            "IDENTITY_ENDPOINT": f"{self.url}/msi/token",
            "IDENTITY_HEADER": self._directory.header(app),
        }

    async def start(self) -> None:
        """Listen; after a stop, on the port it had.

        Raises:
            PortInUseError: the port is taken.
        """
        await self.server.start()

    async def stop(self) -> None:
        """Listen no longer: clients find the connection refused."""
        await self.server.stop()

    async def _token(self, request: web.Request) -> web.Response:
        app = self._app_of(request)
        if app is None:
            return _refusal(401, "The header X-IDENTITY-HEADER is missing or wrong.")
        fault = await self.faults.endure()
        return _faulty(fault) or self._answer(app, request)

    def _app_of(self, request: web.Request) -> str | None:
        given = request.headers.get("X-IDENTITY-HEADER", "")
        directory = self._directory
        return next(
            (
                app
                for app in directory.apps()
                if hmac.compare_digest(
                    directory.header(app).encode(), given.encode(errors="replace")
                )
            ),
            None,
        )

    def _answer(self, app: str, request: web.Request) -> web.Response:
        query = request.query
        if query.get("api-version") != API_VERSION:
            return _refusal(400, f"The api-version must be {API_VERSION}.")
        resource = query.get("resource", "")
        if not resource:
            return _refusal(400, "The parameter 'resource' is missing.")
        if not _known(resource):
            return _refusal(400, _unknown_resource(resource))
        selectors = {name: query[name] for name in _SELECTORS if query.get(name)}
        principal = _select(self._directory.identities(app), selectors)
        if principal is None:
            return _refusal(400, _NO_SUCH_IDENTITY if selectors else _NO_OWN_IDENTITY)
        return self._granted(principal, resource)

    def _granted(self, principal: Principal, resource: str) -> web.Response:
        token = self._directory.issue(principal, resource)
        expires = jwt.decode(token, options={"verify_signature": False})["exp"]
        return web.json_response(
            {
                "access_token": token,
                "expires_on": str(expires),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": principal.client_id,
            }
        )

    async def _openid_configuration(self, request: web.Request) -> web.Response:
        self._check_tenant(request)
        tenant = f"{self.url}/{self._directory.tenant_id}"
        return web.json_response(
            {
                "issuer": self._directory.issuer,
                "jwks_uri": f"{tenant}/discovery/v2.0/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["pairwise"],
            }
        )

    async def _keys(self, request: web.Request) -> web.Response:
        self._check_tenant(request)
        return web.json_response({"keys": [self._directory.key.jwk()]})

    def _check_tenant(self, request: web.Request) -> None:
        if request.match_info["tenant"] != self._directory.tenant_id:
            raise web.HTTPNotFound


def _select(held: Sequence[Principal], selectors: dict[str, str]) -> Principal | None:
    """Choose by all the selectors that were sent; if there are none, the app's own."""
    return next((each for each in held if _is(each, selectors)), None)


def _is(principal: Principal, selectors: dict[str, str]) -> bool:
    ids = {
        "client_id": principal.client_id,
        "object_id": principal.object_id,
        "principal_id": principal.object_id,
        "mi_res_id": principal.resource_id,
    }
    return principal.system_assigned != bool(selectors) and all(
        ids[name].lower() == value.lower() for name, value in selectors.items()
    )


def _known(resource: str) -> bool:
    plain = resource.rstrip("/")
    return plain in RESOURCES or plain.endswith(".blob.core.windows.net")


def _unknown_resource(resource: str) -> str:
    return (
        f"AADSTS500011: The resource principal named {resource} was not found in the tenant. "
        "This can happen if the application has not been installed by the administrator of the "
        "tenant or consented to by any user in the tenant."
    )


def _faulty(fault: HttpFault) -> web.Response | None:
    if fault.body is not None:
        return web.Response(text=fault.body, content_type="application/json")
    if fault.status is not None:
        return _refusal(fault.status, fault.code or "The lab was told to refuse.")
    return None


def _refusal(status: int, message: str) -> web.Response:
    body = {"statusCode": status, "message": message, "correlationId": str(uuid4())}
    return web.json_response(body, status=status)
