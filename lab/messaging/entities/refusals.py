"""What an entity refuses, with Service Bus' conditions and words.

The table of conditions: https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-troubleshoot
"""

from __future__ import annotations

from typing import ClassVar


class EntityError(Exception):
    """An operation that the entity refuses.

    Attributes:
        condition: the AMQP error condition that tells a client.
        status: the code of a management response.
    """

    condition: ClassVar[str] = "amqp:internal-error"
    status: ClassVar[int] = 400

    @property
    def text(self) -> str:
        """The description on the wire."""
        return str(self)


class MessageLockLostError(EntityError):
    """The lock token names no message that is locked now."""

    condition = "com.microsoft:message-lock-lost"
    status = 410

    def __init__(self) -> None:
        super().__init__(
            "The lock supplied is invalid. Either the lock expired, or the message has already "
            "been removed from the queue."
        )


class SessionLockLostError(EntityError):
    """The session's lock has ended, or another receiver has the session."""

    condition = "com.microsoft:session-lock-lost"
    status = 410

    def __init__(self) -> None:
        super().__init__(
            "The session lock has expired on the MessageSession. Accept a new MessageSession."
        )


class SessionHeldError(EntityError):
    """Another receiver holds the session that was asked for."""

    condition = "com.microsoft:session-cannot-be-locked"

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"The requested session '{session_id}' cannot be accepted. It may be locked by "
            "another receiver."
        )


class NoSessionError(EntityError):
    """No session with messages is free."""

    condition = "com.microsoft:timeout"

    def __init__(self) -> None:
        super().__init__("The operation did not complete within the allotted timeout.")


class MessageNotFoundError(EntityError):
    """A sequence number names no message in the state that was asked for."""

    condition = "com.microsoft:message-not-found"
    status = 404

    def __init__(self, sequence_number: int) -> None:
        super().__init__(
            "Failed to lock one or more specified messages. The message does not exist. "
            f"Sequence number: {sequence_number}."
        )


class NotAllowedError(EntityError):
    """The operation does not fit this kind of entity."""

    condition = "amqp:not-allowed"


class QuotaExceededError(EntityError):
    """The entity is full."""

    condition = "amqp:resource-limit-exceeded"

    def __init__(self, limit: int, used: int, wanted: int) -> None:
        super().__init__(
            "The maximum entity size has been reached or exceeded. Size of entity in bytes:"
            f"{used}, wanted:{wanted}, max entity size in bytes:{limit}."
        )


class EntityDisabledError(EntityError):
    """The entity is disabled."""

    condition = "com.microsoft:entity-disabled"

    def __init__(self, name: str) -> None:
        super().__init__(f"Messaging entity '{name}' is currently disabled.")
