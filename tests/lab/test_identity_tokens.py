from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from lab.identity import Directory, Principal, TokenRefused

AUDIENCE = "https://eventhubs.azure.net"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(clock: Clock) -> Directory:
    return Directory(clock=clock)


@pytest.fixture
def relay(directory: Directory) -> Principal:
    return directory.register("relay", app="relay", system_assigned=True)


def refusal(directory: Directory, token: str, audience: str = AUDIENCE) -> str:
    with pytest.raises(TokenRefused) as caught:
        directory.verify(token, {audience})

    assert (caught.value.code, caught.value.condition) == (401, "com.microsoft:auth-failed")
    return caught.value.text


def test_a_token_says_who_for_what_and_until_when(
    directory: Directory, relay: Principal, clock: Clock
) -> None:
    claims = directory.verify(directory.issue(relay, AUDIENCE + "/"), {AUDIENCE})

    assert relay.object_id == claims.object_id
    assert relay.client_id == claims.client_id
    assert claims.audience == AUDIENCE + "/"
    assert clock.now + 24 * 3600 == claims.expires_at
    assert directory.tenant_id == claims.tenant_id


def test_a_token_has_the_claims_that_entra_writes(
    directory: Directory, relay: Principal
) -> None:
    token = directory.issue(relay, AUDIENCE)
    claims = jwt.decode(token, options={"verify_signature": False})

    assert {"typ", "alg", "kid"} <= jwt.get_unverified_header(token).keys()
    assert f"https://sts.windows.net/{directory.tenant_id}/" == claims["iss"]
    assert {
        "iat",
        "nbf",
        "exp",
        "appid",
        "appidacr",
        "oid",
        "sub",
        "tid",
        "idtyp",
        "ver",
    } < set(claims)


def test_a_token_for_another_service_is_refused(directory: Directory, relay: Principal) -> None:
    token = directory.issue(relay, "https://servicebus.azure.net/")

    assert refusal(directory, token).startswith("InvalidAudience")


def test_a_token_is_refused_from_the_second_in_which_it_ends(
    directory: Directory, relay: Principal, clock: Clock
) -> None:
    directory.token_lifetime = timedelta(seconds=10)
    token = directory.issue(relay, AUDIENCE)
    clock.now += 9
    directory.verify(token, {AUDIENCE})
    clock.now += 1

    expected = "ExpiredToken: The token is expired. Expiration time: '01/15/2027 08:00:10'."

    assert expected == refusal(directory, token)


def test_a_token_signed_by_somebody_else_is_refused(directory: Directory, clock: Clock) -> None:
    foreign = Directory(clock=clock)
    token = foreign.issue(foreign.register("relay", app="relay"), AUDIENCE)

    assert refusal(directory, token).startswith("InvalidSignature")


def test_a_token_of_another_tenant_is_refused(directory: Directory, relay: Principal) -> None:
    claims = jwt.decode(directory.issue(relay, AUDIENCE), options={"verify_signature": False})
    token = directory.key.sign(claims | {"iss": "https://sts.windows.net/elsewhere/"})

    assert refusal(directory, token).startswith("InvalidIssuer")


def test_a_token_from_the_future_is_refused(
    directory: Directory, relay: Principal, clock: Clock
) -> None:
    token = directory.issue(relay, AUDIENCE)
    clock.now -= 301

    assert refusal(directory, token) == "InvalidToken: The token is not yet valid."


def unsigned(directory: Directory, relay: Principal) -> str:
    claims = jwt.decode(directory.issue(relay, AUDIENCE), options={"verify_signature": False})
    return jwt.encode(claims, None, "none")


def signed_with_the_public_key(directory: Directory, relay: Principal) -> str:
    claims = jwt.decode(directory.issue(relay, AUDIENCE), options={"verify_signature": False})
    return jwt.encode(claims, directory.key.jwk()["n"], "HS256")


@pytest.mark.parametrize("forge", [unsigned, signed_with_the_public_key])
def test_only_rs256_is_believed(
    directory: Directory,
    relay: Principal,
    forge: type[str],
) -> None:
    assert refusal(directory, forge(directory, relay)).startswith("MalformedToken")


@pytest.mark.parametrize("text", ["", "nonsense", "a.b.c", "ä.ö.ü", "\udcff.a.b"])
def test_what_is_no_token_is_refused(directory: Directory, text: str) -> None:
    assert refusal(directory, text).startswith("MalformedToken")


def test_a_token_that_lacks_a_claim_is_refused(directory: Directory, relay: Principal) -> None:
    claims = jwt.decode(directory.issue(relay, AUDIENCE), options={"verify_signature": False})
    del claims["oid"]

    assert refusal(directory, directory.key.sign(claims)).startswith("MalformedToken")


def test_ended_tokens_are_refused_and_new_ones_are_good(
    directory: Directory, relay: Principal
) -> None:
    other = directory.register("other", app="other")
    old, untouched = directory.issue(relay, AUDIENCE), directory.issue(other, AUDIENCE)
    claims = directory.verify(old, {AUDIENCE})
    heard: list[bool] = []
    directory.subscribe(lambda: heard.append(directory.good(claims)))

    directory.expire_tokens(relay.object_id)

    assert heard == [False]
    assert refusal(directory, old).startswith("ExpiredToken")
    directory.verify(untouched, {AUDIENCE})
    directory.verify(directory.issue(relay, AUDIENCE), {AUDIENCE})


def test_a_kept_key_is_private_and_outlives_a_restart(tmp_path: Path) -> None:
    first = Directory(tmp_path)
    token = first.issue(first.register("relay", app="relay"), AUDIENCE)
    second = Directory(tmp_path)

    assert stat.S_IMODE((tmp_path / "signing-key.pem").stat().st_mode) == 0o600
    assert first.header("relay") == second.header("relay")
    second.verify(token, {AUDIENCE})


def test_every_app_has_a_header_of_its_own(directory: Directory) -> None:
    headers = {
        directory.header("relay"),
        directory.header("auditor"),
        Directory().header("relay"),
    }

    assert len(headers) == 3
