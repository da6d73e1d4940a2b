"""How many bytes an entity and its sub-queues may hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.messaging.entities.refusals import QuotaExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Quota:
    """A bound on bytes, shared by a queue and its dead letters."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def claim(self, size: int) -> None:
        """Take `size` bytes, all or nothing.

        Raises:
            QuotaExceededError: the entity would hold more than its limit.
        """
        self.check(size)
        self.used += size

    def check(self, size: int) -> None:
        """Raise `QuotaExceededError` if `size` bytes more would be too many."""
        if self.used + size > self.limit:
            raise QuotaExceededError(self.limit, self.used, size)

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self.used -= size


def claim_all(quotas: Sequence[Quota], size: int) -> None:
    """Take `size` bytes of each quota, or of none.

    Raises:
        QuotaExceededError: one of them has not enough left.
    """
    for quota in quotas:
        quota.check(size)
    for quota in quotas:
        quota.claim(size)


def release_all(quotas: Sequence[Quota], size: int) -> None:
    """Give `size` bytes back to each quota."""
    for quota in quotas:
        quota.release(size)
