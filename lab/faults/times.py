"""How late events came to a hub: when each was enqueued, as the audit's reader reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.audit import observe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.audit import Key, Received

type Times = dict[Key, float]
"""When an event was enqueued first, seconds since 1970."""


def times(messages: Iterable[Received]) -> Times:
    """Return when each event of a hub was enqueued; what is no event is left out."""
    found: Times = {}
    for message in messages:
        event = observe(message)
        if event is not None and message.enqueued is not None:
            found[event.key] = min(message.enqueued, found.get(event.key, message.enqueued))
    return found


def worst_delay(
    sent: Mapping[Key, float], arrived: Mapping[Key, float], since: float = 0.0
) -> float | None:
    """Return the seconds that the slowest event took, `None` if none arrived.

    Args:
        sent: when events came in.
        arrived: when they reached their destination.
        since: what came in before does not count.
    """
    counted = {key for key, moment in sent.items() if moment >= since}
    return max((arrived[key] - sent[key] for key in counted & arrived.keys()), default=None)
