"""What arrives, before and after it is read, with its place in the order of arrival."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from relay.event import Event

EPOCH: Final = datetime.fromtimestamp(0, UTC)

_NUMBERS: Final = 10**20
"""As many as the names of blobs have digits for."""


class Order(StrEnum):
    """What the numbers of a lane tell of its order."""

    GAPLESS = "gapless"
    """They rise by one, as in a hub's partition: a leap tells of another reader."""
    RISING = "rising"
    """They rise with gaps, as in a session: who had the lane meanwhile can't be told."""
    NONE = "none"
    """They only tell arrivals apart: nothing has to wait for anything."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that is no event.

    Attributes:
        body: its bytes, as they arrived.
        properties: its application properties as text, for whoever looks into the matter.
        detail: what is wrong with it, in words.
    """

    body: bytes
    properties: Mapping[str, str]
    detail: str


@dataclass(slots=True)  # freezing would cost more than all else that is done to make it
class Message:
    """What arrives before it is read: a body with its properties, at a place in a lane.

    Attributes:
        lane: the ordered stream it arrived on, such as `<hub>/<partition>`.
        sequence: its number in the lane.
        enqueued: when the lane took it in.
        order: what the lane's numbers tell.
    """

    lane: Final[str]
    sequence: Final[int]
    enqueued: Final[datetime]
    body: Final[bytes]
    properties: Final[Mapping[Any, object]]
    content_type: Final[str | None] = None
    order: Final[Order] = Order.GAPLESS


@dataclass(slots=True)  # not frozen, as a `Message` isn't
class Arrival:
    """An event, or what should have been one, with its place in the order of arrival.

    Attributes:
        part: its number among the events that of one message (a message may hold a batch).
        order: what the lane's numbers tell; it does not outlast the invocation.
    """

    lane: Final[str]
    sequence: Final[int]
    part: Final[int]
    enqueued: Final[datetime]
    content: Final[Event | Malformed]
    order: Final[Order] = field(default=Order.GAPLESS, compare=False)

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands in the order of arrival."""
        return self.lane, self.sequence, self.part


def number_of(parts: Iterable[bytes]) -> int:
    """Return a number for what has none of its own: the same for the same bytes only.

    So a second delivery of the same thing gets the name of the first in Blob, and nothing else
    ever does.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return int.from_bytes(digest.digest()) % _NUMBERS


def aware(time: datetime | None) -> datetime:
    """The extensions send times without a zone; they are UTC."""
    if time is None:
        return EPOCH
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def shown(value: object) -> str:
    """Return a property's name or value as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
