"""What an entity is configured to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """An entity's settings; Azure's defaults unless said otherwise.

    Attributes:
        session: whether messages are received by session only.
        lock_seconds: how long a message's or a session's lock lasts.
        max_delivery_count: after so many failed deliveries a message is dead-lettered; None is
            never.
        duplicate_detection_seconds: how long a message-id is remembered; 0 is not at all.
        ttl_seconds: the longest time to live; None sets no limit.
        dead_letter_expired: whether expired messages are dead-lettered rather than dropped.
    """

    session: bool = False
    lock_seconds: float = 60
    max_delivery_count: int | None = 10
    duplicate_detection_seconds: float = 0
    ttl_seconds: float | None = None
    dead_letter_expired: bool = False

    def life_of(self, ttl: float | None) -> float | None:
        """Return how long a message may live that asks for `ttl` seconds."""
        limits = [limit for limit in (ttl, self.ttl_seconds) if limit is not None]
        return min(limits, default=None)
