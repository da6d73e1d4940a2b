"""How late events came to a hub: when each was enqueued, as the audit's reader reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.audit import observe, read_hub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.audit import Access, Key

type Times = dict[Key, float]
"""When an event was enqueued first, seconds since 1970."""


async def read_times(access: Access, hub: str, consumer_group: str) -> Times:
    """Read when each event of a hub was enqueued; what is no event is left out.

    Raises:
        TimeoutError: not everything came within a minute.
        azure.eventhub.exceptions.EventHubError: the hub refused.
    """
    times: Times = {}
    for message in await read_hub(access, hub, consumer_group):
        event = observe(message)
        if event is not None and message.enqueued is not None:
            times[event.key] = min(message.enqueued, times.get(event.key, message.enqueued))
    return times


def worst_delay(sent: Mapping[Key, float], arrived: Mapping[Key, float]) -> float | None:
    """Return the seconds that the slowest event took, `None` if none arrived."""
    return max((arrived[key] - sent[key] for key in sent.keys() & arrived.keys()), default=None)
