"""App Service's word counts only where it is trusted, and never before a token."""

from __future__ import annotations

import pytest

from relay.operations.access import Caller, ForbiddenError, UnauthenticatedError
from relay.operations.app_service import HEADER
from relay.operations.identifying import Identifier
from relay.settings import Api
from tests.relay.operations.test_app_service import ACCESS, CLAIMS, header
from tests.relay.operations.twins_world import Request

WORD = {HEADER: header(CLAIMS), "host": "relay.example"}
BY_TOKEN = Caller("by-token", "o", frozenset())


async def verify(authorization: str | None) -> Caller:
    if authorization != "Bearer good":
        raise UnauthenticatedError("there is no good token")
    return BY_TOKEN


async def caller(
    headers: dict[str, str], method: str = "GET", *, trusts: bool = True
) -> Caller:
    request = Request(method, "https://relay.example/api/routes", headers)
    return await Identifier(Api(ACCESS, {}, trusts_app_service=trusts), verify).caller(request)


async def test_where_it_is_trusted_its_word_counts() -> None:
    assert (await caller(WORD)).application == "a"


async def test_a_smuggled_word_is_nothing_where_it_is_not_trusted() -> None:
    with pytest.raises(UnauthenticatedError):
        await caller(WORD, trusts=False)


async def test_a_token_counts_before_its_word() -> None:
    assert await caller(WORD | {"authorization": "Bearer good"}) == BY_TOKEN


async def test_a_bad_token_is_not_helped_by_its_word() -> None:
    with pytest.raises(UnauthenticatedError):
        await caller(WORD | {"authorization": "Bearer bad"})


async def test_nothing_at_all_is_nobody() -> None:
    with pytest.raises(UnauthenticatedError):
        await caller({})


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://relay.example.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_sites_page_sends_nothing_with_a_users_cookie(
    sent: dict[str, str],
) -> None:
    with pytest.raises(ForbiddenError, match="a page of another site"):
        await caller(WORD | sent, "POST")


@pytest.mark.parametrize(
    "sent",
    [{}, {"origin": "https://relay.example", "sec-fetch-site": "same-origin"}],
)
async def test_the_relays_own_page_does(sent: dict[str, str]) -> None:
    assert (await caller(WORD | sent, "POST")).application == "a"


async def test_a_token_is_sent_by_nobody_unawares_hence_from_anywhere() -> None:
    bearer = {"authorization": "Bearer good", "origin": "https://elsewhere.example"}

    assert await caller(bearer, "POST") == BY_TOKEN
