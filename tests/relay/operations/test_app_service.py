"""App Service's word of who calls: read with doubt, and only where it is asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.operations.access import Caller, UnauthenticatedError
from relay.operations.app_service import principal
from relay.settings import Access

TENANT = "756d37c6-57f3-5189-9c1e-239a167454ad"
ACCESS = Access(TENANT, ("api://twin-relay",), "https://login.microsoftonline.com")
SCHEMAS = "http://schemas.microsoft.com/identity/claims/"
ROLES = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
CLAIMS = [
    ("aud", "api://twin-relay"),
    (f"{SCHEMAS}tenantid", TENANT),
    (f"{SCHEMAS}objectidentifier", "o"),
    ("appid", "A"),
    (ROLES, "Relay.Reader"),
    (ROLES, "Relay.Operator"),
]


def header(claims: list[tuple[str, str]]) -> str:
    told = {"auth_typ": "aad", "claims": [{"typ": t, "val": v} for t, v in claims]}
    return base64.b64encode(json.dumps(told).encode()).decode()


def but(**changes: str | None) -> str:
    """The claims with others of their last name instead; `None` for none."""
    kept = [(t, v) for t, v in CLAIMS if t.rpartition("/")[2] not in changes]
    return header(kept + [(t, v) for t, v in changes.items() if v is not None])


def test_an_application_is_known_by_its_claims() -> None:
    expected = Caller("a", "o", frozenset({"Relay.Reader", "Relay.Operator"}))

    assert principal(header(CLAIMS), ACCESS) == expected


def test_a_user_brings_scopes() -> None:
    found = principal(header([*CLAIMS, (f"{SCHEMAS}scope", "Relay.Read Relay.X")]), ACCESS)

    assert not found.is_application
    assert found.scopes == {"Relay.Read", "Relay.X"}


@pytest.mark.parametrize(
    "written",
    [
        but(tenantid=None),
        but(tid="11111111-57f3-5189-9c1e-239a167454ad", tenantid=None),
        header([*CLAIMS, ("tid", "11111111-57f3-5189-9c1e-239a167454ad")]),
        but(aud="api://another"),
        but(aud=None),
        header([*CLAIMS, ("aud", "api://another")]),
        but(appid=None),
    ],
    ids=["no tenant", "other tenant", "two tenants", "other", "none", "two", "ID token"],
)
def test_whoever_is_not_the_tenants_is_nobody(written: str) -> None:
    with pytest.raises(UnauthenticatedError):
        principal(written, ACCESS)


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_whatever_the_header_holds_lets_nobody_in(written: str) -> None:
    with pytest.raises(UnauthenticatedError):
        principal(written, ACCESS)


@pytest.mark.parametrize(
    "told", [[], {}, {"claims": 1}, {"claims": [1]}, {"claims": [{}]}, None]
)
def test_json_of_another_shape_lets_nobody_in(told: Mapping[str, object]) -> None:
    written = base64.b64encode(json.dumps(told).encode()).decode()
    with pytest.raises(UnauthenticatedError):
        principal(written, ACCESS)


def test_a_header_without_end_is_not_even_read() -> None:
    with pytest.raises(UnauthenticatedError, match="can't be read"):
        principal(header([*CLAIMS, *[("x", "y" * 100)] * 1000]), ACCESS)
