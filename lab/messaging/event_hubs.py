"""The nodes of an Event Hubs namespace: publishers, consumers, `$management`."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lab.messaging.consumer import Consumer, Holders
from lab.messaging.hub import Log, Partition, now_ms
from lab.messaging.hub_management import HubManager
from lab.messaging.message import first_annotation, split_batch
from lab.messaging.model import Hub, Namespace
from lab.messaging.node import BATCH_FORMAT, Answer, Claim, LinkRequest, Refusal, Right
from lab.messaging.refusals import not_found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.messaging.node import Delivery, Error, Intake, Link, Manager, Outlet
    from lab.messaging.switches import Switches
    from lab.messaging.trouble import Trouble

PARTITION_KEY: Final = "x-opt-partition-key"

_PUBLISHER: Final = re.compile(
    r"(?P<hub>[^/]+)(/partitions/(?P<partition>\d+))?", re.IGNORECASE
)
_CONSUMER: Final = re.compile(
    r"(?P<hub>[^/]+)/consumergroups/(?P<group>[^/]+)/partitions/(?P<partition>\d+)",
    re.IGNORECASE,
)


class EventHubs:
    """All nodes of one namespace."""

    def __init__(self, namespace: Namespace, switches: Switches, trouble: Trouble) -> None:
        self._namespace = namespace
        self._switches = switches
        self._trouble = trouble
        self._logs = {
            entity.name.lower(): Log(entity, now_ms())
            for entity in namespace.entities
            if isinstance(entity, Hub)
        }
        self._holders: defaultdict[tuple[str, str, int], Holders] = defaultdict(Holders)

    def intake(self, request: LinkRequest) -> Intake:
        """Return a publisher to a hub or to one partition of it."""
        match = _PUBLISHER.fullmatch(request.path)
        log = self.log(match["hub"]) if match is not None else None
        if match is None or log is None:
            raise Refusal(self._not_found(request.path))
        chosen = match["partition"]
        partition = None if chosen is None else self._partition(log, chosen, request.path)
        return Publisher(log, partition, self.claim(log.hub, Right.SEND))

    def outlet(self, request: LinkRequest) -> Outlet:
        """Return a consumer of one partition."""
        match = _CONSUMER.fullmatch(request.path)
        log = self.log(match["hub"]) if match is not None else None
        group = None if match is None or log is None else _group(log.hub, match["group"])
        if match is None or log is None or group is None:
            raise Refusal(self._not_found(request.path))
        partition = self._partition(log, match["partition"], request.path)
        holders = self._holders[log.hub.name, group, int(match["partition"])]
        return Consumer(partition, holders, self._group_claim(log.hub, group))

    def manager(self, path: str) -> Manager:
        """Return the one manager that a namespace has."""
        if path.lower() != "$management":
            raise Refusal(self._not_found(path))
        return HubManager(self, self._switches)

    def log(self, hub: str) -> Log | None:
        """Return a hub's log by the hub's name, `None` if there is no such hub now."""
        return None if self._trouble.is_deleted(hub) else self._logs.get(hub.lower())

    def recreate(self, hub: str, partitions: int) -> str:
        """Let an empty hub with so many partitions take a hub's place and name.

        Returns the name under which the old one is kept, to be read by whoever may read all of
        the namespace. Azure keeps nothing; an audit must.
        """
        old = self._logs[hub.lower()]
        kept = (
            f"{old.hub.name}-before-{sum(name.startswith(hub.lower()) for name in self._logs)}"
        )
        self._logs[kept.lower()] = old
        old.hub = replace(old.hub, name=kept)
        new = replace(old.hub, name=hub, partitions=partitions)
        self._logs[hub.lower()] = Log(new, now_ms())
        for place in [place for place in self._holders if place[0] == hub]:
            del self._holders[place]
        return kept

    def add_partitions(self, hub: str, count: int) -> None:
        """Add partitions; keys may go to others from now on, as in Azure."""
        self._logs[hub.lower()].grow(count)

    def claim(self, hub: Hub, right: Right) -> Claim:
        """Return the right on a hub."""
        return Claim(right, hub.name, self._namespace.scope("eventhubs", hub.name))

    def _group_claim(self, hub: Hub, group: str) -> Claim:
        scope = self._namespace.scope("eventhubs", hub.name, "consumergroups", group)
        return Claim(Right.LISTEN, f"{hub.name}/consumergroups/{group}", scope)

    def _partition(self, log: Log, number: str, path: str) -> Partition:
        if int(number) >= len(log.partitions):
            raise Refusal(self._not_found(path))
        return log.partitions[int(number)]

    def _not_found(self, path: str) -> Error:
        return not_found(self._namespace.address, path, "eventhubs")

    def state(self) -> Mapping[str, object]:
        """Return what every partition holds."""
        return {
            log.hub.name: {
                str(number): {"first": partition.first, "next": partition.next}
                for number, partition in enumerate(log.partitions)
            }
            for log in self._logs.values()
        }

    def close(self) -> None:
        """Nothing runs by itself here."""


def _group(hub: Hub, wanted: str) -> str | None:
    groups = {group.lower(): group for group in hub.consumer_groups}
    return groups.get(wanted.lower())


class Publisher:
    """Appends what a client sends."""

    def __init__(self, log: Log, partition: Partition | None, claim: Claim) -> None:
        self.claims: Sequence[Claim] = (claim,)
        self._log = log
        self._partition = partition

    async def open(self, link: Link) -> Answer:
        """Nothing is to be prepared."""
        del link
        return Answer()

    def take(self, delivery: Delivery) -> None:
        """Append an event, or the events of a batch, all to one partition."""
        payload = delivery.payload
        is_batch = delivery.message_format == BATCH_FORMAT
        events = split_batch(payload) if is_batch else [payload]
        partition = self._partition or self._log.choose(_key(payload))
        partition.append(events, now_ms())
        delivery.accept()

    def closed(self) -> None:
        """Nothing is to be forgotten."""


def _key(payload: bytes) -> str | None:
    key = first_annotation(payload, PARTITION_KEY)
    return key if isinstance(key, str) else None
