"""What a topic does wrong on purpose, to those who publish and to the webhooks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lab.misbehaviour import Misbehaviour

if TYPE_CHECKING:
    from collections.abc import Sequence


class TopicFaults:
    """The faults of one topic.

    Attributes:
        publishing: refuses or delays those who publish.
        struck: how many deliveries were duplicated or disordered.
    """

    def __init__(self) -> None:
        self.publishing = Misbehaviour()
        self.struck = 0
        self._duplicates: int | None = 0
        self._reversed = False
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def held(self) -> bool:
        """Whether nothing is delivered."""
        return not self._flowing.is_set()

    def duplicate(self, times: int | None) -> None:
        """Deliver the next so many requests twice, or all."""
        if times is not None and times < 1:
            raise ValueError(f"a fault happens at least once, not {times} times")
        self._duplicates = times

    def disorder(self) -> None:
        """Deliver what waits in the order opposite to that of its publication."""
        self._reversed = True

    def hold(self) -> None:
        """Deliver nothing; keep what is published."""
        self._flowing.clear()

    def release(self) -> None:
        """Deliver again."""
        self._flowing.set()

    def heal(self) -> None:
        """Do everything right again."""
        self.publishing.fault = None
        self._duplicates = 0
        self._reversed = False
        self.release()

    async def flow(self) -> None:
        """Wait until something may be delivered."""
        await self._flowing.wait()

    def copies(self) -> int:
        """Return how often the next request is sent."""
        if self._duplicates == 0:
            return 1
        if self._duplicates is not None:
            self._duplicates -= 1
        self.struck += 1
        return 2

    def order[T](self, waiting: Sequence[T]) -> Sequence[T]:
        """Return what waits, in the order in which it is delivered."""
        if self._reversed and len(waiting) > 1:
            self.struck += 1
            return waiting[::-1]
        return waiting

    def state(self) -> dict[str, object]:
        """Return what is wrong at present, fit for JSON."""
        said = {
            "held": self.held,
            "duplicates": "all" if self._duplicates is None else self._duplicates,
            "disordered": self._reversed,
        }
        return {name: value for name, value in said.items() if value}
