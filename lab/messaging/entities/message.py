"""A message: the encoded sections as they were sent, and what the entity knows about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

type MessageId = str | bytes | int | UUID

OVERHEAD: Final = 768
"""Bytes charged for keeping one message beside its own, so that empty ones are bounded too."""


class State(IntEnum):
    """The value of `x-opt-message-state`."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as a sender hands it over.

    Attributes:
        sections: the whole encoded message; kept verbatim.
        message_id: what duplicate detection compares.
        session_id: the session it belongs to (AMQP's group-id).
        ttl: seconds to live from enqueueing on; None is for ever.
        scheduled_at: when to enqueue it (epoch seconds); None is now.
    """

    sections: bytes
    message_id: MessageId | None = None
    session_id: str | None = None
    ttl: float | None = None
    scheduled_at: float | None = None

    @property
    def size(self) -> int:
        """What the message is charged against the quota, in bytes."""
        return len(self.sections) + OVERHEAD


@dataclass(frozen=True, slots=True)
class DeadLettering:
    """Why a message is in the dead-letter sub-queue, and where it came from."""

    reason: str | None
    description: str | None
    source: str


@dataclass(slots=True, eq=False)
class Message:
    """A message in an entity; it changes place and state, never its content.

    Attributes:
        incoming: what was sent.
        sequence_number: its identity in the entity, rising from 1.
        enqueued_at: when it became available (epoch seconds), or will if it is scheduled.
        expires_at: when its time to live ends (epoch seconds); None is never.
        delivery_count: how many deliveries have failed so far.
        dead_lettering: set once it has been dead-lettered.
    """

    incoming: Incoming
    sequence_number: int
    enqueued_at: float
    expires_at: float | None = None
    state: State = State.ACTIVE
    delivery_count: int = 0
    dead_lettering: DeadLettering | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in the hands of a receiver.

    Attributes:
        message: what was received.
        token: the lock token to settle it by; None when it was received and deleted.
        locked_until: when the lock ends (epoch seconds); None when there is no lock.
    """

    message: Message
    token: UUID | None = None
    locked_until: float | None = None
