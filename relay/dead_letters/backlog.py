"""How much of a route is in Blob: counted from a listing, and nothing of it is read but one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from relay.dead_letters.names import Fate, shelf_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from relay.dead_letters.letters import DeadLetter, Listed

MOST_LISTED: Final = 20_000
"""Blobs of a route that are counted; what lies behind them is not asked for every minute."""

_EVENTS: Final = "events"
_OLDEST: Final = "oldest"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is in Blob for one route.

    Attributes:
        waiting: events that are redriven once their destination answers.
        held: events that are at fault themselves and wait for a person.
        oldest: when the oldest of those waiting came in; `None` if none waits.
        first: one of the oldest letters that wait, for its reason.
        is_whole: whether everything was counted; if not, there is more.
    """

    waiting: int = 0
    held: int = 0
    oldest: datetime | None = None
    first: DeadLetter | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Marked:
    """What a blob's marks tell of its letters."""

    name: str
    events: int
    oldest: datetime

    @property
    def fate(self) -> Fate:
        """What is to become of its letters."""
        return shelf_of(self.name).fate


def marks(letters: Sequence[DeadLetter]) -> dict[str, str]:
    """Return what is to be known of letters without reading them."""
    oldest = min(letter.arrival.enqueued for letter in letters)
    return {_EVENTS: str(len(letters)), _OLDEST: oldest.isoformat()}


def marked(blob: Listed) -> Marked:
    """Read a blob's marks; one without counts as one event of when it was written."""
    try:
        events, since = int(blob.marks[_EVENTS]), datetime.fromisoformat(blob.marks[_OLDEST])
    except (KeyError, ValueError):
        return Marked(blob.name, 1, blob.written)
    return Marked(blob.name, events, since)


def count(found: Iterable[Marked], *, is_whole: bool) -> Backlog:
    """Add up what was found."""
    listed = list(found)
    waiting = [each for each in listed if each.fate is Fate.WAITING]
    return Backlog(
        waiting=sum(each.events for each in waiting),
        held=sum(each.events for each in listed if each.fate is Fate.HELD),
        oldest=min((each.oldest for each in waiting), default=None),
        is_whole=is_whole,
    )


def oldest(found: Iterable[Marked]) -> Marked | None:
    """Return what waits longest."""
    waiting = (each for each in found if each.fate is Fate.WAITING)
    return min(waiting, key=lambda each: each.oldest, default=None)
