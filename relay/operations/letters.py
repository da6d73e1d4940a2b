"""Dead letters over HTTP: listed page by page, read one by one, redriven as selected."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from relay.by_hand import Order
from relay.dead_letters import Fate
from relay.dead_letters.lots import Mark
from relay.dead_letters.selection import Selection, SelectionError
from relay.failures import Reason
from relay.operations.answers import Answer, in_json
from relay.operations.http_api import BadRequestError, NotNowError, NotThereError
from relay.operations.selecting import among, read_time
from relay.operations.telling import letter_as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relay.by_hand import ByHand, Found, Step
    from relay.operations.http_api import Call
    from relay.routing import Route

QUERY: Final = frozenset({"route", "fate", "reason", "id", "since", "until", "top", "after"})

_PAGE: Final = 50
_LARGEST_PAGE: Final = 200
_SECONDS: Final = 60.0
"""For which a redrive goes on before it answers; the host grants a function more."""
_ORDER: Final = frozenset(
    {"route", "fate", "reason", "id", "since", "until", "to", "outOfOrder"}
)


class Letters:
    """What may be asked of dead letters.

    Args:
        by_hand: what an operator may do with them.
        routes: by which they may be sent.
        base: how the paths of the surface begin.
    """

    def __init__(self, by_hand: ByHand, routes: Sequence[Route], base: str) -> None:
        self._by_hand = by_hand
        self._routes = {route.name: route for route in routes}
        self._base = base

    async def page(self, call: Call) -> Answer:
        """List letters, without their content, from behind a mark on."""
        query = call.query
        selection = _selection({name: [value] for name, value in query.items()})
        top = _top(query.get("top", str(_PAGE)))
        start = _mark(query["after"]) if query.get("after") else None
        found: list[Found] = []
        more = False
        async for each in self._by_hand.letters(selection, start):
            if len(found) == top:
                more = True
                break
            found.append(each)
        told: dict[str, Any] = {"value": [_summary(each) for each in found]}
        if more:
            after = {**query, "after": identifier(found[-1].mark)}
            told["nextLink"] = f"{self._base}dead-letters?{urlencode(after)}"
        return in_json(told)

    async def one(self, call: Call) -> Answer:
        """Show a letter whole."""
        try:
            mark = _mark(call.name)
        except BadRequestError as error:
            raise NotThereError(str(error)) from error
        before = Mark(mark.name, mark.sequence, mark.part - 1)
        async for found in self._by_hand.letters(Selection(), before):
            if found.mark == mark:
                return in_json(_whole(found))
            break
        raise NotThereError("there is no such dead letter: it may have been redriven since")

    async def redrive(self, call: Call) -> Answer:
        """Send the letters that are meant again, for a while, and say what became of them."""
        selection, order = self._order(call.body)
        return await self._redriven(selection, order)

    async def redrive_route(self, call: Call) -> Answer:
        """Send what waits on a route again."""
        if call.name not in self._routes:
            raise NotThereError(f"no route is called {call.name!r}")
        if call.body:
            raise BadRequestError("it takes no body: POST to dead-letters/redrive to select")
        selection = Selection(routes=frozenset({call.name}), fates=frozenset({Fate.WAITING}))
        return await self._redriven(selection, Order())

    async def _redriven(self, selection: Selection, order: Order) -> Answer:
        try:
            await self._by_hand.check(selection, order)
        except SelectionError as error:
            raise NotNowError(str(error)) from error
        ending = asyncio.get_running_loop().call_later(_SECONDS, order.stop.set)
        try:
            steps = [step async for step in self._by_hand.redrive(selection, order)]
        finally:
            ending.cancel()
        return in_json(_outcome(steps, is_whole=not order.stop.is_set()))

    def _order(self, body: Mapping[str, Any]) -> tuple[Selection, Order]:
        if unknown := body.keys() - _ORDER:
            may = ", ".join(sorted(_ORDER))
            raise BadRequestError(f"there is no member {min(unknown)!r}: there are {may}")
        if not body.keys() & _SELECTED:
            detail = (
                'say which, such as {"route": "alarms"}; {"fate": ["waiting", "held"]}: all'
            )
            raise BadRequestError(detail)
        to, out_of_order = body.get("to"), body.get("outOfOrder", False)
        if to is not None and not (isinstance(to, str) and to in self._routes):
            raise NotNowError(f"no route is called {to!r}")
        if not isinstance(out_of_order, bool):
            raise BadRequestError("outOfOrder is true or false")
        selection = _selection({n: _texts(n, v) for n, v in body.items() if n in _SELECTED})
        return selection, Order(self._routes[to] if to else None, out_of_order)


_SELECTED: Final = frozenset({"route", "fate", "reason", "id", "since", "until"})


def identifier(mark: Mark) -> str:
    """Return the name by which a letter is known in paths."""
    return base64.urlsafe_b64encode(str(mark).encode()).decode().rstrip("=")


def _mark(text: str) -> Mark:
    try:
        padded = text + "=" * (-len(text) % 4)
        return Mark.read(base64.b64decode(padded, b"-_", validate=True).decode())
    except (ValueError, binascii.Error) as error:
        detail = f"{text!r} is no dead letter's id: take one from the list"
        raise BadRequestError(detail) from error


def _texts(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, str) for each in values):
        raise BadRequestError(f"{name} is a text or a list of texts, of one at least")
    return values


def _selection(given: Mapping[str, Sequence[str]]) -> Selection:
    try:
        return Selection(
            routes=frozenset(given.get("route", ())),
            fates=among("fate", given.get("fate", ()), list(Fate)),
            reasons=among("reason", given.get("reason", ()), list(Reason)),
            ids=frozenset(given.get("id", ())),
            since=_time(given, "since"),
            until=_time(given, "until"),
        )
    except ValueError as error:
        raise BadRequestError(str(error)) from error


def _time(given: Mapping[str, Sequence[str]], name: str) -> datetime | None:
    times = given.get(name, ())
    if len(times) > 1:
        raise ValueError(f"{name} is one time")
    return read_time(times[0], datetime.now(UTC)) if times else None


def _top(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_LARGEST_PAGE))
    if not is_number or not 0 < int(text) <= _LARGEST_PAGE:
        raise BadRequestError(f"top is a number from 1 to {_LARGEST_PAGE}")
    return int(text)


def _whole(found: Found) -> dict[str, Any]:
    told = letter_as_json(found)
    del told["mark"]
    return {**told, "eventId": told["id"], "id": identifier(found.mark)}


def _summary(found: Found) -> dict[str, Any]:
    told = _whole(found)
    del told["content"]
    return told


def _outcome(steps: Sequence[Step], *, is_whole: bool) -> dict[str, Any]:
    whys: dict[str, dict[str, Any]] = {}
    unreadable: Counter[str] = Counter()
    for step in steps:
        unreadable.update(step.unreadable)
        if step.why:
            refusal = step.error.refusal if step.error else None
            whys[step.why] = {
                "route": step.shelf.route,
                "why": step.why,
                "reason": step.error.reason.value if step.error else None,
                "remedy": refusal.remedy if refusal else None,
            }
    return {
        "delivered": sum(step.done for step in steps),
        "held": sum(step.held for step in steps),
        "left": list(whys.values()),
        "unreadable": sorted(unreadable),
        "isWhole": is_whole,
    }
