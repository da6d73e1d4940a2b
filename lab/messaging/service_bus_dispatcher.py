"""Hands a queue's messages to the links that have credit, and wakes when something is due."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from lab.messaging.entities import NoSessionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.messaging.entities import Queue, SessionLock


MOST_ROUNDS: Final = 5000
"""How many messages one consumer gets before others of the loop have a turn."""


class Consumer(Protocol):
    """An open link that receives from the queue."""

    def feed(self) -> bool:
        """Take one message if there is credit and a message; tell whether it did."""

    def check(self) -> None:
        """End the link if its session is lost."""


class Alarm:
    """Calls `ring` when something that moves with time is due.

    Args:
        clock: the time (epoch seconds).
        next_due: when the next thing is due, by `clock`; None is never.
        ring: does what is due; the alarm then sets itself again.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        next_due: Callable[[], float | None],
        ring: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._next_due = next_due
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Look again what is due next."""
        self.stop()
        due = self._next_due()
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - self._clock()), self._go_off)

    def stop(self) -> None:
        """Stay silent until it is set again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_off(self) -> None:
        self._timer = None
        self._ring()
        self.set()


class Dispatcher:
    """The counter of one queue: its consumers, served in turn, and who waits for a session."""

    def __init__(self, queue: Queue, clock: Callable[[], float]) -> None:
        self.queue = queue
        self._alarm = Alarm(clock, queue.next_due, self.serve)
        self._consumers: deque[Consumer] = deque()
        self._waiting: deque[asyncio.Future[SessionLock]] = deque()
        self._woken: asyncio.Handle | None = None
        queue.watch(self.wake)

    @property
    def links(self) -> int:
        """How many links receive from the queue."""
        return len(self._consumers)

    def join(self, consumer: Consumer) -> None:
        """Let a consumer have messages from now on."""
        self._consumers.append(consumer)

    def leave(self, consumer: Consumer) -> None:
        """Give a consumer nothing more."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    def wake(self) -> None:
        """Serve soon, once, however often this is called until then."""
        if self._woken is None:
            self._woken = asyncio.get_running_loop().call_soon(self.serve)

    def serve(self) -> None:
        """Do what is due, hand out what there is, and come back when more is due."""
        self._sleep()
        self.queue.advance()
        if not self.queue.disabled:
            self._give_sessions()
            self._feed()
        for consumer in tuple(self._consumers):
            consumer.check()
        self._alarm.set()

    async def next_session(self, seconds: float) -> SessionLock:
        """Hold the next session that is free and has messages.

        Raises:
            TimeoutError: there was none in that time.
            EntityError: the queue has no sessions, or is disabled.
        """
        try:
            return self.queue.accept_session()
        except NoSessionError:
            return await self._wait_for_session(seconds)

    def close(self) -> None:
        """Cancel every timer; the next operation sets them again."""
        self._alarm.stop()
        self._sleep()

    async def _wait_for_session(self, seconds: float) -> SessionLock:
        place: asyncio.Future[SessionLock] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        given: SessionLock | None = None
        try:
            async with asyncio.timeout(seconds):
                given = await place
        finally:
            if given is None:
                self._give_up(place)
        return given

    def _give_up(self, place: asyncio.Future[SessionLock]) -> None:
        """Return what was handed over in the very moment in which nobody waited any more."""
        if place in self._waiting:
            self._waiting.remove(place)
        elif not place.cancelled():
            self.queue.leave_session(place.result())

    def _give_sessions(self) -> None:
        while self._waiting:
            try:
                session = self.queue.accept_session()
            except NoSessionError:
                return
            place = self._waiting.popleft()
            if place.done():
                self.queue.leave_session(session)
            else:
                place.set_result(session)

    def _feed(self) -> None:
        self._consumers.rotate(-1)
        for _ in range(MOST_ROUNDS):
            if not sum(consumer.feed() for consumer in tuple(self._consumers)):
                return
        self.wake()

    def _sleep(self) -> None:
        if self._woken is not None:
            self._woken.cancel()
            self._woken = None
