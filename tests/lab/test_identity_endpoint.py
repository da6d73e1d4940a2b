from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import jwt
import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError
from azure.identity import ManagedIdentityCredential as SyncCredential
from azure.identity.aio import ManagedIdentityCredential

from lab.identity import Directory, IdentityEndpoint
from lab.misbehaviour import HttpFault
from lab.serving import PortInUseError

SCOPE = "https://eventhubs.azure.net/.default"
QUERY = {"api-version": "2019-08-01", "resource": "https://eventhubs.azure.net/"}

type Become = Callable[[str], None]


@dataclass
class Tenant:
    directory: Directory
    endpoint: IdentityEndpoint

    async def ask(
        self, query: dict[str, str], header: str | None = None, app: str = "relay"
    ) -> tuple[int, dict[str, Any]]:
        given = self.directory.header(app) if header is None else header
        async with (
            aiohttp.ClientSession(headers={"X-IDENTITY-HEADER": given}) as session,
            session.get(f"{self.endpoint.url}/msi/token", params=query) as answer,
        ):
            return answer.status, await answer.json()


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    directory = Directory()
    directory.register("relay", app="relay", system_assigned=True)
    directory.register("relay-operations", app="relay")
    directory.register("auditor", app="auditor", system_assigned=True)
    directory.register("user-only", app="bare")
    endpoint = IdentityEndpoint(directory)
    await endpoint.start()
    yield Tenant(directory, endpoint)
    await endpoint.stop()


@pytest.fixture
def become(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Become:
    """azure-identity finds the endpoint in the environment and nowhere else."""

    def become(app: str) -> None:
        for name, value in tenant.endpoint.settings(app).items():
            monkeypatch.setenv(name, value)

    return become


def who(tenant: Tenant, token: str) -> str:
    claims = tenant.directory.verify(token, {"https://eventhubs.azure.net"})
    return tenant.directory.principal(claims.object_id).name


async def aio_token(**selector: Any) -> str:
    async with ManagedIdentityCredential(retry_total=0, **selector) as credential:
        return (await credential.get_token(SCOPE)).token


def sync_token(**selector: Any) -> str:
    with SyncCredential(retry_total=0, **selector) as credential:
        return credential.get_token(SCOPE).token


@pytest.fixture(params=["aio", "sync"])
def get_token(request: pytest.FixtureRequest, become: Become) -> Callable[..., Any]:
    become("relay")

    async def from_a_thread(**selector: Any) -> str:
        return await asyncio.to_thread(sync_token, **selector)

    return aio_token if request.param == "aio" else from_a_thread


async def test_without_a_selector_an_app_gets_its_own_identity(
    tenant: Tenant, get_token: Callable[..., Any]
) -> None:
    assert who(tenant, await get_token()) == "relay"


async def test_a_client_id_selects_a_user_assigned_identity(
    tenant: Tenant, get_token: Callable[..., Any]
) -> None:
    wanted = tenant.directory.principal("relay-operations")

    assert who(tenant, await get_token(client_id=wanted.client_id)) == "relay-operations"


async def test_an_object_id_selects_a_user_assigned_identity(
    tenant: Tenant, get_token: Callable[..., Any]
) -> None:
    wanted = {"object_id": tenant.directory.principal("relay-operations").object_id}

    assert who(tenant, await get_token(identity_config=wanted)) == "relay-operations"


async def test_the_sync_credential_selects_by_resource_id(
    tenant: Tenant, become: Become
) -> None:
    become("relay")
    wanted = {"resource_id": tenant.directory.principal("relay-operations").resource_id}
    token = await asyncio.to_thread(sync_token, identity_config=wanted)

    assert who(tenant, token) == "relay-operations"


async def test_the_aio_credential_selects_by_resource_id(
    tenant: Tenant, become: Become
) -> None:
    become("relay")
    wanted = {"mi_res_id": tenant.directory.principal("relay-operations").resource_id}

    assert who(tenant, await aio_token(identity_config=wanted)) == "relay-operations"


async def test_the_header_decides_which_app_asks(tenant: Tenant, become: Become) -> None:
    become("auditor")

    assert who(tenant, await aio_token()) == "auditor"


async def test_an_identity_of_another_app_is_out_of_reach(
    tenant: Tenant, get_token: Callable[..., Any]
) -> None:
    foreign = tenant.directory.principal("user-only").client_id

    with pytest.raises(
        (CredentialUnavailableError, ClientAuthenticationError),
        match="No User Assigned or Delegated Managed Identity found",
    ):
        await get_token(client_id=foreign)


async def test_the_credentials_get_the_expiry_that_the_token_has(
    tenant: Tenant, become: Become
) -> None:
    become("relay")
    tenant.directory.token_lifetime = timedelta(minutes=7)
    async with ManagedIdentityCredential() as credential:
        got = await credential.get_token(SCOPE)
    claims = jwt.decode(got.token, options={"verify_signature": False})

    assert claims["exp"] - claims["iat"] == 7 * 60
    assert claims["exp"] == got.expires_on


@pytest.mark.parametrize("header", ["", "wrong", "ü", "\udcff"])
async def test_a_missing_or_wrong_header_is_refused(tenant: Tenant, header: str) -> None:
    status, answer = await tenant.ask(QUERY, header)

    assert (status, answer["statusCode"]) == (401, 401)
    assert "X-IDENTITY-HEADER" in answer["message"]


@pytest.mark.parametrize(
    ("query", "app", "message"),
    [
        pytest.param(
            {"api-version": "2019-08-01"}, "relay", "'resource' is missing", id="no resource"
        ),
        pytest.param(
            QUERY | {"resource": "https://evenhubs.azure.net/"},
            "relay",
            "AADSTS500011: The resource principal named https://evenhubs.azure.net/",
            id="a service that the tenant does not know",
        ),
        pytest.param(
            QUERY | {"api-version": "2017-09-01"},
            "relay",
            "must be 2019-08-01",
            id="an old version",
        ),
        pytest.param(
            QUERY | {"client_id": "00000000-0000-0000-0000-000000000001"},
            "relay",
            "No User Assigned",
            id="an unknown client id",
        ),
        pytest.param(QUERY, "bare", "Unable to load", id="an app without identity of its own"),
    ],
)
async def test_a_request_that_cannot_be_answered_is_refused_in_words(
    tenant: Tenant, query: dict[str, str], app: str, message: str
) -> None:
    status, answer = await tenant.ask(query, app=app)

    assert (status, answer["statusCode"]) == (400, 400)
    assert message in answer["message"]


async def test_any_library_can_verify_a_token_by_discovery(tenant: Tenant) -> None:
    _, granted = await tenant.ask(QUERY)
    home = f"{tenant.endpoint.url}/{tenant.directory.tenant_id}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{home}/v2.0/.well-known/openid-configuration") as found,
    ):
        configuration = await found.json()
        async with session.get(configuration["jwks_uri"]) as answer:
            keys = jwt.PyJWKSet.from_dict(await answer.json())
    token = granted["access_token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, ["RS256"], audience=QUERY["resource"], issuer=configuration["issuer"]
    )

    assert tenant.directory.principal("relay").object_id == claims["oid"]


async def test_another_tenant_is_not_served(tenant: Tenant) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{tenant.endpoint.url}/elsewhere/discovery/v2.0/keys") as answer,
    ):
        assert answer.status == 404


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_it_can_be_told_to_refuse_for_a_while(tenant: Tenant, status: int) -> None:
    tenant.endpoint.faults.fault = HttpFault(status=status, times=2)
    answers = [(await tenant.ask(QUERY))[0] for _ in range(3)]

    assert answers == [status, status, 200]


async def test_a_credential_tells_of_an_endpoint_that_fails(
    tenant: Tenant, get_token: Callable[..., Any]
) -> None:
    tenant.endpoint.faults.fault = HttpFault(status=500)

    with pytest.raises(
        (CredentialUnavailableError, ClientAuthenticationError), match="told to"
    ):
        await get_token()


async def test_it_can_answer_nonsense(tenant: Tenant, get_token: Callable[..., Any]) -> None:
    tenant.endpoint.faults.fault = HttpFault(body='{"access_token": 7')

    with pytest.raises(AzureError):
        await get_token()


async def test_it_can_be_slow_and_still_answer(tenant: Tenant) -> None:
    tenant.endpoint.faults.fault = HttpFault(seconds=0.05)
    status, _ = await tenant.ask(QUERY)

    assert status == 200


async def test_it_can_be_silent_until_it_is_stopped(tenant: Tenant) -> None:
    tenant.endpoint.faults.fault = HttpFault(silent=True)
    asking = asyncio.create_task(tenant.ask(QUERY))
    async with asyncio.timeout(10):
        await tenant.endpoint.faults.felt.wait()
        await tenant.endpoint.stop()

    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_it_can_go_away_and_come_back_on_the_same_port(
    tenant: Tenant, become: Become
) -> None:
    become("relay")
    await tenant.endpoint.stop()
    with pytest.raises((ServiceRequestError, CredentialUnavailableError)):
        await aio_token()
    await tenant.endpoint.start()

    assert who(tenant, await aio_token()) == "relay"


async def test_a_port_in_use_is_told_with_the_remedy(tenant: Tenant) -> None:
    port = int(tenant.endpoint.url.rpartition(":")[2])

    with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{port}: the port is in use"):
        await IdentityEndpoint(tenant.directory, port=port).start()
