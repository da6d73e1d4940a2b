"""Dead letters: events that could not be delivered and why, as CloudEvents in Blob storage.

A blob holds what failed together, as a CloudEvents JSON batch, each event whole with the
reason in extension attributes. Its name says where it belongs in the order of arrival, so that
a second delivery of the same batch overwrites it and adds nothing:

    <container>/<route>/<yyyy>/<MM>/<dd>/<HH>/<lane>~<first>-<last>.<fate>.json

with the hour in which the lane took in what the route wanted of the batch, and the sequence
numbers between which that lies: a batch that is cut differently, by a host that no longer owns
the lane, must not overwrite letters that it does not hold. The layout is the one of Azure
Digital Twins' own dead letters, with the route in the endpoint's place. The fate is `waiting`
(redriven when the destination answers) or `held` (the event itself is at fault: a person must
look).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, unquote

from relay.event import Event
from relay.failures import Reason
from relay.formats import json_format
from relay.ingress import Arrival, Malformed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from relay.event import AttributeValue

MALFORMED_ROUTE: Final = "_malformed"
"""Stands in the route's place for messages that are no events; no route can be called so."""

MALFORMED_TYPE: Final = "twinrelay.malformed"
LONGEST_DETAIL: Final = 1024
"""Characters of the detail that a dead letter keeps."""

_OWN: Final = "relayown"
"""Keeps the event's own attributes of the names below: it was a dead letter once before."""

_EXTENSIONS: Final = (
    "relayroute",
    "relayreason",
    "relaydetail",
    "relayattempts",
    "relaytime",
    "relaylane",
    "relaysequence",
    "relaypart",
    "relayenqueued",
    _OWN,
)


class Fate(StrEnum):
    """What is to become of a dead letter."""

    WAITING = "waiting"
    HELD = "held"


WAITING_SUFFIX: Final = f".{Fate.WAITING}.json"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An arrival that was not delivered, and why.

    Attributes:
        detail: why, in words; safe to print.
        attempts: how often it was tried; 0 if it went behind others that failed.
        time: when it was given up.
    """

    arrival: Arrival
    reason: Reason
    detail: str
    attempts: int
    time: datetime

    @property
    def fate(self) -> Fate:
        """Whether the relay redrives it by itself."""
        return Fate.HELD if self.reason.traits.isolates_event else Fate.WAITING


@dataclass(frozen=True, slots=True)
class Parcel:
    """Dead letters as they are stored together.

    Attributes:
        name: of the blob.
        version: changes with every write, so that nobody removes what he has not read.
        letters: in order of arrival; none if the blob can't be read.
    """

    name: str
    version: str
    letters: Sequence[DeadLetter]


class DeadLetters(Protocol):
    """Where dead letters are durable; every method raises `DeliveryError` and nothing else."""

    async def put(self, name: str, letters: Sequence[DeadLetter], route: str) -> None:
        """Make a blob of letters durable; an older one of that name is overwritten."""

    async def lanes(self, route: str) -> list[str]:
        """Return the lanes of which something waits for a route, the longest waiting first."""

    def waiting(self, route: str, lane: str) -> AsyncIterator[Parcel]:
        """Yield what waits of a lane for a route, in order of arrival."""

    def claimed(self, parcel: Parcel) -> AbstractAsyncContextManager[bool]:
        """Claim a parcel for as long as the context lasts; false if somebody else has it.

        False too if it was written or removed since it was read. A claim whose owner dies ends
        by itself within a minute.
        """

    async def replace(self, parcel: Parcel, letters: Sequence[DeadLetter], route: str) -> None:
        """Keep only these of a claimed parcel's letters."""

    async def remove(self, parcel: Parcel) -> None:
        """Remove a claimed parcel whose letters are all delivered."""

    async def close(self) -> None:
        """Let go of connections."""


def blob_name(route: str, batch: Sequence[Arrival], fate: Fate) -> str:
    """Return the name of the blob for letters of a batch: what came on one lane together."""
    first, last = batch[0], batch[-1]
    numbers = f"{first.sequence:020d}-{last.sequence:020d}"
    hour = f"{first.enqueued:%Y/%m/%d/%H}"
    return f"{route}/{hour}/{lane_mark(first.lane)}{numbers}.{fate}.json"


def held_name(waiting: str, first: Arrival) -> str:
    """Return the name of the blob for letters of `waiting` that turn out to be at fault.

    It differs from every name that `blob_name` gives: nothing held may be overwritten.
    """
    stem = waiting.removesuffix(f".{Fate.WAITING}.json")
    return f"{stem}-{first.sequence:020d}.{first.part}.{Fate.HELD}.json"


def lane_mark(lane: str) -> str:
    """Return how the names of a lane's blobs begin, after the hour."""
    return quote(lane, safe="").replace("~", "%7E").replace("%", "=") + "~"


def lanes_of(names: Iterable[str]) -> list[str]:
    """Return the lanes of waiting blobs by their names, each once, in the names' order."""
    waiting = (name.rpartition("/")[2] for name in names if name.endswith(WAITING_SUFFIX))
    marks = dict.fromkeys(last.partition("~")[0] for last in waiting)
    return [unquote(mark.replace("=", "%")) for mark in marks]


def encode(letters: Sequence[DeadLetter], route: str) -> str:
    """Write letters as a CloudEvents JSON batch."""
    return json_format.encode_batch(
        json_format.encode(_event(letter), _annotations(letter, route)) for letter in letters
    )


def decode(text: str) -> list[DeadLetter]:
    """Read letters back.

    Raises:
        ValueError: the text is no batch of dead letters.
    """
    return [_letter(event) for event in json_format.decode_batch(text)]


def unpack(name: str, version: str, stored: bytes) -> Parcel:
    """Make a parcel of a stored blob; one that is damaged or foreign has no letters."""
    try:
        return Parcel(name, version, decode(stored.decode()))
    except (ValueError, TypeError, RecursionError):
        return Parcel(name, version, ())


def _event(letter: DeadLetter) -> Event:
    content = letter.arrival.content
    if isinstance(content, Event):
        return content
    return Event(
        {
            "specversion": "1.0",
            "id": f"{letter.arrival.sequence}/{letter.arrival.part}",
            "source": letter.arrival.lane,
            "type": MALFORMED_TYPE,
            "datacontenttype": "application/octet-stream",
            "relayproperties": json.dumps(dict(content.properties)),
        },
        content.body,
    )


def _annotations(letter: DeadLetter, route: str) -> dict[str, AttributeValue]:
    arrival = letter.arrival
    return _own(arrival.content) | {
        "relayroute": route,
        "relayreason": letter.reason.value,
        "relaydetail": letter.detail[:LONGEST_DETAIL],
        "relayattempts": letter.attempts,
        "relaytime": letter.time.isoformat(),
        "relaylane": arrival.lane,
        "relaysequence": str(arrival.sequence),
        "relaypart": arrival.part,
        "relayenqueued": arrival.enqueued.isoformat(),
    }


def _own(content: Event | Malformed) -> dict[str, AttributeValue]:
    attributes = content.attributes if isinstance(content, Event) else {}
    own = {name: value for name, value in attributes.items() if name in _EXTENSIONS}
    return {_OWN: json.dumps(own)} if own else {}


def _letter(event: Event) -> DeadLetter:
    missing = [name for name in _EXTENSIONS if name not in event.attributes and name != _OWN]
    if missing:
        raise ValueError(f"no dead letter of the relay: {', '.join(missing)} missing")
    arrival = Arrival(
        lane=event.text("relaylane"),
        sequence=int(event.text("relaysequence")),
        part=int(event.text("relaypart")),
        enqueued=datetime.fromisoformat(event.text("relayenqueued")),
        content=_content(event),
    )
    return DeadLetter(
        arrival,
        Reason(event.text("relayreason")),
        event.text("relaydetail"),
        int(event.text("relayattempts")),
        datetime.fromisoformat(event.text("relaytime")),
    )


def _content(event: Event) -> Event | Malformed:
    if event.text("relayroute") == MALFORMED_ROUTE:
        properties = json.loads(event.text("relayproperties"))
        return Malformed(event.data, properties, event.text("relaydetail"))
    carried = {name: v for name, v in event.attributes.items() if name not in _EXTENSIONS}
    return replace(event, attributes=carried | json.loads(event.text(_OWN) or "{}"))
