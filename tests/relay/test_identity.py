"""The relay's identity by the real credential, against the local endpoint."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from lab.identity import Directory, IdentityEndpoint
from lab.misbehaviour import HttpFault
from relay.failures import DeliveryError, Reason
from relay.identity import Identity

AUDIENCE = "https://eventhubs.azure.net/"
SCOPE = f"{AUDIENCE}/.default"


@dataclass
class Tenant:
    directory: Directory
    endpoint: IdentityEndpoint


@pytest.fixture
async def tenant(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tenant]:
    """azure-identity finds the endpoint in the environment and nowhere else."""
    directory = Directory()
    directory.register("relay", app="relay", system_assigned=True)
    directory.register("relay-operations", app="relay")
    endpoint = IdentityEndpoint(directory)
    await endpoint.start()
    for name, value in endpoint.settings("relay").items():
        monkeypatch.setenv(name, value)
    yield Tenant(directory, endpoint)
    await endpoint.stop()


async def refusal_of(client_id: str = "") -> DeliveryError:
    async with Identity(client_id) as identity:
        with pytest.raises(DeliveryError) as caught:
            await identity.check(AUDIENCE)
    return caught.value


async def test_without_a_client_id_the_token_is_the_apps_own(tenant: Tenant) -> None:
    async with Identity() as identity:
        token = await identity.get_token(SCOPE)
    claims = tenant.directory.verify(token.token, {"https://eventhubs.azure.net"})
    own = tenant.directory.principal("relay")

    assert claims.object_id == own.object_id
    assert identity.principal.name == "system-assigned identity"
    assert identity.principal.client_id == own.client_id
    assert identity.principal.object_id == own.object_id


async def test_a_client_id_chooses_a_user_assigned_identity(tenant: Tenant) -> None:
    wanted = tenant.directory.principal("relay-operations")
    async with Identity(wanted.client_id) as identity:
        await identity.check(AUDIENCE)

    assert identity.principal.name == f"user-assigned identity {wanted.client_id}"
    assert identity.principal.object_id == wanted.object_id


def test_before_the_first_token_only_the_settings_are_known() -> None:
    assert (Identity().principal.client_id, Identity().principal.object_id) == ("", "")
    assert Identity("abc").principal.client_id == "abc"


async def test_a_token_is_asked_for_once_and_then_kept(tenant: Tenant) -> None:
    async with Identity() as identity:
        await identity.check(AUDIENCE)
        await tenant.endpoint.stop()

        await identity.check(AUDIENCE)


async def test_a_forgotten_token_is_asked_for_anew(tenant: Tenant) -> None:
    async with Identity() as identity:
        await identity.check(AUDIENCE)
        tenant.endpoint.faults.fault = HttpFault(status=400)
        identity.forget()

        with pytest.raises(DeliveryError, match="unauthenticated"):
            await identity.check(AUDIENCE)
        tenant.endpoint.faults.fault = None
        await identity.check(AUDIENCE)


async def test_a_token_whose_time_is_over_is_relied_on_no_more(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Identity() as identity:
        await identity.check(AUDIENCE)
        tenant.endpoint.faults.fault = HttpFault(status=400)
        await identity.check(AUDIENCE)

        over = time.time() + tenant.directory.token_lifetime.total_seconds()
        monkeypatch.setattr(time, "time", lambda: over)
        with pytest.raises(DeliveryError, match="unauthenticated"):
            await identity.check(AUDIENCE)


async def test_a_token_for_one_audience_says_nothing_of_another(tenant: Tenant) -> None:
    async with Identity() as identity:
        await identity.check(AUDIENCE)
        tenant.endpoint.faults.fault = HttpFault(status=400)

        with pytest.raises(DeliveryError, match="unauthenticated"):
            await identity.check("https://servicebus.azure.net/")


async def test_a_closed_identity_opens_again(tenant: Tenant) -> None:
    async with Identity() as identity:
        await identity.check(AUDIENCE)
        await identity.close()
        await identity.close()
        await identity.check(AUDIENCE)

    assert tenant.endpoint.running


@pytest.mark.usefixtures("tenant")
async def test_an_identity_that_the_app_does_not_hold_is_unauthenticated() -> None:
    error = await refusal_of("00000000-0000-0000-0000-00000000dead")

    assert error.reason is Reason.UNAUTHENTICATED
    assert AUDIENCE in error.detail


@pytest.mark.usefixtures("tenant")
async def test_a_wrong_header_is_unauthenticated_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong-and-secret")
    error = await refusal_of()

    assert error.reason is Reason.UNAUTHENTICATED
    assert "wrong-and-secret" not in str(error)


@pytest.mark.parametrize("status", [503])
async def test_an_endpoint_in_trouble_is_unavailable(tenant: Tenant, status: int) -> None:
    tenant.endpoint.faults.fault = HttpFault(status=status)
    error = await refusal_of()

    assert error.reason is Reason.UNAVAILABLE


async def test_an_endpoint_that_never_answers_is_not_waited_for(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK would wait for minutes, and every other route of the batch with it."""
    monkeypatch.setattr("relay.identity._ANSWER_SECONDS", 0.2)
    tenant.endpoint.faults.fault = HttpFault(silent=True)
    async with Identity() as identity:
        with pytest.raises(DeliveryError, match=r"no answer within 0\.2 seconds") as caught:
            await identity.check(AUDIENCE)
        tenant.endpoint.faults.fault = None
        await identity.check(AUDIENCE)

    assert caught.value.reason is Reason.TIMEOUT


async def test_an_endpoint_that_is_gone_is_unavailable(tenant: Tenant) -> None:
    await tenant.endpoint.stop()

    assert (await refusal_of()).reason is Reason.UNAVAILABLE


async def test_a_resource_id_chooses_a_user_assigned_identity_too(tenant: Tenant) -> None:
    wanted = tenant.directory.principal("relay-operations")
    async with Identity(resource_id=wanted.resource_id) as identity:
        await identity.check(AUDIENCE)

    assert identity.principal.name == f"user-assigned identity {wanted.resource_id}"
    assert identity.principal.client_id == wanted.client_id
    assert identity.principal.object_id == wanted.object_id


async def test_each_identity_keeps_its_own_tokens(tenant: Tenant) -> None:
    """A failing endpoint shows what is kept: the second identity has nothing of the first."""
    wanted = tenant.directory.principal("relay-operations")
    async with Identity() as own, Identity(wanted.client_id) as other:
        await own.check(AUDIENCE)
        tenant.endpoint.faults.fault = HttpFault(status=400)

        await own.check(AUDIENCE)
        with pytest.raises(DeliveryError, match="unauthenticated"):
            await other.check(AUDIENCE)


@pytest.mark.usefixtures("tenant")
async def test_no_token_is_ever_shown() -> None:
    async with Identity() as identity:
        token = await identity.get_token(SCOPE)

    shown = f"{identity.principal!r} {identity.claims!r} {identity!r}"
    assert identity.claims.audience == AUDIENCE
    assert not [part for part in token.token.split(".") if part in shown]


@pytest.mark.parametrize(
    ("fault", "cause", "reason"),
    [
        (HttpFault(status=429), "identity_endpoint_busy", Reason.THROTTLED),
        (HttpFault(status=500), "identity_endpoint_failed", Reason.UNAVAILABLE),
        (HttpFault(body="{"), "token_malformed", Reason.UNAUTHENTICATED),
        (HttpFault(body="{}"), "token_malformed", Reason.UNAUTHENTICATED),
        (
            HttpFault(body='{"access_token": "x", "expires_on": "1"}'),
            "token_malformed",
            None,
        ),
    ],
    ids=str,
)
async def test_each_trouble_with_the_endpoint_has_a_name_of_its_own(
    tenant: Tenant, fault: HttpFault, cause: str, reason: Reason | None
) -> None:
    tenant.endpoint.faults.fault = fault
    async with Identity(retried=False) as identity:
        with pytest.raises(DeliveryError) as caught:
            await identity.check(AUDIENCE)

    assert f"({cause})" in caught.value.detail
    assert reason in {None, caught.value.reason}


@pytest.mark.usefixtures("tenant")
async def test_an_unknown_identity_is_named_as_such() -> None:
    error = await refusal_of("00000000-0000-0000-0000-00000000dead")

    assert "(identity_not_found)" in error.detail
