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
    *,
    held: int = 0,
) -> int:
    """Add events until the batch is full; return how many it took; an empty one takes one.

    Args:
        add: adds one message; raises `ValueError` if that would exceed the batch's size.
        write: makes a message of an event.
        events: in order.
        held: how many events it holds already.

    Raises:
        DeliveryError: the first event does not fit into an empty batch (`too_large`), or can't
            be written as a message at all (`rejected`); it alone is suspect.
    """
    for count, event in enumerate(events):
        is_written = False
        try:
            message = write(event)
            is_written = True
            add(message)
        except Exception as error:
            if count or held:
                return count
            is_full = isinstance(error, ValueError) and not isinstance(error, UnicodeError)
            raise (_large if is_written and is_full else _unwritable)(event, error) from error
    return len(events)


def _large(event: Event, _: Exception) -> DeliveryError:
    what = f"{_name(event)} is larger than a whole batch may be"
    return DeliveryError(Reason.TOO_LARGE, what)


def _unwritable(event: Event, error: Exception) -> DeliveryError:
    what = f"{_name(event)} can't be written as a message: {error}"
    return DeliveryError(Reason.REJECTED, what)


def _name(event: Event) -> str:
    return f"the event {event.id!r} with {len(event.data)} bytes of data"
