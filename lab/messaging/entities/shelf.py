"""The messages of a queue, and which of them may be delivered next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.messaging.entities.agenda import Agenda
from lab.messaging.entities.message import State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lab.messaging.entities.message import Message

type Lane = str | None
"""A session id; None in a queue without sessions."""


class Shelf:
    """Every message that the queue has, in lanes of their own order.

    A message is on the shelf until it is removed; while it is in somebody's hands it is in no
    lane and does not expire.
    """

    def __init__(self, *, session: bool) -> None:
        self._session = session
        self._messages: dict[int, Message] = {}
        self._lanes: dict[Lane, Agenda[int]] = {}
        self._expiries: Agenda[int] = Agenda()

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages.values())

    def get(self, number: int) -> Message | None:
        """Return the message with that sequence number."""
        return self._messages.get(number)

    def put(self, message: Message) -> None:
        """Add a message, or put one back in its place."""
        number = message.sequence_number
        self._messages[number] = message
        if message.state is State.ACTIVE:
            self._lanes.setdefault(self._lane(message), Agenda()).put(number, number)
        if message.expires_at is not None:
            self._expiries.put(number, message.expires_at)

    def hand_out(self, lane: Lane) -> Message | None:
        """Take the first message out of a lane; it stays on the shelf."""
        waiting = self._lanes.get(lane)
        number = None if waiting is None else waiting.pop()
        if number is None:
            return None
        self._close_if_empty(lane)
        return self.hold(self._messages[number])

    def hold(self, message: Message) -> Message:
        """Keep a message that is in somebody's hands from expiring."""
        self._expiries.discard(message.sequence_number)
        return message

    def remove(self, message: Message) -> None:
        """Forget a message."""
        number = message.sequence_number
        del self._messages[number]
        self._expiries.discard(number)
        lane = self._lane(message)
        if lane in self._lanes:
            self._lanes[lane].discard(number)
            self._close_if_empty(lane)

    def first_lane(self, taken: Collection[Lane]) -> str | None:
        """Return the session that has waited longest and is not taken."""
        return next((lane for lane in self._lanes if lane not in taken and lane), None)

    def to_the_end(self, lane: Lane) -> None:
        """Let the other lanes go first."""
        if lane in self._lanes:
            self._lanes[lane] = self._lanes.pop(lane)

    def is_waiting(self, lane: Lane) -> bool:
        """Return whether the lane has a message to deliver."""
        return lane in self._lanes

    def expired(self, now: float) -> Iterator[Message]:
        """Yield the messages whose time is up; they are still on the shelf."""
        for number in self._expiries.due(now):
            yield self._messages[number]

    def next_due(self) -> float | None:
        """Return when the next message expires."""
        return self._expiries.first()

    def _lane(self, message: Message) -> Lane:
        return message.incoming.session_id if self._session else None

    def _close_if_empty(self, lane: Lane) -> None:
        if not self._lanes[lane]:
            del self._lanes[lane]
