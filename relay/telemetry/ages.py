"""How old an event is, where its own `time` can be believed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from relay.event import Event

OLDEST: Final = timedelta(days=366).total_seconds()
"""Seconds. What claims to be older was never given a time: no hub keeps an event so long."""
SKEW: Final = timedelta(minutes=5).total_seconds()
"""Seconds. How far the sender's clock may be ahead of ours."""


def age(event: Event, now: datetime) -> float | None:
    """Return the seconds since an event's `time`; `None` where it is absent or absurd."""
    time: Any = event.attributes.get("time")
    try:
        passed = (now - datetime.fromisoformat(time)).total_seconds()
    except (TypeError, ValueError):  # absent, no time, or one of no zone
        return None
    return max(passed, 0.0) if -SKEW <= passed <= OLDEST else None
