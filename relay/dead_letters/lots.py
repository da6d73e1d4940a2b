"""What of a portion goes together: the letters that are meant, no more than may go at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relay.dead_letters.letters import DeadLetter, Parcel


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place among all letters, in the order in which they are gone through."""

    name: str = ""
    sequence: int = -1
    part: int = -1

    @classmethod
    def of(cls, parcel: Parcel, letter: DeadLetter) -> Mark:
        """Return the place of a letter."""
        return cls(parcel.name, letter.arrival.sequence, letter.arrival.part)

    @classmethod
    def read(cls, text: str) -> Mark:
        """Read what `str` wrote.

        Raises:
            ValueError: the text is no mark.
        """
        name, _, place = text.rpartition("@")
        sequence, _, part = place.partition(".")
        return cls(name, int(sequence), int(part))

    def __str__(self) -> str:
        return f"{self.name}@{self.sequence}.{self.part}"

    def is_before_end_of(self, prefix: str) -> bool:
        """Whether anything behind this place may have a name that begins so."""
        return self.name.startswith(prefix) or self.name < prefix


@dataclass(frozen=True, slots=True)
class Lot:
    """Letters that go together.

    Attributes:
        parcels: in which they are.
        marks: where they are.
        is_cut: whether letters of the last parcel that are meant have to go later.
    """

    parcels: Sequence[Parcel]
    marks: frozenset[Mark]
    is_cut: bool = False

    def has(self, parcel: Parcel, letter: DeadLetter) -> bool:
        """Whether a letter is among them."""
        return Mark.of(parcel, letter) in self.marks


def lots(
    portion: Sequence[Parcel],
    wanted: Callable[[DeadLetter], bool],
    after: Mark,
    most: int | None,
) -> Iterator[Lot]:
    """Yield what goes together, in order; one that is cut is the last.

    Args:
        portion: what was read.
        wanted: which letters are meant.
        after: behind which they are meant.
        most: how many may go at once; `None` for all of the portion.
    """
    parcels: list[Parcel] = []
    marks: list[Mark] = []
    for parcel in portion:
        places = [Mark.of(parcel, each) for each in parcel.letters if wanted(each)]
        here = sorted(mark for mark in places if mark > after)
        if not here:
            continue
        if most is not None and marks and len(marks) + len(here) > most:
            yield Lot(parcels, frozenset(marks))
            parcels, marks = [], []
        if most is not None and len(here) > most:
            yield Lot([parcel], frozenset(here[:most]), is_cut=True)
            return
        parcels, marks = [*parcels, parcel], [*marks, *here]
    if marks:
        yield Lot(parcels, frozenset(marks))
