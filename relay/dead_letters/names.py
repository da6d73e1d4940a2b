"""How blobs of dead letters are called, so that the service itself groups and orders them.

    <container>/<route>~<lane>/<yyyy>/<MM>/<dd>/<HH>/<last>-<first>.json
    <container>/<route>.held~<lane>/<yyyy>/<MM>/<dd>/<HH>/<last>-<first>.json

with the sequence numbers between which the batch lies that they came in, as far as the route
wanted it, and the hour in which the lane took in the last of it. The layout is the one of Azure
Digital Twins' own dead letters, with route and lane in the endpoint's place. So one listing by
prefix gives a lane's letters in order of arrival and nothing else, one by delimiter gives each
lane once, and what is held, which stands apart, costs a redrive nothing.

A batch that is cut differently, by a host that delivers it again, has another name: it must not
overwrite letters that it does not hold. The last number leads, because what such a batch brings
that was not settled before lies behind everything that was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.ingress import Arrival

MALFORMED_ROUTE: Final = "_malformed"
"""Stands in the route's place for messages that are no events; no route can be called so."""

_HELD: Final = ".held"
_NAME: Final = re.compile(
    r"(?P<shelf>[^~/]+)~(?P<lane>[^~/]*)/(?P<hour>\d{4}/\d\d/\d\d/\d\d)/"
    r"(?P<last>\d{20})-(?P<first>\d{20})(-\d{20}\.\d+)?\.json"
)


class Fate(StrEnum):
    """What is to become of a dead letter."""

    WAITING = "waiting"
    HELD = "held"


@dataclass(frozen=True, slots=True, order=True)
class Shelf:
    """What is kept of one route for one fate."""

    route: str
    fate: Fate = Fate.WAITING

    @property
    def prefix(self) -> str:
        """How the names of all its blobs begin."""
        return f"{self.route}{_HELD if self.fate is Fate.HELD else ''}~"

    def lane_prefix(self, lane: str) -> str:
        """Return how the names of one lane's blobs begin."""
        return f"{self.prefix}{_quoted(lane)}/"

    def lane(self, prefix: str) -> str:
        """Return the lane whose names begin so."""
        return unquote(prefix.removeprefix(self.prefix).rstrip("/").replace("=", "%"))


@dataclass(frozen=True, slots=True)
class BlobName:
    """What a name tells.

    Attributes:
        hour: that in which the last of its letters' batch was enqueued.
        first: the sequence number at which that batch begins.
        last: the number at which it ends.
    """

    shelf: Shelf
    lane: str
    hour: datetime
    first: int
    last: int


def shelf_of(name: str) -> Shelf:
    """Return the shelf of a blob's name, or of what such a name begins with."""
    stem = name.partition("~")[0]
    fate = Fate.HELD if stem.endswith(_HELD) else Fate.WAITING
    return Shelf(stem.removesuffix(_HELD), fate)


def parse(name: str) -> BlobName | None:
    """Take a name apart; `None` if it is no name of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        hour = datetime.strptime(found["hour"], "%Y/%m/%d/%H").replace(tzinfo=UTC)
    except ValueError:
        return None
    shelf = shelf_of(name)
    lane = unquote(found["lane"].replace("=", "%"))
    return BlobName(shelf, lane, hour, int(found["first"]), int(found["last"]))


def blob_name(route: str, batch: Sequence[Arrival], fate: Fate) -> str:
    """Return the name of the blob for letters of a batch: what came on one lane together."""
    first, last = batch[0], batch[-1]
    folder = Shelf(route, fate).lane_prefix(first.lane)
    numbers = f"{last.sequence:020d}-{first.sequence:020d}"
    return f"{folder}{last.enqueued:%Y/%m/%d/%H}/{numbers}.json"


def held_name(waiting: str, first: Arrival) -> str:
    """Return the name of the blob for letters of `waiting` that turn out to be at fault.

    It differs from every name that `blob_name` gives: nothing held may be overwritten.
    """
    route, _, rest = waiting.removesuffix(".json").partition("~")
    return f"{route}{_HELD}~{rest}-{first.sequence:020d}.{first.part}.json"


def _quoted(lane: str) -> str:
    """Write a lane without what means something in a name; no folder may end with a dot."""
    return quote(lane, safe="").replace("~", "%7E").replace(".", "%2E").replace("%", "=")
