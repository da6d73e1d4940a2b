"""What a bad network does to bytes that pass: pure decisions about which go on, and when.

The names are toxiproxy's where it has them (latency, bandwidth, slicer, reset_peer,
slow_close; `timeout` is `Silence` here). `Outage` is ours.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SLICES_A_SECOND: Final = 20


class Way(StrEnum):
    """Which way bytes go."""

    UP = "up"
    """From the client to the service."""
    DOWN = "down"
    """From the service to the client."""


BOTH: Final = tuple(Way)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes on their way; none is the end of them.

    Attributes:
        at: when they go on at the earliest, on the loop's clock.
    """

    data: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Toxic:
    """One thing that is bad about a connection; this one does nothing."""

    def treat(self, piece: Piece, now: float) -> Iterator[Piece]:
        """Yield what goes on of a piece, and when: in order, never earlier than it would."""
        del now
        yield piece


@dataclass(frozen=True, slots=True)
class Latency(Toxic):
    """Every byte takes longer.

    Attributes:
        jitter: how many seconds more or less, by chance.
    """

    seconds: float
    jitter: float = 0.0

    def treat(self, piece: Piece, now: float) -> Iterator[Piece]:
        """Put the piece off."""
        del now
        chance = random.uniform(-self.jitter, self.jitter)  # noqa: S311 - no secret
        yield replace(piece, at=piece.at + max(0.0, self.seconds + chance))


@dataclass(frozen=True, slots=True)
class Bandwidth(Toxic):
    """No more bytes a second than this."""

    bytes_per_second: int

    def treat(self, piece: Piece, now: float) -> Iterator[Piece]:
        """Let slices go when there was time for them."""
        at = max(piece.at, now)
        for part in _cut(piece.data, max(1, self.bytes_per_second // _SLICES_A_SECOND)):
            at += len(part) / self.bytes_per_second
            yield Piece(part, at)


@dataclass(frozen=True, slots=True)
class Slicer(Toxic):
    """Bytes come in small parts.

    Attributes:
        size: the most bytes in a part.
        seconds: the time between two.
    """

    size: int
    seconds: float = 0.0

    def treat(self, piece: Piece, now: float) -> Iterator[Piece]:
        """Cut the piece."""
        del now
        for number, part in enumerate(_cut(piece.data, self.size)):
            yield Piece(part, piece.at + number * self.seconds)


@dataclass(frozen=True, slots=True)
class Silence(Toxic):
    """Bytes vanish, and nobody is told: one way, the connection is half-open.

    What has vanished is gone for good, so a connection that lost bytes is reset when the
    silence ends.
    """

    def treat(self, piece: Piece, now: float) -> Iterator[Piece]:
        """Let nothing go on."""
        del piece, now
        yield from ()


@dataclass(frozen=True, slots=True)
class Outage(Toxic):
    """All packets are lost for a while, again and again; TCP sends them anew afterwards.

    Attributes:
        seconds: how long nothing passes.
        every: seconds from the beginning of one outage to that of the next.
        since: when the first began, on the loop's clock.
    """

    seconds: float
    every: float
    since: float

    def treat(self, piece: Piece, now: float) -> Iterator[Piece]:
        """Put the piece off to the end of the outage that it falls into."""
        at = max(piece.at, now)
        begun = self.since + math.floor((at - self.since) / self.every) * self.every
        is_out = at >= self.since and at < begun + self.seconds
        yield replace(piece, at=begun + self.seconds) if is_out else piece


@dataclass(frozen=True, slots=True)
class Reset(Toxic):
    """Connections are reset.

    Attributes:
        after: seconds that a connection lives at most.
    """

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class SlowClose(Toxic):
    """Whoever closes is not heard at once."""

    seconds: float


def treated(toxics: Sequence[Toxic], piece: Piece, now: float) -> list[Piece]:
    """Return what goes on of a piece after one toxic after the other."""
    pieces: Iterable[Piece] = (piece,)
    for toxic in toxics:
        pieces = [part for each in pieces for part in toxic.treat(each, now)]
    return list(pieces)


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, max(1, len(data)), size):
        yield data[start : start + size]
