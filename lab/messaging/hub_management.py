"""`$management` of an Event Hubs namespace: what a hub and its partitions are like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.messaging.codec import Array, Int, Timestamp, Value
from lab.messaging.node import Reply, Right
from lab.messaging.refusals import UNAUTHORIZED_OPERATION, not_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.messaging.event_hubs import EventHubs
    from lab.messaging.hub import Log
    from lab.messaging.node import Claim, Peer, Request
    from lab.messaging.switches import Switches

HUB: Final = "com.microsoft:eventhub"
PARTITION: Final = "com.microsoft:partition"


class HubManager:
    """Answers READ."""

    claims: Sequence[Claim] = ()

    def __init__(self, hubs: EventHubs, switches: Switches) -> None:
        self._hubs = hubs
        self._switches = switches

    async def answer(self, request: Request, peer: Peer) -> Reply:
        """Answer what a hub or a partition is like, to whom it concerns."""
        asked = request.properties
        name = str(asked.get("name") or "")
        log = self._hubs.log(name)
        if asked.get("operation") != "READ" or asked.get("type") not in {HUB, PARTITION}:
            return _reply(400, "The operation is not supported.")
        if log is None:
            return _reply(404, not_found(peer.host, name, "eventhubs").description)
        if not any(peer.allows(self._hubs.claim(log.hub, right)) for right in self._rights()):
            return _reply(401, UNAUTHORIZED_OPERATION)
        if asked["type"] == HUB:
            return _reply(200, "OK", _hub(log))
        return _partition_reply(log, str(asked.get("partition") or ""))

    def _rights(self) -> Sequence[Right]:
        return (Right.LISTEN,) if self._switches.read_needs_listen else tuple(Right)


def _reply(code: int, text: str, body: Value = None) -> Reply:
    return Reply({"status-code": Int(code), "status-description": text}, body)


def _hub(log: Log) -> Value:
    return {
        "name": log.hub.name,
        "type": HUB,
        "created_at": Timestamp(log.created),
        "partition_count": Int(len(log.partitions)),
        "partition_ids": Array(str, tuple(map(str, range(len(log.partitions))))),
    }


def _partition_reply(log: Log, number: str) -> Reply:
    if not number.isdecimal() or int(number) >= len(log.partitions):
        return _reply(404, f"The partition {number!r} does not exist.")
    partition = log.partitions[int(number)]
    last = partition.last
    return _reply(
        200,
        "OK",
        {
            "name": log.hub.name,
            "type": PARTITION,
            "partition": number,
            "begin_sequence_number": partition.first,
            "last_enqueued_sequence_number": partition.next - 1,
            "last_enqueued_offset": "-1" if last is None else str(last.offset),
            "last_enqueued_time_utc": Timestamp(0 if last is None else last.enqueued),
            "is_partition_empty": last is None,
        },
    )
