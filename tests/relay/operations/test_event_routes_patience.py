"""What is tried again, how long, and what is said in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest
from azure.core.credentials import AccessToken

from lab.misbehaviour import HttpFault
from relay.operations.event_routes.explaining import Attempt, explained
from relay.operations.event_routes.instance import AnswerError, Instance, NoTokenError
from relay.operations.event_routes.patience import Patience, TroubleError
from relay.operations.event_routes.plan import EventRoute
from relay.operations.event_routes.settling import Course, settle
from relay.refusals import Principal
from tests.relay.operations.twins_world import OWNER, World, a_world
from tests.virtual_time import in_virtual_time

ROUTE = EventRoute("twin-relay-landing", "landing", "true")
CALLER = Principal("caller", object_id="5b0c3f0e-0000-4000-8000-000000000001")


class Tries:
    """Fails so often, and notes when it was tried."""

    def __init__(self, times: int, trouble: TroubleError) -> None:
        self.left = times
        self.at: list[float] = []
        self._trouble = trouble

    async def __call__(self) -> str:
        self.at.append(asyncio.get_running_loop().time())
        if self.left:
            self.left -= 1
            raise self._trouble
        return "well"


def patience(seconds: float, chance: float = 0.0) -> Patience:
    return Patience(seconds, lambda _: None, chance=lambda: chance)


PASSING = TroubleError("not yet", passes=True)


@in_virtual_time
async def test_pauses_double_up_to_half_a_minute_and_the_last_try_ends_the_budget() -> None:
    tries = Tries(100, PASSING)
    with pytest.raises(TroubleError):
        await patience(100).until(tries)

    assert tries.at == [0, 1, 3, 7, 15, 31, 61, 91, 100]


@in_virtual_time
async def test_chance_cuts_each_pause_by_half_at_most() -> None:
    tries = Tries(3, PASSING)
    await patience(100, chance=1.0).until(tries)

    assert tries.at == [0, 0.5, 1.5, 3.5]


@in_virtual_time
async def test_a_service_that_says_when_is_not_asked_before() -> None:
    tries = Tries(2, TroubleError("busy", passes=True, after=20))
    assert await patience(100).until(tries) == "well"
    assert tries.at == [0, 20, 40]


@in_virtual_time
async def test_nobody_waits_who_would_wait_too_long_or_in_vain() -> None:
    for trouble in (TroubleError("busy", passes=True, after=101), TroubleError("wrong")):
        tries = Tries(1, trouble)
        with pytest.raises(TroubleError):
            await patience(100).until(tries)
        assert tries.at == [asyncio.get_running_loop().time()]


@in_virtual_time
async def test_the_budget_is_one_for_all_that_is_tried() -> None:
    one = patience(10)
    await one.until(Tries(3, PASSING))
    second = Tries(100, PASSING)
    with pytest.raises(TroubleError):
        await one.until(second)

    assert second.at == [7, 8, 10]


# What an instance answers


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


class Lent:
    """A credential that has the lab's token already."""

    principal = CALLER

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == ("https://digitaltwins.azure.net/.default",)
        return AccessToken(self._token, 4102444800)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


def instance(world: World, who: str = "owner") -> Instance:
    return Instance(world.plane.url, Lent(world.token(who)), world.ca_file)


def at_once(times: int) -> Patience:
    """As patient as that, without a pause."""
    left = iter([0.0] * times)
    return Patience(float("inf"), lambda _: next(left), first=0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "Unauthenticated"),
        (403, "AuthorizationFailed"),
        (404, "ResourceNotFound"),
        (400, "EventRouteEndpointInvalid"),
        (408, ""),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, ""),
    ],
)
async def test_what_may_pass_is_tried_again_until_it_works(
    world: World, status: int, code: str
) -> None:
    world.plane.faults.fault = HttpFault(status=status, code=code, times=3)
    course = Course()
    await settle(instance(world), ROUTE, at_once(3), course, prunes=False)

    assert course.done == ["created twin-relay-landing"]
    assert world.plane.faults.struck == 3


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "EventRouteFilterInvalid"),
        (400, "EventRouteIdInvalid"),
        (400, "LimitExceeded"),
        (403, "PublicNetworkAccessDisabled"),
        (412, "PreconditionFailed"),
    ],
)
async def test_what_stays_wrong_is_not_tried_again(
    world: World, status: int, code: str
) -> None:
    world.plane.faults.fault = HttpFault(status=status, code=code)
    with pytest.raises(AnswerError, match=f"answered {status} {code}"):
        await settle(instance(world), ROUTE, at_once(1), Course(), prunes=False)

    assert world.plane.faults.struck == 1


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1e9, 1e10),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0, 0),
    ],
)
async def test_the_service_says_when_to_come_again(
    world: World, header: str, low: float, high: float
) -> None:
    world.plane.faults.fault = HttpFault(status=429)
    world.plane.surplus = {"Retry-After": header}
    with pytest.raises(AnswerError) as raised:
        await instance(world).event_routes()

    assert raised.value.after is not None
    assert low <= raised.value.after <= high


@pytest.mark.parametrize("header", [None, "", "soon"])
async def test_a_service_that_says_nothing_of_use_leaves_it_to_us(
    world: World, header: str | None
) -> None:
    world.plane.faults.fault = HttpFault(status=429)
    world.plane.surplus = {} if header is None else {"Retry-After": header}
    with pytest.raises(AnswerError) as raised:
        await instance(world).event_routes()

    assert raised.value.after is None


async def test_an_event_route_that_somebody_else_deleted_meanwhile_is_deleted(
    world: World,
) -> None:
    await instance(world).delete("gone")


async def test_a_token_that_a_service_echoes_is_not_told(world: World) -> None:
    token = world.token("owner")
    world.plane.faults.fault = HttpFault(status=400, code=f"Odd {token}")
    with pytest.raises(AnswerError) as raised:
        await instance(world).event_routes()

    assert token not in str(raised.value)


# In words


def attempt(*, from_inside: bool = False) -> Attempt:
    host = "plant.api.weu.digitaltwins.azure.net"
    return Attempt(host, ROUTE, CALLER, writes=True, from_inside=from_inside)


async def wordless(world: World) -> AnswerError:
    world.plane.is_wordless = True
    with pytest.raises(AnswerError) as raised:
        await instance(world, "stranger").event_routes()
    return raised.value


async def test_a_refusal_without_words_is_of_the_role_or_of_the_network(world: World) -> None:
    """Azure Digital Twins answers 403 without a body to both; only the address may tell."""
    error = await wordless(world)
    outside = explained(error, attempt())
    inside = explained(error, attempt(from_inside=True))

    assert f"--role {OWNER} --scope " in outside
    assert f"--assignee-object-id {CALLER.object_id} " in outside
    assert "az dt show --dt-name plant --query publicNetworkAccess" in outside
    assert f"--role {OWNER} --scope " in inside
    assert "private endpoints" not in inside


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (AnswerError("h", 401, "", ""), "az login --tenant"),
        (AnswerError("h", 404, "", ""), "az dt show --dt-name plant --query hostName"),
        (AnswerError("h", 0, "", "no name"), "h gave no answer: no name."),
        (AnswerError("h", 0, "", "no name"), "nslookup plant.api.weu.digitaltwins.azure.net"),
        (AnswerError("h", 503, "Ill", "Not well."), "h answered 503 Ill: Not well.\nRun"),
        (AnswerError("h", 400, "LimitExceeded", ""), "may have six"),
        (NoTokenError("nobody"), "Sign in by 'azd auth login'"),
        (TroubleError("it is odd"), "it is odd."),
    ],
)
def test_what_went_wrong_is_told_with_what_mends_it(trouble: TroubleError, told: str) -> None:
    assert told in explained(trouble, attempt())
