"""A portion of dead letters to a route again: what is accepted is removed, the rest kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.dead_letters import DeadLetter, Fate, held_name
from relay.dead_letters.names import shelf_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
    from datetime import datetime

    from relay.dead_letters import DeadLetters, Parcel
    from relay.failures import DeliveryError
    from relay.ingress import Arrival
    from relay.routing import Route
    from relay.sending import Failure, Sender

type Place = tuple[str, int, int]

_LONGEST_SEND: Final = 40.0
"""Seconds for sending one portion: fewer than its claim lasts."""


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of a portion.

    Attributes:
        delivered: how many letters the destination accepted.
        held: how many it found at fault.
        left: how many it did not take.
        is_ours: false if somebody else had, or took over, some parcel of it.
        stopped: why the destination did not take what is left.
    """

    delivered: int
    held: int
    left: int
    is_ours: bool
    stopped: DeliveryError | None = None


class Resender:
    """Sends parcels as one batch; removes one only when nothing of it is left to be delivered.

    Whatever interrupts it, nothing is lost. If a claim runs out meanwhile, nothing of that
    parcel is changed: its letters are sent once more by whoever has it then.

    Args:
        sender: of little patience, since what fails here just goes on waiting.
        dead_letters: where the parcels are.
        now: the time of day, in UTC.
    """

    def __init__(
        self, sender: Sender, dead_letters: DeadLetters, now: Callable[[], datetime]
    ) -> None:
        self._sender = sender
        self._dead_letters = dead_letters
        self._now = now

    async def send(
        self,
        route: Route,
        parcels: Sequence[Parcel],
        wanted: Callable[[Parcel, DeadLetter], bool] = lambda *_: True,
    ) -> Resent:
        """Send the letters that are wanted, in order of arrival, each once.

        Raises:
            DeliveryError: Blob storage did not answer.
        """
        async with self._dead_letters.claimed(parcels) as ours:
            chosen = {
                letter.arrival.place: letter.arrival
                for parcel in ours
                for letter in parcel.letters
                if wanted(parcel, letter)
            }
            failed = await self._send(route, [chosen[place] for place in sorted(chosen)])
            delivered = chosen.keys() - failed.keys()
            settled = [self._settle(parcel, failed, delivered) for parcel in ours]
            are_kept = await _all(settled)
        waiting = [failure for failure in failed.values() if not failure.is_final]
        return Resent(
            delivered=len(delivered),
            held=len(failed) - len(waiting),
            left=len(waiting),
            is_ours=len(ours) == len(parcels) and all(are_kept),
            stopped=waiting[0].error if waiting else None,
        )

    async def _send(self, route: Route, arrivals: Sequence[Arrival]) -> dict[Place, Failure]:
        if not arrivals:
            return {}
        until = asyncio.get_running_loop().time() + _LONGEST_SEND
        failures = await self._sender.send(route, arrivals, until)
        return {failure.arrival.place: failure for failure in failures}

    async def _settle(
        self, parcel: Parcel, failed: Mapping[Place, Failure], delivered: Collection[Place]
    ) -> bool:
        """Keep of a parcel what was not delivered; false if the claim was lost."""
        shelf = shelf_of(parcel.name)
        left: list[DeadLetter] = []
        at_fault: list[DeadLetter] = []
        for letter in parcel.letters:
            failure = failed.get(letter.arrival.place)
            if letter.arrival.place in delivered:
                continue
            if failure is None or not failure.attempts:
                left.append(letter)
            elif shelf.fate is Fate.HELD:
                left.append(failure.dead_letter(self._now()) if failure.is_final else letter)
            elif failure.is_final:
                at_fault.append(failure.dead_letter(self._now()))
            else:
                left.append(self._waiting_on(letter, failure))
        if at_fault:
            name = held_name(parcel.name, at_fault[0].arrival)
            await self._dead_letters.put(name, at_fault, shelf.route)
        if not left:
            return await self._dead_letters.remove(parcel)
        if left != list(parcel.letters):
            return await self._dead_letters.replace(parcel, left, shelf.route)
        return True

    def _waiting_on(self, letter: DeadLetter, failure: Failure) -> DeadLetter:
        """Leave a letter as it is while the reason is: a probe should cost no rewriting."""
        is_same = letter.reason is failure.error.reason
        return letter if is_same else failure.dead_letter(self._now())


async def _all(jobs: Iterable[Coroutine[None, None, bool]]) -> list[bool]:
    """Run jobs side by side to their end, however the others fare; then raise what failed."""
    results = await asyncio.gather(*jobs, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result is True for result in results]
