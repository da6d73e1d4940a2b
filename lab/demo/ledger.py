"""Keeps count of what the relay says about itself in its log."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_WINDOW_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the relay said about one refusal, in its own words."""

    route: str
    identity: str
    client_id: str
    object_id: str
    destination: str
    audience: str
    role: str
    role_id: str
    scope: str
    cause: str
    remedy: str

    @classmethod
    def from_log(cls, values: Mapping[str, object]) -> Self:
        """Take the fields that a log record has; what it does not say is `""`."""
        return cls(**{each.name: str(values.get(each.name) or "") for each in fields(cls)})

    @property
    def is_explained(self) -> bool:
        """Whether it says everything that a person needs."""
        return all(getattr(self, each.name) for each in fields(self))

    def as_json(self) -> dict[str, str]:
        """Return every field."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(slots=True)
class Tally:
    """One route's numbers: what the relay said it did.

    Attributes:
        direct: how many events were delivered at once.
        dead_lettered: how many became dead letters instead.
        redriven: how many of those were delivered after all.
        state: the route's, with its `reason` if there is one.
    """

    direct: int = 0
    dead_lettered: int = 0
    redriven: int = 0
    state: str = "healthy"
    reason: str = ""
    recent: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def delivered(self) -> int:
        """How many events have arrived, at once or after all."""
        return self.direct + self.redriven

    @property
    def waiting(self) -> int:
        """How many events are dead letters that were not redriven."""
        return self.dead_lettered - self.redriven

    @property
    def settled(self) -> int:
        """How many events were delivered or are kept."""
        return self.direct + self.dead_lettered

    def rate(self, now: float) -> float:
        """Return the events delivered a second, over the last few."""
        while self.recent and self.recent[0][0] < now - _WINDOW_SECONDS:
            self.recent.popleft()
        return sum(count for _, count in self.recent) / _WINDOW_SECONDS


class Ledger:
    """The routes' tallies and the refusals, by the relay's log.

    Args:
        routes: the routes' names, in the order in which they are shown.
        clock: seconds that only rise.

    Attributes:
        tallies: each route's numbers.
        refusals: each refusal once.
        malformed: how many messages were no events.
        heard: how many records were entered.
    """

    def __init__(self, routes: Iterable[str], clock: Callable[[], float]) -> None:
        self.tallies = {route: Tally() for route in routes}
        self.refusals: list[Refusal] = []
        self.malformed = 0
        self.heard = 0
        self._clock = clock
        self._changed = asyncio.Event()

    @property
    def dead_lettered(self) -> int:
        """How many times an event became a dead letter, whatever its route."""
        return sum(tally.dead_lettered for tally in self.tallies.values())

    @property
    def redriven(self) -> int:
        """How many dead letters were delivered after all."""
        return sum(tally.redriven for tally in self.tallies.values())

    @property
    def waiting(self) -> int:
        """How many dead letters were not redriven."""
        return self.dead_lettered - self.redriven

    def rate(self, route: str) -> float:
        """Return the events delivered a second on a route just now."""
        return self.tallies[route].rate(self._clock())

    def hear(self, name: str, values: Mapping[str, object]) -> None:
        """Enter one log record: its fixed name, and the values that go with it."""
        tally = self.tallies.get(str(values.get("route")))
        count = _count(values)
        match name, tally:
            case "relay.delivered", Tally():
                tally.direct += count
                tally.recent.append((self._clock(), count))
            case "relay.dead_lettered", Tally():
                tally.dead_lettered += count
            case "relay.redriven", Tally():
                tally.redriven += count
                tally.recent.append((self._clock(), count))
            case "relay.route_state", Tally():
                tally.state = str(values.get("state", ""))
                tally.reason = str(values.get("reason") or "")
            case "relay.malformed", _:
                self.malformed += count
            case "relay.refused", _:
                self._refused(Refusal.from_log(values))
            case _:
                return
        self.heard += 1
        self._changed.set()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on this ledger holds; tell whether it did in time."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _refused(self, refusal: Refusal) -> None:
        """Note a refusal once, however often it is repeated."""
        if refusal not in self.refusals:
            self.refusals.append(refusal)


def _count(values: Mapping[str, object]) -> int:
    count = values.get("count", 0)
    return int(count) if isinstance(count, int | float | str) else 0
