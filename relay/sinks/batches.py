"""Fills a batch of an SDK with as many events as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.failures import DeliveryError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relay.event import Event


def fill[Message](
    add: Callable[[Message], object],
    write: Callable[[Event], Message],
    events: Sequence[Event],
) -> int:
    """Add events until the batch is full; return how many it took, at least one.

    Args:
        add: adds one message; raises `ValueError` if that would exceed the batch's size.
        write: makes a message of an event.
        events: in order.

    Raises:
        DeliveryError: the first event does not fit into an empty batch (`too_large`), or can't
            be written as a message at all (`rejected`); it alone is suspect.
    """
    for count, event in enumerate(events):
        try:
            add(write(event))
        except Exception as error:
            if count:
                return count
            raise _unfit(event, error) from error
    return len(events)


def _unfit(event: Event, error: Exception) -> DeliveryError:
    what = f"the event {event.id!r} with {len(event.data)} bytes of data"
    if isinstance(error, ValueError):
        return DeliveryError(Reason.TOO_LARGE, f"{what} is larger than a whole batch may be")
    return DeliveryError(Reason.REJECTED, f"{what} can't be written as a message: {error}")
