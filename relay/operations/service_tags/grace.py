"""Removals wait: a range keeps its rule for some time after it was last on the list.

Lists differ between their sources for up to about four weeks, and a range that is missing by
mistake would lock the service out at once, while one too many does no harm for a while.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from relay.operations.service_tags.networks import in_order
from relay.operations.service_tags.tags import ServiceTagsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.operations.service_tags.networks import Network
    from relay.operations.service_tags.tags import Selection

GRACE: Final = 28
"""Days."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """When each range of a selection was last on the list.

    Attributes:
        tag: the service.
        regions: the regional tags; none for the whole.
        seen: the last day, by range.
    """

    tag: str
    regions: tuple[str, ...]
    seen: Mapping[Network, date]

    @classmethod
    def begin(cls, selection: Selection) -> Sightings:
        """Return those of a selection that was never looked at before."""
        return cls(selection.tag, selection.regions, {})

    def note(self, selection: Selection, today: date, grace: int = GRACE) -> Sightings:
        """Add what is on the list today, and forget what was not on it for so many days.

        Raises:
            ServiceTagsError: they are of another selection.
        """
        if (selection.tag, selection.regions) != (self.tag, self.regions):
            was = ", ".join(self.regions) or self.tag
            raise ServiceTagsError(f"it remembers {was}: keep a file for each selection")
        current = dict.fromkeys(selection.networks, today)
        oldest = today - timedelta(days=grace)
        kept = {network: day for network, day in self.seen.items() if day > oldest}
        return replace(self, seen=kept | current)

    def waiting(self, selection: Selection) -> dict[Network, date]:
        """Return the ranges that are gone from the list, and when each was last on it."""
        gone = self.seen.keys() - set(selection.networks)
        return {network: self.seen[network] for network in in_order(gone)}

    def write(self) -> str:
        """Return them as text."""
        seen = {str(network): self.seen[network].isoformat() for network in in_order(self.seen)}
        return json.dumps(
            {"tag": self.tag, "regions": list(self.regions), "seen": seen}, indent=2
        )


def read_sightings(text: str) -> Sightings:
    """Read what `write` wrote.

    Raises:
        ServiceTagsError: it is something else.
    """
    try:
        written = json.loads(text)
        seen = {ip_network(name): date.fromisoformat(d) for name, d in written["seen"].items()}
        return Sightings(str(written["tag"]), tuple(map(str, written["regions"])), seen)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ServiceTagsError("it holds no days on which ranges were seen") from error
