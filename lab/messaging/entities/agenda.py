"""Things in the order of a number, of which any may be struck out."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

_SLACK: Final = 64


class Agenda[Item: Hashable]:
    """Items ordered by a number (a time, a sequence number), first in first out where equal.

    A heap whose struck entries stay until they surface or outnumber the living, so that every
    operation costs a logarithm and memory is bounded by what is on the agenda.
    """

    __slots__ = ("_entries", "_heap", "_turns")

    def __init__(self) -> None:
        self._entries: dict[Item, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Item]] = []
        self._turns = count()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, item: Item) -> bool:
        return item in self._entries

    def put(self, item: Item, at: float) -> None:
        """Place `item`, or move it."""
        entry = (at, next(self._turns))
        self._entries[item] = entry
        heappush(self._heap, (*entry, item))
        if len(self._heap) > 2 * len(self._entries) + _SLACK:
            self._heap = [(*entry, item) for item, entry in self._entries.items()]
            heapify(self._heap)

    def discard(self, item: Item) -> None:
        """Strike `item` out if it is there."""
        self._entries.pop(item, None)

    def first(self) -> float | None:
        """Return the lowest number, None when nothing is left."""
        while self._heap and not self._stands(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Item | None:
        """Remove and return the first item, None when nothing is left."""
        if self.first() is None:
            return None
        item = heappop(self._heap)[2]
        del self._entries[item]
        return item

    def due(self, now: float) -> Iterator[Item]:
        """Remove and yield what stands at or before `now`."""
        while (at := self.first()) is not None and at <= now:
            item = heappop(self._heap)[2]
            del self._entries[item]
            yield item

    def _stands(self, entry: tuple[float, int, Item]) -> bool:
        return self._entries.get(entry[2]) == entry[:2]
