"""How much is read ahead and sent together: large batches that fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from relay.dead_letters.letters import Listed


@dataclass(frozen=True, slots=True)
class Limits:
    """What a portion may hold; a single blob is never too much, since it came as one batch.

    Attributes:
        blobs: how many.
        size: bytes as they are stored.
    """

    blobs: int = 64
    size: int = 1024 * 1024


LIMITS: Final = Limits()


async def portioned(
    listed: AsyncIterator[Listed], limits: Limits = LIMITS
) -> AsyncIterator[list[Listed]]:
    """Cut a listing into portions.

    The first is one blob and each may be twice the one before, so that little is read where
    only the first is asked for, and little is sent before it is known that the destination
    answers.
    """
    portion: list[Listed] = []
    most, size = 1, 0
    async for blob in listed:
        if portion and (len(portion) >= most or size + blob.size > limits.size):
            yield portion
            portion, size = [], 0
            most = min(2 * most, limits.blobs)
        portion.append(blob)
        size += blob.size
    if portion:
        yield portion
