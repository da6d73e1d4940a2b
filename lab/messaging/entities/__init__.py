"""Queues, topics and subscriptions as values in memory: no sockets, and the clock is given."""

from __future__ import annotations

from lab.messaging.entities.message import (
    DeadLettering,
    Delivery,
    Incoming,
    Message,
    MessageId,
    State,
)
from lab.messaging.entities.queue import Queue
from lab.messaging.entities.quota import Quota
from lab.messaging.entities.refusals import (
    EntityDisabledError,
    EntityError,
    MessageLockLostError,
    MessageNotFoundError,
    NoSessionError,
    NotAllowedError,
    QuotaExceededError,
    SessionHeldError,
    SessionLockLostError,
)
from lab.messaging.entities.rules import Rules
from lab.messaging.entities.sessions import SessionLock
from lab.messaging.entities.topic import Topic

__all__ = [
    "DeadLettering",
    "Delivery",
    "EntityDisabledError",
    "EntityError",
    "Incoming",
    "Message",
    "MessageId",
    "MessageLockLostError",
    "MessageNotFoundError",
    "NoSessionError",
    "NotAllowedError",
    "Queue",
    "Quota",
    "QuotaExceededError",
    "Rules",
    "SessionHeldError",
    "SessionLock",
    "SessionLockLostError",
    "State",
    "Topic",
]
