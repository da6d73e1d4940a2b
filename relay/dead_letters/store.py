"""Dead letters in a container of Blob storage."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from relay.dead_letters.backlog import MOST_LISTED, Marked, count, marked, marks, oldest
from relay.dead_letters.letters import Kept, encode, unpack
from relay.dead_letters.names import Fate, Shelf, parse, shelf_of
from relay.dead_letters.portions import LIMITS, Limits, portioned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from relay.dead_letters.backlog import Backlog
    from relay.dead_letters.blobs import Blobs
    from relay.dead_letters.letters import DeadLetter, Listed, Parcel
    from relay.ingress import Arrival


class BlobDeadLetters:
    """Keeps dead letters; see `DeadLetters`.

    Args:
        blobs: of the container.
        limits: of what is read ahead.
    """

    def __init__(self, blobs: Blobs, limits: Limits = LIMITS) -> None:
        self._blobs = blobs
        self._limits = limits

    async def put(self, name: str, letters: Sequence[DeadLetter], route: str) -> None:
        """Make a blob of letters durable; an older one of that name is overwritten."""
        await self._blobs.write(name, encode(letters, route), marks(letters))

    async def kept(
        self, route: str, batch: Sequence[Arrival], but: Collection[str] = ()
    ) -> Kept:
        """Return what of a batch is kept for a route, of any fate, `but` in these blobs."""
        first, last = batch[0].sequence, batch[-1].sequence
        lane = batch[0].lane
        names, goes_on = [], False
        for fate in Fate:
            async for blob in self._blobs.listed(Shelf(route, fate).lane_prefix(lane)):
                found = parse(blob.name)
                if found is not None and found.last >= first and blob.name not in but:
                    goes_on |= found.last > last
                    names += [blob.name] if found.first <= last else []
        parcels = [
            unpack(stored.name, stored.version, stored.body)
            for stored in await self._blobs.read(names)
        ]
        places = {letter.arrival.place for each in parcels for letter in each.letters}
        return Kept(frozenset(places), goes_on)

    async def shelves(self) -> list[Shelf]:
        """Return every route and fate for which something is kept."""
        return [shelf_of(prefix) for prefix in await self._blobs.prefixes("", "~")]

    async def lanes(self, shelf: Shelf) -> list[str]:
        """Return the lanes of which something is kept on a shelf."""
        prefixes = await self._blobs.prefixes(shelf.prefix, "/")
        return [shelf.lane(prefix) for prefix in prefixes]

    async def portions(
        self, shelf: Shelf, lane: str, wanted: Callable[[Listed], bool] = lambda _: True
    ) -> AsyncIterator[list[Parcel]]:
        """Yield what is kept of a lane, in order of arrival, in portions that fit in memory."""
        listed = self._blobs.listed(shelf.lane_prefix(lane))
        chosen = (blob async for blob in listed if wanted(blob))
        async for portion in portioned(chosen, self._limits):
            stored = await self._blobs.read(blob.name for blob in portion)
            if stored:
                yield [unpack(each.name, each.version, each.body) for each in stored]

    @asynccontextmanager
    async def claimed(self, parcels: Sequence[Parcel]) -> AsyncIterator[Sequence[Parcel]]:
        """Claim parcels by leases on their blobs: the first ones, up to one that isn't free."""
        blobs = [(parcel.name, parcel.version) for parcel in parcels]
        async with self._blobs.claimed(blobs) as count:
            yield parcels[:count]

    async def replace(self, parcel: Parcel, letters: Sequence[DeadLetter], route: str) -> bool:
        """Keep only these of a claimed parcel's letters; false if the claim was lost."""
        return await self._blobs.overwrite(
            parcel.name, parcel.version, encode(letters, route), marks(letters)
        )

    async def remove(self, parcel: Parcel) -> bool:
        """Remove a claimed parcel whose letters are all delivered; false if it was lost."""
        return await self._blobs.remove(parcel.name, parcel.version)

    async def backlog(self, route: str) -> Backlog:
        """Count what is kept for a route, by a listing, and read the oldest that waits."""
        found: list[Marked] = []
        for fate in Fate:
            async for blob in self._blobs.listed(Shelf(route, fate).prefix):
                if len(found) == MOST_LISTED:
                    return await self._backlog(found, is_whole=False)
                found.append(marked(blob))
        return await self._backlog(found, is_whole=True)

    async def _backlog(self, found: list[Marked], *, is_whole: bool) -> Backlog:
        longest = oldest(found)
        names = [] if longest is None else [longest.name]
        parcels = [
            unpack(stored.name, stored.version, stored.body)
            for stored in await self._blobs.read(names)
        ]
        letters = [letter for parcel in parcels for letter in parcel.letters]
        return replace(count(found, is_whole=is_whole), first=next(iter(letters), None))

    async def close(self) -> None:
        """Let go of connections."""
        await self._blobs.close()
