"""Reads a destination and enters what is of the run; goes on through errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from relay.operations.probing.hub_reader import HubReader
from relay.operations.probing.places import Kind
from relay.operations.probing.queue_reader import QueueReader

if TYPE_CHECKING:
    from relay.operations.probing.access import Access
    from relay.operations.probing.run import Run
    from relay.operations.probing.tally import Tally


class Reader(Protocol):
    """Reads one place for a run."""

    async def check(self) -> None:
        """Make sure that it can be read, and remember where new events begin.

        Raises:
            DeliveryError: it can't, with the explanation.
        """

    async def read(self) -> None:
        """Enter what is of the run, for ever.

        Raises:
            DeliveryError: the reading broke off; it may be begun again.
        """


def build(access: Access, run: Run, tally: Tally) -> Reader:
    """Return what reads a place."""
    kind = HubReader if access.place.kind is Kind.HUB else QueueReader
    return kind(access, run, tally)
