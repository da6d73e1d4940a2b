"""The event path from settling to Blob, built over fakes, that can be restarted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from relay.delivery import Delivery
from relay.event import Event
from relay.ingress import Arrival
from relay.observer import Fact
from relay.redrive import Redrive
from relay.resending import Resender
from relay.routing import Route
from relay.sending import Patience, Sender
from tests.fakes import NOON, MemoryDeadLetters, MemorySink, an_arrival, an_event

PATIENCE = Patience(first=0.25, longest=2.0, budget=5.0, attempt=10.0)
"""As in earnest, in virtual seconds."""

ONE_ATTEMPT = Patience(budget=0.0, attempt=10.0)


@dataclass
class EventPath:
    """Routes with a sink each, and Blob; `restart` is what happens when a process ends.

    Attributes:
        facts: what was observed since the beginning.
    """

    routes: Sequence[Route]
    sinks: Mapping[str, MemorySink]
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    facts: list[Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.delivery = self.another_process()

    async def restart(self) -> None:
        """End the process and begin another: sinks and Blob stay, all else is forgotten."""
        await self.delivery.close()
        self.delivery = self.another_process()

    def another_process(self) -> Delivery:
        """Build a delivery over the same sinks and the same Blob."""
        observe = self.facts.append
        resender = Resender(
            Sender(self.sinks, observe, ONE_ATTEMPT), self.dead_letters, lambda: NOON
        )
        redrive = Redrive(resender, self.dead_letters, observe)
        sender = Sender(self.sinks, observe, PATIENCE)
        return Delivery(self.routes, sender, self.dead_letters, redrive, observe, lambda: NOON)


def an_event_path(*routes: Route, **sinks: MemorySink) -> EventPath:
    """Return a path whose routes' sinks are given by name; the others get healthy ones."""
    return EventPath(
        routes, {route.name: sinks.get(route.name, MemorySink()) for route in routes}
    )


def ids(events: Iterable[Event]) -> list[str]:
    """Return the ids of events."""
    return [event.id for event in events]


def batch(count: int, *, start: int = 0, twins: int = 1) -> list[Arrival]:
    """Return so many arrivals of one lane, their numbers for ids, of so many twins in turn."""
    return [
        an_arrival(an_event(id=str(n), subject=f"pump-{n % twins}"), sequence=n)
        for n in range(start, start + count)
    ]


def is_event(*names: str) -> Callable[[Event], bool]:
    """Say whether an event is one of those with these ids."""
    return lambda event: event.id in names
