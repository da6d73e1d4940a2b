"""An event hub's log: partitions that are appended to and read from by position."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from lab.messaging.key_hash import partition_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.messaging.model import Hub

_TRIMMED_TOGETHER: Final = 1024
"""Records that go at once from a full partition: taking them one by one would be slow."""


def now_ms() -> int:
    """Return the time, ms since 1970."""
    return time.time_ns() // 1_000_000


class Record(NamedTuple):
    """An event as it is kept.

    Attributes:
        offset: how many bytes were appended to its partition before it.
        enqueued: when it was, ms since 1970; never falls within a partition.
        payload: the encoded message.
    """

    offset: int
    enqueued: int
    payload: bytes


class Partition:
    """A log of records; sequence numbers start at 0 and have no gaps.

    Attributes:
        first: the sequence number of the oldest record that is kept.
        end_offset: the offset that the next record will have.
    """

    def __init__(self, capacity: int) -> None:
        self.first = 0
        self.end_offset = 0
        self._capacity = capacity
        self._records: list[Record] = []
        self._watchers: dict[object, Callable[[], None]] = {}

    @property
    def next(self) -> int:
        """The sequence number that the next record will have."""
        return self.first + len(self._records)

    @property
    def last(self) -> Record | None:
        """The newest record, `None` when none is kept."""
        return self._records[-1] if self._records else None

    def append(self, payloads: Sequence[bytes], now: int) -> None:
        """Append encoded messages in order and wake those who watch."""
        last = self.last
        now = now if last is None else max(now, last.enqueued)
        offset = self.end_offset
        for payload in payloads:
            self._records.append(Record(offset, now, payload))
            offset += len(payload)
        self.end_offset = offset
        self._trim()
        for wake in tuple(self._watchers.values()):
            wake()

    def _trim(self) -> None:
        """Let the oldest go when the partition is full, but never the newest."""
        while self.end_offset - self._kept_from() > self._capacity and len(self._records) > 1:
            count = min(_TRIMMED_TOGETHER, max(1, len(self._records) // 8))
            del self._records[:count]
            self.first += count

    def _kept_from(self) -> int:
        return self._records[0].offset if self._records else self.end_offset

    def read(self, sequence: int, most: int) -> Sequence[tuple[int, Record]]:
        """Return up to `most` records from a sequence number on; what is gone is skipped."""
        start = max(sequence, self.first)
        index = start - self.first
        return list(enumerate(self._records[index : index + most], start))

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every append; return what ends that."""
        watcher = object()
        self._watchers[watcher] = wake

        def unwatch() -> None:
            self._watchers.pop(watcher, None)

        return unwatch

    def after_offset(self, offset: int, *, inclusive: bool) -> int:
        """Return the sequence number of the first record at or behind an offset."""
        find = bisect_left if inclusive else bisect_right
        return self.first + find(self._records, offset, key=lambda record: record.offset)

    def after_time(self, moment: int, *, inclusive: bool) -> int:
        """Return the sequence number of the first record enqueued at or after a time (ms)."""
        find = bisect_left if inclusive else bisect_right
        return self.first + find(self._records, moment, key=lambda record: record.enqueued)


class Log:
    """A whole hub: its partitions, and which of them an event goes to.

    Attributes:
        hub: what it was made as; the number of partitions is that of `partitions`.
        created: when, ms since 1970.
        partitions: by number.
    """

    def __init__(self, hub: Hub, now: int) -> None:
        self.hub = hub
        self.created = now
        self._share = hub.retention_bytes // hub.partitions
        self.partitions = tuple(Partition(self._share) for _ in range(hub.partitions))
        self._turn = -1

    def grow(self, count: int) -> None:
        """Add empty partitions."""
        self.partitions += tuple(Partition(self._share) for _ in range(count))

    def choose(self, key: str | None) -> Partition:
        """Return the partition for a key; without one, the next in turn."""
        if key is not None:
            return self.partitions[partition_for(key, len(self.partitions))]
        self._turn = (self._turn + 1) % len(self.partitions)
        return self.partitions[self._turn]
