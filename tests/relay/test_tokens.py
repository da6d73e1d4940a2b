"""A token's claims are shown and compared; nothing that looks like a token raises."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.causes import Cause
from relay.tokens import NOBODY, SKEW, Claims, claims_of, judge, refine

NOW = 1_800_000_000
HUBS = "https://eventhubs.azure.net/"
GOOD = Claims("object", "client", HUBS, NOW - 60, NOW - 360, NOW + 3600, "tenant")


def a_token(body: object) -> str:
    text = base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")
    return f"header.{text}.signature"


def test_the_claims_that_explain_a_refusal_are_read() -> None:
    token = a_token(
        {
            "oid": "object",
            "appid": "client",
            "aud": HUBS,
            "iat": NOW - 60,
            "nbf": NOW - 360,
            "exp": NOW + 3600,
            "tid": "tenant",
        }
    )

    assert GOOD == claims_of(token)


@pytest.mark.parametrize(
    "token",
    ["", "opaque", "a.b", "a.!!.c", "a..c", "a.bnVsbA.c", "a.WzFd.c", "a.\xff.c", "a._w.c"],
)
def test_a_token_that_cannot_be_read_names_nobody(token: str) -> None:
    assert NOBODY == claims_of(token)


json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    st.text(max_size=30)
    | st.dictionaries(st.sampled_from(["oid", "aud", "iat", "exp"]), json_values).map(a_token)
)
def test_whatever_stands_there_nothing_is_raised(token: str) -> None:
    claims = claims_of(token)

    assert isinstance(claims.issued, int)
    assert isinstance(claims.audience, str)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"audience": HUBS.rstrip("/")}, None),
        ({"audience": "https://servicebus.azure.net/"}, Cause.WRONG_AUDIENCE),
        ({"client_id": "another"}, Cause.WRONG_IDENTITY),
        ({"client_id": "CLIENT"}, None),
        ({"expires": NOW}, Cause.TOKEN_EXPIRED),
        ({"not_before": NOW + SKEW + 1}, Cause.CLOCK_SKEW),
        ({"not_before": NOW + SKEW}, None),
        ({"issued": NOW + SKEW + 1}, Cause.CLOCK_SKEW),
        ({"object_id": ""}, Cause.TOKEN_MALFORMED),
    ],
    ids=str,
)
def test_a_fresh_token_is_judged_by_its_own_words(
    changes: dict[str, object], expected: Cause | None
) -> None:
    assert expected is judge(replace(GOOD, **changes), HUBS, "client", NOW)


def test_the_system_assigned_identity_may_have_any_client_id() -> None:
    assert judge(GOOD, HUBS, "", NOW) is None


def test_what_ran_out_for_the_service_alone_tells_that_the_clocks_differ() -> None:
    gone = replace(GOOD, expires=NOW - 1)

    assert Cause.CLOCK_SKEW is refine(Cause.TOKEN_EXPIRED, GOOD, NOW)
    assert Cause.TOKEN_EXPIRED is refine(Cause.TOKEN_EXPIRED, gone, NOW)
    assert Cause.MISSING_ROLE is refine(Cause.MISSING_ROLE, GOOD, NOW)
