"""Who is measured: the relay, what users would write instead, and the limits.

A contestant has an entity of its own to send to, so that what arrived can be counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.azure import Entities
from bench.events import BATCH, MODEL, TYPE, lanes
from bench.processes import FUNCTIONS, ROOT, Program, Whole, as_node_reads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bench.azure import Azure
    from bench.processes import Measured

FILTER = f"type = '{TYPE}' AND STARTS_WITH($body.modelId, '{MODEL.rpartition(':')[0]}')"
"""What the README shows first; it looks into the body, and wants every event."""

HUB = "event hub"
SESSIONS = "queue with sessions"
QUEUE = "queue"
WHOLE = "whole function"
DECODED = "from the decoded batch"
SENDING = "sending alone"

RELAY = "Twin Relay"
EVERY = "Twin Relay, every event"
"""With the filter `true`: it does what the others do, who ask nothing before they forward."""
ONE_BY_ONE = "one send an event (quickstart)"
IN_THREADS = "one send an event, synchronous"
BY_KEY = "SDK batches by key"
BY_PARTITION = "SDK batches by partition"
BUFFERED = "SDK buffered producer"
IN_BATCHES = "SDK batches"
NODE = "Node, SDK batches"
EMPTY = "empty function"
READY = "SDK, ready batches"
RAW = "leanest sender, ready bytes"

RELAYS = frozenset({RELAY, EVERY})

_HUB_WAYS = {
    ONE_BY_ONE: "one_by_one",
    IN_THREADS: "one_by_one_in_threads",
    BY_KEY: "by_key",
    BY_PARTITION: "by_partition",
    BUFFERED: "buffered",
    EMPTY: "empty",
}
_QUEUE_WAYS = {ONE_BY_ONE: "queue_one_by_one", IN_BATCHES: "queue_in_batches"}
_LIMITS = {RELAY: "sender", READY: "ready", RAW: "raw"}


@dataclass(frozen=True, slots=True)
class Contestant:
    """One row of the table.

    Attributes:
        destination: where it sends to.
        how: what of the way from the host to the destination it goes.
        way: what does it.
        delivers: whether what it is given arrives somewhere.
    """

    destination: str
    how: str
    way: str
    delivers: bool = True

    @property
    def key(self) -> str:
        """What it is called in figures and in the budget."""
        return f"{self.destination} / {self.how} / {self.way}"

    @property
    def entity(self) -> str:
        """The hub or queue that it alone sends to."""
        return "".join(each if each.isalnum() else "-" for each in self.key.lower())

    @property
    def namespace(self) -> str:
        """Where that is."""
        return "near" if self.destination == HUB else "bus"

    def settings(self, azure: Azure) -> dict[str, str]:
        """Return the app settings of its process."""
        return azure.settings | {
            "RELAY_ROUTES": json.dumps([self._route()]),
            "DESTINATION_HOST": azure.host(self.namespace),
            "DESTINATION": self.entity,
            "SESSION": "1" if self.destination == SESSIONS else "",
            "BENCH_WAY": (_HUB_WAYS if self.destination == HUB else _QUEUE_WAYS).get(
                self.way, ""
            ),
        }

    def _route(self) -> dict[str, object]:
        kind = "eventHub" if self.destination == HUB else "queue"
        to: dict[str, object] = {"connection": self.namespace.upper(), kind: self.entity}
        if self.destination == SESSIONS:
            to["session"] = True
        wanted = "true" if self.way == EVERY else FILTER
        return {"name": "bench", "filter": wanted, "destination": to}

    async def start(self, azure: Azure, scratch: Path) -> Measured:
        """Start its process."""
        settings = self.settings(azure)
        app = ROOT if self.way in RELAYS else FUNCTIONS
        if self.how == WHOLE:
            return await Whole.start(app, settings, lanes())
        if self.how == SENDING:
            return await Program.python(settings, _LIMITS[self.way])
        if self.way == NODE:
            file = scratch / "events.json"
            if not file.exists():
                file.write_text(json.dumps(as_node_reads(lanes(), 4 * BATCH)))
            kind = "hub" if self.destination == HUB else "queue"
            return await Program.node(settings, kind, str(file))
        return await Program.python(settings, "function", str(app))


TO_HUBS = (
    *(
        Contestant(HUB, how, way)
        for how in (WHOLE, DECODED)
        for way in (RELAY, ONE_BY_ONE, IN_THREADS, BY_KEY, BY_PARTITION, BUFFERED)
    ),
    Contestant(HUB, DECODED, NODE),
    Contestant(HUB, DECODED, EVERY),
    Contestant(HUB, WHOLE, EMPTY, delivers=False),
    Contestant(HUB, SENDING, RELAY),
    Contestant(HUB, SENDING, READY),
    Contestant(HUB, SENDING, RAW),
)
TO_QUEUES = (
    *(
        Contestant(SESSIONS, how, way)
        for how in (WHOLE, DECODED)
        for way in (RELAY, ONE_BY_ONE, IN_BATCHES)
    ),
    Contestant(SESSIONS, DECODED, NODE),
    *(Contestant(QUEUE, DECODED, way) for way in (RELAY, ONE_BY_ONE, IN_BATCHES, NODE)),
)
ALL = (*TO_HUBS, *TO_QUEUES)


def entities(contestants: tuple[Contestant, ...] = ALL) -> Entities:
    """Return what must be there for them."""
    found = {HUB: [], SESSIONS: [], QUEUE: []}
    for each in contestants:
        found[each.destination].append(each.entity)
    return Entities(tuple(found[HUB]), tuple(found[SESSIONS]), tuple(found[QUEUE]))


def ours(contestant: Contestant) -> Contestant:
    """Return the relay's own row to which a contestant is compared."""
    how = WHOLE if contestant.way == EMPTY else contestant.how
    return Contestant(contestant.destination, how, RELAY)


def pairs(contestants: Iterable[Contestant]) -> Iterator[tuple[Contestant, Contestant]]:
    """Return who of the relay's rows is compared to whom: the usual one to all the others.

    That which forwards every event is compared to those beside it as well.
    """
    for each in contestants:
        if each != ours(each):
            yield ours(each), each
        if each.how == DECODED and each.destination == HUB and each.way not in RELAYS:
            yield Contestant(HUB, DECODED, EVERY), each
