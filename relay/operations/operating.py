"""The surface for operators, put together: which resource takes which action."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from relay.failures import DeliveryError
from relay.operations.answers import Answer, in_json
from relay.operations.authorising import Authorizer
from relay.operations.http_api import HttpApi, Resource, document, tagged
from relay.operations.identifying import Identifier
from relay.operations.letters import QUERY, Letters
from relay.permissions import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from relay.by_hand import ByHand
    from relay.observer import Observer
    from relay.operations.access import Caller
    from relay.operations.http_api import Call, Handle
    from relay.routing import Route
    from relay.settings import Api

_READY_SECONDS: Final = 5.0
_BELIEVED: Final = 10.0
"""Seconds for which Blob storage is not asked again: anybody may ask whether it answers."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the surface shows and does.

    Attributes:
        routes: in their declared order.
        by_hand: what may be done with dead letters.
        report: says how the routes fare.
        examine: runs the doctor; `None` where there is none.
        reach: reaches Blob storage, or raises `DeliveryError`.
        page: what a browser is shown of the routes.
    """

    routes: Sequence[Route]
    by_hand: ByHand
    report: Callable[[], Mapping[str, Any]]
    reach: Callable[[], Awaitable[object]]
    examine: Callable[[], Awaitable[Mapping[str, Any]]] | None = None
    page: Callable[[], Answer] | None = None


def build_api(
    api: Api,
    base: str,
    parts: Parts,
    verify: Callable[[str | None], Awaitable[Caller]],
    observe: Observer,
) -> HttpApi:
    """Return the surface.

    Args:
        api: who may do what.
        base: how its paths begin, such as `/api/`.
        parts: what it shows and does.
        verify: tells whom the header Authorization names, or raises `AccessError`.
        observe: hears of what is refused.
    """
    letters = Letters(parts.by_hand, parts.routes, base)
    redrive = Action.DEAD_LETTERS_REDRIVE

    async def routes(_: Call) -> Answer:
        told = parts.report()
        return tagged(in_json(told), {**told, "asOf": None})

    async def live(_: Call) -> Answer:
        return in_json({"live": True})

    async def described(_: Call) -> Answer:
        return document(base)

    resources = {
        "GET health": Resource(None, _Readiness(parts.reach)),
        "GET health/live": Resource(None, live),
        "GET openapi.json": Resource(None, described),
        "GET routes": Resource(Action.ROUTES_READ, routes),
        "POST routes/{name}/redrive": Resource(redrive, letters.redrive_route),
        "GET dead-letters": Resource(Action.DEAD_LETTERS_READ, letters.page, QUERY),
        "GET dead-letters/{name}": Resource(Action.DEAD_LETTERS_READ, letters.one),
        "POST dead-letters/redrive": Resource(redrive, letters.redrive),
    }
    if parts.examine is not None:
        resources["GET doctor"] = Resource(Action.DOCTOR, _told(parts.examine))
    identify = Identifier(api, verify).caller
    return HttpApi(base, resources, identify, Authorizer(api).permit, observe, parts.page)


def _told(examine: Callable[[], Awaitable[Mapping[str, Any]]]) -> Handle:
    async def tell(_: Call) -> Answer:
        return in_json(await examine())

    return tell


class _Readiness:
    """Says whether events can be kept safe: whether Blob storage answers."""

    def __init__(self, reach: Callable[[], Awaitable[object]]) -> None:
        self._reach = reach
        self._is_ready = False
        self._asked = float("-inf")
        self._turn = asyncio.Lock()

    async def __call__(self, _: Call) -> Answer:
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if now - self._asked > _BELIEVED:
                self._is_ready, self._asked = await self._ask(), now
        told = {"live": True, "ready": self._is_ready}
        return in_json(told, status=200 if self._is_ready else 503)

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._reach()
        except (DeliveryError, TimeoutError):
            return False
        return True
