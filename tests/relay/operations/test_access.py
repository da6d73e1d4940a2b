"""Nobody gets in by a token that is not the tenant's own, whatever it looks like."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.operations.access import (
    AccessError,
    Authenticator,
    Caller,
    ForbiddenError,
    Keys,
    UnauthenticatedError,
    UnverifiableError,
    permit,
)
from relay.settings import Access
from tests.virtual_time import in_virtual_time

TENANT = "756d37c6-57f3-5189-9c1e-239a167454ad"
OTHER_TENANT = "11111111-57f3-5189-9c1e-239a167454ad"
AUTHORITY = "https://login.microsoftonline.com"
V1 = f"https://sts.windows.net/{TENANT}/"
V2 = f"{AUTHORITY}/{TENANT}/v2.0"
AUDIENCE = "api://twin-relay"
SENDER = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
ROLE = "AzureEventGridSecureWebhookSubscriber"
ACCESS = Access(TENANT, (AUDIENCE, "c0ffee00-0000-0000-0000-000000000000"), AUTHORITY)

KEY = generate_private_key(65537, 2048)
OTHER_KEY = generate_private_key(65537, 2048)
WEAK_KEY = generate_private_key(65537, 1024)


def jwk(key: RSAPrivateKey, key_id: str | None = "one", **changes: object) -> dict[str, Any]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"use": "sig", **public, "kid": key_id, **changes}


@dataclass
class Tenant:
    """The endpoint of the tenant's keys: what it answers, and how often it was asked."""

    keys: list[Any] = field(default_factory=lambda: [jwk(KEY)])
    error: Exception | None = None
    answer: bytes | None = None
    asked: int = 0

    async def __call__(self) -> bytes:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return (
            self.answer if self.answer is not None else json.dumps({"keys": self.keys}).encode()
        )


def claims(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    told = {
        "aud": AUDIENCE,
        "iss": V1,
        "iat": now,
        "nbf": now - 300,
        "exp": now + 2 * 86_400,
        "appid": SENDER,
        "oid": "d0a02a02-0000-0000-0000-000000000000",
        "tid": TENANT,
        "roles": [ROLE],
    }
    return {name: value for name, value in (told | changes).items() if value is not None}


def by_hand(header: Mapping[str, Any], body: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def token(
    key: RSAPrivateKey = KEY, headers: Mapping[str, Any] | None = None, **changes: object
) -> str:
    """A token signed by RS256 whatever its header and its claims say."""
    header = {"alg": "RS256", "typ": "JWT", "kid": "one", **(headers or {})}
    header = {name: value for name, value in header.items() if value is not None}
    unsigned = by_hand(header, claims(**changes)).rpartition(".")[0]
    signature = key.sign(unsigned.encode(), PKCS1v15(), SHA256())
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def caller(bearer: str, tenant: Tenant | None = None, access: Access = ACCESS) -> Caller:
    return await Authenticator(access, tenant or Tenant()).caller(f"Bearer {bearer}")


# Who gets in


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"iss": V2, "azp": SENDER, "appid": None},
        {"aud": ACCESS.audiences[1]},
        {"aud": [AUDIENCE, "other"]},
        {"tid": None},
        {"nbf": 30},
        {"exp": -30},
    ],
    ids=["v1", "v2", "client id", "list", "no tenant", "fast clock", "slow clock"],
)
async def test_a_token_of_the_tenant_tells_who_calls(changes: dict[str, object]) -> None:
    """Of either version; clocks may differ by a minute, and small numbers count from now."""
    changes = {
        name: int(time.time()) + value if isinstance(value, int) else value
        for name, value in changes.items()
    }
    assert Caller(
        SENDER, "d0a02a02-0000-0000-0000-000000000000", frozenset({ROLE})
    ) == await caller(token(**changes))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_written_as_one_likes(scheme: str) -> None:
    found = await Authenticator(ACCESS, Tenant()).caller(f" {scheme}  {token()} ")

    assert SENDER == found.application


@pytest.mark.parametrize(
    ("roles", "found"), [(None, set()), ("admin", set()), ([1, "a"], {"a"}), ([], set())]
)
async def test_roles_that_are_no_list_of_texts_are_none(roles: object, found: set[str]) -> None:
    assert found == (await caller(token(roles=roles))).roles


# Who does not: 401


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic eA==", "bearer:x", "x" * 99, "\udc80"]
)
async def test_without_a_bearer_token_the_challenge_names_no_error(header: str | None) -> None:
    tenant = Tenant()
    with pytest.raises(UnauthenticatedError) as caught:
        await Authenticator(ACCESS, tenant).caller(header)

    assert {"WWW-Authenticate": "Bearer"} == caught.value.headers
    assert (401, 0) == (caught.value.status, tenant.asked)


NOW, A_DAY = int(time.time()), 86_400
REFUSED = {
    "an expired one": token(exp=NOW - A_DAY),
    "one that is not valid yet": token(nbf=NOW + A_DAY),
    "one issued in the future": token(iat=NOW + A_DAY),
    "another audience": token(aud="https://management.azure.com"),
    "an audience that only begins alike": token(aud=AUDIENCE + "2"),
    "a list of other audiences": token(aud=["a", "b"]),
    "an empty list of audiences": token(aud=[]),
    "a foreign issuer": token(iss="https://accounts.example.com"),
    "a look-alike issuer": token(iss=V1.replace("sts.windows.net", "sts.windows.net.example")),
    "the issuer of another tenant": token(
        iss=V1.replace(TENANT, OTHER_TENANT), tid=OTHER_TENANT
    ),
    "an issuer without its end": token(iss=V1.rstrip("/")),
    "a list of issuers": token(iss=[V1]),
    "the tenant id of another": token(tid=OTHER_TENANT),
    "no expiry": token(exp=None),
    "no beginning": token(nbf=None),
    "no audience": token(aud=None),
    "no issuer": token(iss=None),
    "an expiry that is no number": token(exp="soon"),
    "another key": token(OTHER_KEY),
    "an unknown key id": token(headers={"kid": "two"}),
    "no key id": token(headers={"kid": None}),
    "a key id that is no text": token(headers={"kid": ["one"]}),
    "a key of its own in the header": token(OTHER_KEY, headers={"jwk": jwk(OTHER_KEY)}),
    "an address of keys in the header": token(
        OTHER_KEY, headers={"jku": "https://example.com"}
    ),
    "RS512": token(headers={"alg": "RS512"}),
    "PS256": token(headers={"alg": "PS256"}),
    "ES256": token(headers={"alg": "ES256"}),
    "no signature": by_hand({"alg": "none", "kid": "one"}, claims()),
    "none in capitals": by_hand({"alg": "NONE", "kid": "one"}, claims()),
    "an empty signature": by_hand({"alg": "RS256", "kid": "one"}, claims()),
    "claims that are a list": by_hand({"alg": "RS256", "kid": "one"}, [1]),
    "a critical extension": token(headers={"crit": ["x"], "x": 1}),
    "no token at all": "x",
    "two tokens": f"{token()},{token()}",
    "three dots": "...",
    "one too long": token(padding="x" * 20_000),
    "control characters": "a\x00b.c.d",
    "deep nesting": base64.urlsafe_b64encode(b"[" * 12_000).decode()[:15_000] + ".e.f",
}


def public_pem() -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return KEY.public_key().public_bytes(serialization.Encoding.PEM, form)


def confused() -> str:
    """A token signed by HMAC with the tenant's public key as the secret."""
    import hashlib
    import hmac

    unsigned = by_hand({"alg": "HS256", "kid": "one"}, claims()).rpartition(".")[0]
    signature = hmac.new(public_pem(), unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("bearer", [*REFUSED.values(), confused()], ids=[*REFUSED, "confusion"])
async def test_a_token_that_is_not_good_is_refused_and_the_fault_named(bearer: str) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        await caller(bearer)
    challenge = caught.value.headers["WWW-Authenticate"]

    assert challenge == (
        f'Bearer error="invalid_token", error_description="{caught.value.detail}"'
    )
    assert 401 == caught.value.status


async def test_a_token_that_was_altered_is_refused() -> None:
    head, body, signature = token().split(".")
    forged = base64.urlsafe_b64encode(json.dumps(claims(roles=["x"])).encode()).decode()
    for bearer in (
        f"{head}.{forged.rstrip('=')}.{signature}",
        f"{head}.{body}.{signature[:-9]}",
    ):
        with pytest.raises(UnauthenticatedError):
            await caller(bearer)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
@settings(max_examples=300, deadline=None)
async def test_nothing_but_a_token_gets_in(header: str) -> None:
    for each in (header, f"Bearer {header}", f"Bearer {token()[:40]}{header}"):
        with pytest.raises(AccessError):
            await Authenticator(ACCESS, Tenant()).caller(each)


async def test_a_challenge_holds_no_quote_and_no_line_of_an_attacker() -> None:
    error = UnauthenticatedError('a "b"\r\nX-Evil: 1\\', "invalid_token")

    assert error.headers["WWW-Authenticate"].endswith("error_description=\"a 'b'  X-Evil: 1/\"")


# The tenant's keys


async def test_keys_are_read_once_for_many_calls() -> None:
    tenant = Tenant()
    authenticator = Authenticator(ACCESS, tenant)
    for _ in range(5):
        await authenticator.caller(f"Bearer {token()}")

    assert 1 == tenant.asked


@in_virtual_time
async def test_a_new_key_is_found_when_it_shows_up() -> None:
    tenant = Tenant()
    keys = Keys(tenant)
    await keys.find("one")
    tenant.keys.append(jwk(OTHER_KEY, "two"))
    await asyncio.sleep(31.0)
    await keys.find("two")

    assert 2 == tenant.asked


@in_virtual_time
async def test_made_up_keys_do_not_make_the_relay_ask_without_end() -> None:
    tenant = Tenant()
    keys = Keys(tenant)
    for n in range(200):
        with pytest.raises(UnauthenticatedError):
            await keys.find(f"made up {n}")
        await asyncio.sleep(0.3)

    assert tenant.asked <= 3


@in_virtual_time
async def test_a_key_that_was_withdrawn_is_believed_for_a_day_at_most() -> None:
    tenant = Tenant()
    keys = Keys(tenant)
    await keys.find("one")
    tenant.keys = [jwk(OTHER_KEY, "two")]
    await asyncio.sleep(24 * 3600.0 + 1)
    with pytest.raises(UnauthenticatedError):
        await keys.find("one")


@in_virtual_time
async def test_an_outage_of_the_keys_is_survived_for_a_day_and_then_our_own_trouble() -> None:
    tenant = Tenant()
    keys = Keys(tenant)
    await keys.find("one")
    tenant.error = OSError("gone")
    await asyncio.sleep(40 * 3600.0)
    await keys.find("one")
    await asyncio.sleep(9 * 3600.0)
    with pytest.raises(UnverifiableError) as caught:
        await keys.find("one")

    assert (503, {"Retry-After": "30"}) == (caught.value.status, caught.value.headers)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'{"keys": 1}',
        b'{"keys": [1, null, {}]}',
        b"\xff",
        b"[" * 100_000,
        json.dumps({"keys": [jwk(KEY), jwk(OTHER_KEY)]}).encode(),
        json.dumps({"keys": [jwk(WEAK_KEY)]}).encode(),
        json.dumps({"keys": [jwk(KEY, use="enc")]}).encode(),
        json.dumps({"keys": [jwk(KEY, n="AA")]}).encode(),
        json.dumps({"keys": [jwk(KEY, kty="oct", k="AAAA")]}).encode(),
        json.dumps({"keys": [jwk(KEY, ["one"])]}).encode(),
        json.dumps({"keys": [jwk(KEY, None)]}).encode(),
    ],
    ids=lambda answer: repr(answer[:60]),
)
async def test_a_key_set_that_is_no_use_is_our_own_trouble_and_lets_nobody_in(
    answer: bytes,
) -> None:
    """An id that stands twice is nobody's: which of the keys was meant can't be told."""
    with pytest.raises(UnverifiableError):
        await caller(token(), Tenant(answer=answer))


async def test_the_issuer_follows_the_cloud() -> None:
    authority = "https://login.microsoftonline.us"
    access = Access(TENANT, (AUDIENCE,), authority)

    assert (
        SENDER
        == (await caller(token(iss=f"{authority}/{TENANT}/v2.0"), access=access)).application
    )
    with pytest.raises(UnauthenticatedError):
        await caller(token(iss=V2), access=access)


# Who may: 403


CALLER = Caller(SENDER, "o", frozenset({ROLE}))


@pytest.mark.parametrize(
    ("role", "applications"),
    [(ROLE, set()), ("", {SENDER}), (ROLE, {SENDER, "other"})],
)
def test_whoever_meets_every_condition_may(role: str, applications: set[str]) -> None:
    permit(CALLER, role, frozenset(applications))


@pytest.mark.parametrize(
    ("who", "role", "applications", "named"),
    [
        (CALLER, "Other", set(), "Other"),
        (CALLER, ROLE, {"other"}, SENDER),
        (CALLER, "Other", {SENDER}, "Other"),
        (Caller("", "", frozenset()), "", {SENDER}, "?"),
        (Caller(SENDER, "o", frozenset({ROLE}), is_application=False), ROLE, set(), "user's"),
    ],
)
def test_whoever_fails_one_condition_may_not_and_hears_which(
    who: Caller, role: str, applications: set[str], named: str
) -> None:
    with pytest.raises(ForbiddenError) as caught:
        permit(who, role, frozenset(applications))

    assert named in caught.value.detail
    assert 403 == caught.value.status
    assert 'error="insufficient_scope"' in caught.value.headers["WWW-Authenticate"]


async def test_a_user_does_not_pass_for_an_application() -> None:
    assert not (await caller(token(scp="user_impersonation"))).is_application


async def test_a_user_is_known_with_his_scopes() -> None:
    found = await Authenticator(ACCESS, Tenant()).caller(f"Bearer {token(scp='Relay.Read x')}")

    assert not found.is_application
    assert found.scopes == {"Relay.Read", "x"}
    assert str(found).startswith("user d0a02a02-")


@pytest.mark.parametrize("extra", [{}, {"nonce": "1", "ver": "2.0"}])
async def test_an_id_token_opens_nothing(extra: dict[str, object]) -> None:
    """The tenant signed it for this very audience, and roles are in it."""
    bearer = f"Bearer {token(appid=None, **extra)}"
    with pytest.raises(UnauthenticatedError, match="it is no access token"):
        await Authenticator(ACCESS, Tenant()).caller(bearer)
