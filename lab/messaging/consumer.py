"""A consumer of one partition: a position that moves as credit allows, and epochs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from lab.messaging.codec import CodecError, Timestamp, Value
from lab.messaging.hub import now_ms
from lab.messaging.message import annotated
from lab.messaging.node import Answer, Refusal
from lab.messaging.refusals import epoch_held, stolen, too_many_receivers
from lab.messaging.selector import Selector, selector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.messaging.hub import Partition, Record
    from lab.messaging.node import Claim, Outcome, OutgoingLink

_log = logging.getLogger(__name__)

EPOCH: Final = "com.microsoft:epoch"
METRIC: Final = "com.microsoft:enable-receiver-runtime-metric"
MOST_RECEIVERS: Final = 5
PORTION: Final = 500
"""Events that one consumer is sent in one turn of the loop."""


class Holders:
    """The receivers that one consumer group has on one partition."""

    def __init__(self) -> None:
        self._open: dict[Consumer, int | None] = {}

    def enter(self, consumer: Consumer, epoch: int | None) -> None:
        """Let a receiver in, displacing others if its epoch says so; raises `Refusal`."""
        held = max((each for each in self._open.values() if each is not None), default=None)
        if held is not None and (epoch is None or epoch < held):
            raise Refusal(epoch_held(held))
        if epoch is None and len(self._open) >= MOST_RECEIVERS:
            names = ", ".join(each.name for each in self._open)
            raise Refusal(too_many_receivers(MOST_RECEIVERS, names))
        displaced = dict(self._open) if epoch is not None else {}
        self._open[consumer] = epoch
        for each, its_epoch in displaced.items():
            each.displace(consumer.name, epoch or 0, its_epoch or 0)

    def leave(self, consumer: Consumer) -> None:
        """Take notice that a receiver is gone."""
        self._open.pop(consumer, None)


class Consumer:
    """Sends a partition's events from a position on."""

    def __init__(self, partition: Partition, holders: Holders, claim: Claim) -> None:
        self.claims: Sequence[Claim] = (claim,)
        self.name = ""
        self._partition = partition
        self._holders = holders
        self._next = 0
        self._with_metric = False
        self._is_awake = False
        self._link: OutgoingLink | None = None
        self._unwatch: Callable[[], None] | None = None

    async def open(self, link: OutgoingLink) -> Answer:
        """Take the place and the position that the client asks for."""
        request = link.request
        start: Selector = selector(request.filters)
        self.name = request.name
        epoch = request.properties.get(EPOCH)
        self._holders.enter(self, int(epoch) if isinstance(epoch, int) else None)
        self._link = link
        self._next = start.start(self._partition)
        self._with_metric = METRIC in request.capabilities
        self._unwatch = self._partition.watch(self._wake)
        return Answer(capabilities=request.capabilities)

    def displace(self, link: str, epoch: int, own: int) -> None:
        """Make room for a receiver with a higher or the same epoch."""
        if self._link is not None:
            self._link.detach(stolen(link, epoch, own))

    def _wake(self) -> None:
        """Send at the end of this turn, however much is appended in it."""
        if not self._is_awake:
            self._is_awake = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._is_awake = False
        self.credit()

    def credit(self) -> None:
        """Send what there is, in portions: others want their turn too."""
        link = self._link
        if link is None or not link.credit:
            return
        for sequence, record in self._partition.read(self._next, min(link.credit, PORTION)):
            if not link.credit:
                return
            self._next = sequence + 1
            self._send_one(link, sequence, record)
        if self._next < self._partition.next:
            self._wake()

    def _send_one(self, link: OutgoingLink, sequence: int, record: Record) -> None:
        try:
            payload = self._annotated(sequence, record)
        except CodecError as error:
            _log.warning("event %d is passed over, it is no message: %s", sequence, error)
            return
        link.send(payload)

    def _annotated(self, sequence: int, record: Record) -> bytes:
        return annotated(
            record.payload,
            {
                "x-opt-sequence-number": sequence,
                "x-opt-offset": str(record.offset),
                "x-opt-enqueued-time": Timestamp(record.enqueued),
            },
            self._metric() if self._with_metric else None,
        )

    def _metric(self) -> dict[str, Value]:
        """Return how far the partition has got, for a client that measures its lag."""
        partition, last = self._partition, self._partition.last
        now = Timestamp(now_ms())
        return {
            "last_enqueued_sequence_number": partition.next - 1,
            "last_enqueued_offset": "-1" if last is None else str(last.offset),
            "last_enqueued_time_utc": now if last is None else Timestamp(last.enqueued),
            "runtime_info_retrieval_time_utc": now,
        }

    def settled(self, tag: bytes, outcome: Outcome, *, settled: bool) -> None:
        """Events are sent settled."""

    def closed(self) -> None:
        """Leave the partition."""
        self._link = None
        self._holders.leave(self)
        if self._unwatch is not None:
            self._unwatch()
