"""Sends events to a route: streams side by side, each in order, retried, poison isolated."""

from __future__ import annotations

import asyncio
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from relay.dead_letters import DeadLetter
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.observer import Delivered, Failed, Sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence
    from datetime import datetime

    from relay.ingress import Arrival
    from relay.observer import Observer
    from relay.routing import Route


class Sink(Protocol):
    """Sends to one destination.

    A destination has one or more *streams* that each keep order (a hub's partitions). All
    methods but `stream` raise `DeliveryError` and nothing else; none retries by itself.
    """

    async def open(self, count: float = math.inf) -> None:
        """Make ready to send so many events, without sending; cheap when it is ready.

        A few may have to wait for less than many.
        """

    def stream(self, event: Event) -> str:
        """Return the stream that the event belongs on; the same for the same key."""

    async def send(self, stream: str, events: Sequence[Event]) -> None:
        """Send events of one stream in order; all are accepted, or the error says how many."""

    async def probe(self) -> None:
        """Open a new link, to see whether the destination lets the relay in; send nothing."""

    async def close(self) -> None:
        """Let go of connections; a later `open` makes new ones."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a send is tried: waits that double, with jitter, inside a budget.

    The budget is short, since the other routes of a batch wait for it too: what a second or two
    don't mend goes behind into Blob, and a redrive in the background does the waiting.

    Attributes:
        first: seconds before the second attempt.
        longest: seconds that no wait exceeds.
        budget: seconds from the first attempt after which no other is made, however many events
            were accepted meanwhile; it must end well before the host's `functionTimeout`.
        attempt: seconds that one attempt may take, waiting for its turn included; sinks bound
            each of their calls by less.
    """

    first: float = 0.25
    longest: float = 1.0
    budget: float = 2.0
    attempt: float = 60.0

    def wait_after(self, attempts: int, elapsed: float, asked: float = 0.0) -> float | None:
        """Return the seconds to wait after so many attempts, `None` to give up.

        Args:
            attempts: how many were made.
            elapsed: seconds since the first.
            asked: seconds that the destination asks for; never fewer are waited.
        """
        full = min(self.first * 2.0 ** (attempts - 1), self.longest)
        wait = max(asked, full * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret
        return wait if elapsed + wait < self.budget else None


NO_PATIENCE: Final = Patience(budget=0.0)
"""One attempt: for what may just as well go on waiting."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that its destination did not take.

    Attributes:
        error: the last one.
        attempts: how often it was tried; 0 if it was not, because those before it failed.
    """

    arrival: Arrival
    error: DeliveryError
    attempts: int

    @property
    def is_final(self) -> bool:
        """Whether the event itself is at fault, so that sending it again is no use."""
        return self.error.reason.traits.isolates_event

    def dead_letter(self, time: datetime) -> DeadLetter:
        """Return the dead letter of a failure that is final."""
        refusal = self.error.refusal
        detail = self.error.detail if refusal is None else str(refusal)
        return DeadLetter(self.arrival, self.error.reason, detail, self.attempts, time)


class Sender:
    """Brings events to the sinks of their routes; what is not accepted comes back."""

    def __init__(
        self, sinks: Mapping[str, Sink], observe: Observer, patience: Patience | None = None
    ) -> None:
        self._sinks = sinks
        self._observe = observe
        self._patience = patience or Patience()

    async def probe(self, route: Route) -> DeliveryError | None:
        """Return what is wrong with a route's destination, `None` if it lets the relay in."""
        error = await self._outcome(self._sinks[route.name].probe(), math.inf)
        if error is not None:
            self._observe(Failed(route, error))
        return error

    async def send(
        self, route: Route, arrivals: Sequence[Arrival], until: float = math.inf
    ) -> list[Failure]:
        """Send events of one route; return those not accepted, in order of arrival.

        Args:
            route: whose sink takes them.
            arrivals: in order.
            until: when to give up whatever is left, in the event loop's time.
        """
        sink = self._sinks[route.name]
        opening = _Attempts(self._patience, until)
        clock = asyncio.get_running_loop().time
        began = clock()
        while (error := await self._outcome(sink.open(len(arrivals)), until)) is not None:
            self._observe(Failed(route, error, arrivals, clock() - began))
            if not await opening.again(error):
                return [Failure(arrival, error, opening.made) for arrival in arrivals]
            began = clock()
        streams = _by_stream(sink, arrivals)
        sends = (self._send_stream(route, sink, until, *stream) for stream in streams.items())
        sent = await asyncio.gather(*sends)
        accepted = [arrival for part in sent for arrival in part.accepted]
        if accepted:
            self._observe(Delivered(route, accepted, max(part.attempts for part in sent)))
        failures = [failure for part in sent for failure in part.failures]
        return sorted(failures, key=lambda failure: failure.arrival.place)

    async def _send_stream(
        self, route: Route, sink: Sink, until: float, stream: str, arrivals: Sequence[Arrival]
    ) -> _Sent:
        """Send one stream in order; halve the batch around a poison event until it is alone."""
        sent = _Sent()
        rest, size = list(arrivals), len(arrivals)
        attempts = _Attempts(self._patience, until)
        clock = asyncio.get_running_loop().time
        while rest:
            batch, began = rest[:size], clock()
            error = await self._outcome(sink.send(stream, _events(batch)), until)
            accepted = len(batch) if error is None else error.accepted
            if accepted:
                sent.accept(rest[:accepted], attempts.made + 1)
                rest, attempts.made = rest[accepted:], 0
            if error is None:
                self._observe(Sent(route, batch, clock() - began))
                size *= 2
                continue
            self._observe(Failed(route, error, batch, clock() - began))
            suspects = min(error.suspects, len(batch) - accepted)
            if error.reason.traits.isolates_event and suspects > 1:
                size = suspects // 2
            elif error.reason.traits.isolates_event:
                sent.failures.append(Failure(rest.pop(0), error, attempts.made + 1))
            elif not await attempts.again(error):
                sent.failures += _given_up(rest, suspects, error, attempts.made)
                break
        return sent

    async def _outcome(self, action: Awaitable[None], until: float) -> DeliveryError | None:
        """Bound an action in time: an SDK that gets no answer waits for ever."""
        now = asyncio.get_running_loop().time()
        seconds = max(min(self._patience.attempt, until - now), 0.0)
        try:
            async with asyncio.timeout(seconds):
                await action
        except DeliveryError as error:
            return error
        except TimeoutError:
            return DeliveryError(Reason.TIMEOUT, f"no answer within {seconds:g} seconds")
        return None


@dataclass(slots=True)
class _Sent:
    """What became of one stream's events.

    Attributes:
        attempts: the most that any accepted event took.
    """

    accepted: list[Arrival] = field(default_factory=list)
    attempts: int = 1
    failures: list[Failure] = field(default_factory=list)

    def accept(self, arrivals: Sequence[Arrival], attempts: int) -> None:
        """Note that events were accepted at the given attempt."""
        self.accepted += arrivals
        self.attempts = max(self.attempts, attempts)


class _Attempts:
    """Counts the attempts at one thing and waits between them."""

    def __init__(self, patience: Patience, until: float) -> None:
        self._patience = patience
        self._until = until
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self.made = 0

    async def again(self, error: DeliveryError) -> bool:
        """Count a failed attempt; wait and say whether another one makes sense."""
        self.made += 1
        if not error.reason.traits.retried:
            return False
        elapsed = self._clock() - self._started
        wait = self._patience.wait_after(self.made, elapsed, error.wait)
        if wait is None or self._clock() + wait >= self._until:
            return False
        await asyncio.sleep(wait)
        return True


def _events(arrivals: Sequence[Arrival]) -> list[Event]:
    return [arrival.content for arrival in arrivals if isinstance(arrival.content, Event)]


def _by_stream(sink: Sink, arrivals: Sequence[Arrival]) -> dict[str, list[Arrival]]:
    streams: dict[str, list[Arrival]] = defaultdict(list)
    stream = sink.stream
    for arrival in arrivals:
        if isinstance(arrival.content, Event):
            streams[stream(arrival.content)].append(arrival)
    return streams


def _given_up(
    rest: Sequence[Arrival], tried: int, error: DeliveryError, attempts: int
) -> list[Failure]:
    """Blame the destination for everything left; only the first `tried` were really tried."""
    return [
        Failure(arrival, error, attempts if index < tried else 0)
        for index, arrival in enumerate(rest)
    ]
