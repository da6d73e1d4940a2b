"""Dead letters: events that could not be delivered and why, as CloudEvents in Blob storage.

A blob holds what failed together, as a CloudEvents JSON batch, each event whole with the
reason in extension attributes. Its fate is `waiting` (redriven when the destination answers) or
`held` (the event itself is at fault: a person must look).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from relay.dead_letters.names import MALFORMED_ROUTE, Fate
from relay.event import Event
from relay.failures import LONGEST_DETAIL, Reason
from relay.formats import json_format
from relay.ingress import Arrival, Malformed
from relay.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from relay.dead_letters.backlog import Backlog
    from relay.dead_letters.names import Shelf
    from relay.event import AttributeValue

MALFORMED_TYPE: Final = "twinrelay.malformed"

_OWN: Final = "relayown"
"""Keeps the event's own attributes of the names below: it was a dead letter once before."""

_EXTENSIONS: Final = frozenset(
    (
        "relayroute",
        "relayreason",
        "relaydetail",
        "relayattempts",
        "relaytime",
        "relaylane",
        "relaysequence",
        "relaypart",
        "relayenqueued",
    )
)
_RESERVED: Final = _EXTENSIONS | {_OWN}


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
class Listed:
    """A blob as a listing shows it.

    Attributes:
        size: in bytes.
        written: when it was written last; every letter in it came before.
        marks: what is to be known of its letters without reading them.
    """

    name: str
    size: int
    written: datetime
    marks: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept already of a batch that may come a second time.

    Attributes:
        places: of its events that other blobs hold, as `Arrival.place` has them.
        goes_on: whether events behind the batch are kept too, so that the next may be as well.
    """

    places: frozenset[tuple[str, int, int]]
    goes_on: bool


class DeadLetters(Protocol):
    """Where dead letters are durable; every method raises `DeliveryError` and nothing else."""

    async def put(self, name: str, letters: Sequence[DeadLetter], route: str) -> None:
        """Make a blob of letters durable; an older one of that name is overwritten."""

    async def kept(
        self, route: str, batch: Sequence[Arrival], but: Collection[str] = ()
    ) -> Kept:
        """Return what of a batch is kept for a route, of any fate, `but` in these blobs."""

    async def shelves(self) -> list[Shelf]:
        """Return every route and fate for which something is kept."""

    async def lanes(self, shelf: Shelf) -> list[str]:
        """Return the lanes of which something is kept on a shelf."""

    def portions(
        self, shelf: Shelf, lane: str, wanted: Callable[[Listed], bool] = lambda _: True
    ) -> AsyncIterator[list[Parcel]]:
        """Yield what is kept of a lane, in order of arrival, in portions that fit in memory.

        The first portion is one parcel, and those behind it grow. Blobs that are not `wanted`
        are passed over unread.
        """

    def claimed(
        self, parcels: Sequence[Parcel]
    ) -> AbstractAsyncContextManager[Sequence[Parcel]]:
        """Claim the first of these parcels, up to one that isn't free, while the context lasts.

        Not free is one that somebody else has, or that was written or removed since it was
        read. A claim whose owner dies ends by itself within a minute.
        """

    async def replace(self, parcel: Parcel, letters: Sequence[DeadLetter], route: str) -> bool:
        """Keep only these of a claimed parcel's letters; false if the claim was lost.

        Nothing is changed then, since somebody else may have the parcel meanwhile.
        """

    async def remove(self, parcel: Parcel) -> bool:
        """Remove a claimed parcel whose letters are all delivered; false if the claim was lost.

        Nothing is removed then.
        """

    async def backlog(self, route: str) -> Backlog:
        """Count what is kept for a route, without reading it."""

    async def close(self) -> None:
        """Let go of connections."""


def encode(letters: Sequence[DeadLetter], route: str) -> str:
    """Write letters as a CloudEvents JSON batch."""
    # What failed together mostly failed alike: looking for secrets in the same words again and
    # again would cost more than all else here.
    details = {detail: _shown(detail) for detail in {letter.detail for letter in letters}}
    return json_format.encode_batch(
        json_format.encode(_event(letter), _annotations(letter, route, details[letter.detail]))
        for letter in letters
    )


def _shown(detail: str) -> str:
    return redacted(detail)[:LONGEST_DETAIL]


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


def _annotations(letter: DeadLetter, route: str, detail: str) -> dict[str, AttributeValue]:
    arrival = letter.arrival
    return _own(arrival.content) | {
        "relayroute": route,
        "relayreason": letter.reason.value,
        "relaydetail": detail,
        "relayattempts": letter.attempts,
        "relaytime": letter.time.isoformat(),
        "relaylane": arrival.lane,
        "relaysequence": str(arrival.sequence),
        "relaypart": arrival.part,
        "relayenqueued": arrival.enqueued.isoformat(),
    }


def _own(content: Event | Malformed) -> dict[str, AttributeValue]:
    attributes = content.attributes if isinstance(content, Event) else {}
    if _RESERVED.isdisjoint(attributes):
        return {}
    own = {name: value for name, value in attributes.items() if name in _RESERVED}
    return {_OWN: json.dumps(own)}


def _letter(event: Event) -> DeadLetter:
    missing = _EXTENSIONS.difference(event.attributes)
    if missing:
        raise ValueError(f"no dead letter of the relay: {', '.join(sorted(missing))} missing")
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
    carried = {name: v for name, v in event.attributes.items() if name not in _RESERVED}
    own = event.text(_OWN)
    return Event(carried | json.loads(own) if own else carried, event.data)
