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
        try:
            _put(add, write, event)
        except DeliveryError:
            if count or held:
                return count
            raise
    return len(events)


def _put[Message](
    add: Callable[[Message], object], write: Callable[[Event], Message], event: Event
) -> None:
    try:
        message = write(event)
    except Exception as error:
        raise _unwritable(event, error) from error
    try:
        add(message)
    except Exception as error:
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
            what = f"{_name(event)} is larger than a whole batch may be"
            raise DeliveryError(Reason.TOO_LARGE, what) from error
        raise _unwritable(event, error) from error


def _unwritable(event: Event, error: Exception) -> DeliveryError:
    what = f"{_name(event)} can't be written as a message: {error}"
    return DeliveryError(Reason.REJECTED, what)


def _name(event: Event) -> str:
    return f"the event {event.id!r} with {len(event.data)} bytes of data"
