"""The dead letters that Azure Digital Twins itself writes: one event a blob, without a reason.

It stores an event that it could not deliver to an endpoint, here the landing hub, at

    <container>/<endpoint>/<year>/<month>/<day>/<hour>/<event id>.json

as one structured CloudEvent. Its documentation does not say whether the numbers are padded, nor
what is written for an endpoint of Event Grid, so every shape that a trigger may bring is read.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay import ingress
from relay.dead_letters.portions import LIMITS, Limits, portioned
from relay.ingress import Malformed, Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from relay.dead_letters.blobs import Blobs, Stored
    from relay.dead_letters.letters import Listed
    from relay.ingress import Arrival

_ENDPOINT: Final = re.compile(r"(.*?)(/\d+){4}/[^/]+")
_HASH_BITS: Final = 31


@dataclass(frozen=True, slots=True)
class TwinsLetter:
    """A blob that Azure Digital Twins wrote.

    Attributes:
        version: changes with every write.
        arrivals: the events in it: one, by its documentation.
        trouble: why it can't be read, `""` if it can.
    """

    name: str
    version: str
    arrivals: Sequence[Arrival]
    trouble: str = ""


class TwinsDeadLetters:
    """Reads them and removes them; every method raises `DeliveryError` and nothing else.

    Args:
        blobs: of the container.
        container: its name.
        prefix: how the names of those that are meant begin.
        source: the `source` of events in Event Grid's schema, which has none.
        limits: of what is read ahead.
    """

    def __init__(
        self,
        blobs: Blobs,
        container: str,
        prefix: str = "",
        source: str | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self._blobs = blobs
        self._container = container
        self._prefix = prefix
        self._source = source
        self._limits = limits

    async def portions(
        self, wanted: Callable[[Listed], bool]
    ) -> AsyncIterator[list[TwinsLetter]]:
        """Yield what is there, in portions that fit in memory."""
        listed = self._blobs.listed(self._prefix)
        chosen = (blob async for blob in listed if wanted(blob))
        async for portion in portioned(chosen, self._limits):
            times = {blob.name: blob for blob in portion}
            stored = await self._blobs.read(times)
            yield [self._letter(times[each.name], each) for each in stored]

    def _letter(self, listed: Listed, stored: Stored) -> TwinsLetter:
        """Read a blob; its place in the order of arrival is the time when it was written."""
        lane = f"{self._container}/{endpoint_of(stored.name)}"
        message = Message(lane, _number(listed), listed.written, stored.body, {})
        arrivals = list(ingress.read(message, self._source))
        contents = [arrival.content for arrival in arrivals]
        troubles = [each.detail for each in contents if isinstance(each, Malformed)]
        return TwinsLetter(stored.name, stored.version, arrivals, "; ".join(troubles))

    @asynccontextmanager
    async def claimed(self, letters: Sequence[TwinsLetter]) -> AsyncIterator[int]:
        """Claim letters while the context lasts: so many of the first ones are free."""
        blobs = [(letter.name, letter.version) for letter in letters]
        async with self._blobs.claimed(blobs) as count:
            yield count

    async def remove(self, letters: Sequence[TwinsLetter]) -> list[bool]:
        """Remove claimed letters; false for each whose claim was lost, which is left."""
        removing = [self._blobs.remove(letter.name, letter.version) for letter in letters]
        removed = await asyncio.gather(*removing, return_exceptions=True)
        for each in removed:
            if isinstance(each, BaseException):
                raise each
        return [each is True for each in removed]

    async def close(self) -> None:
        """Let go of connections."""
        await self._blobs.close()


def endpoint_of(name: str) -> str:
    """Return the endpoint in a blob's name, `""` if it is no name of Azure Digital Twins."""
    found = _ENDPOINT.fullmatch(name)
    return found[1] if found else ""


def _number(listed: Listed) -> int:
    """Return a number in a lane that rises with time and is the same whenever it is read."""
    digest = hashlib.sha256(listed.name.encode()).digest()
    tail = int.from_bytes(digest[:4]) >> 32 - _HASH_BITS
    return int(listed.written.timestamp()) << _HASH_BITS | tail
