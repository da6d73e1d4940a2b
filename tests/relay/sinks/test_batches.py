"""A batch takes what fits, and says of the first event that does not why."""

from __future__ import annotations

import asyncio

import pytest
from azure.eventhub import EventDataBatch
from azure.servicebus import ServiceBusMessageBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.sinks import event_hub, service_bus
from relay.sinks.batches import fill
from tests.fakes import an_event


def add_to(batch: list[int], room: int) -> object:
    def add(size: int) -> None:
        if sum(batch) + size > room:
            raise ValueError("full")
        batch.append(size)

    return add


def size(event: Event) -> int:
    return len(event.data)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_a_batch_takes_the_longest_beginning_that_fits(sizes: list[int], room: int) -> None:
    events = [an_event(data=b"x" * length) for length in sizes]
    fits = [n for n in range(len(sizes) + 1) if sum(sizes[:n]) <= room]
    batch: list[int] = []
    if max(fits) == 0:
        with pytest.raises(DeliveryError) as caught:
            fill(add_to(batch, room), size, events)  # type: ignore[arg-type]
        assert caught.value.reason is Reason.TOO_LARGE
    else:
        assert fill(add_to(batch, room), size, events) == max(fits)  # type: ignore[arg-type]
    assert batch == sizes[: max(fits)]


def test_an_event_too_large_for_an_empty_batch_is_named() -> None:
    with pytest.raises(DeliveryError) as caught:
        fill(add_to([], 3), size, [an_event(id="big", data=b"xxxx"), an_event()])  # type: ignore[arg-type]

    assert (caught.value.reason, caught.value.suspects) == (Reason.TOO_LARGE, 1)
    assert "'big' with 4 bytes" in caught.value.detail


@pytest.mark.parametrize("error", [TypeError("no"), ValueError("no"), UnicodeError("no")])
def test_an_event_that_cannot_be_written_is_not_called_too_large(error: Exception) -> None:
    def refuse(_: Event) -> int:
        raise error

    with pytest.raises(DeliveryError) as caught:
        fill(add_to([], 3), refuse, [an_event()])  # type: ignore[arg-type]

    assert caught.value.reason is Reason.REJECTED
    assert caught.value.__cause__ is error


def test_an_event_whose_text_cannot_be_encoded_is_not_called_too_large() -> None:
    def refuse(_: int) -> None:
        "\ud800".encode()

    with pytest.raises(DeliveryError) as caught:
        fill(refuse, size, [an_event()])

    assert caught.value.reason is Reason.REJECTED


def test_an_event_that_cannot_be_written_waits_for_a_batch_of_its_own() -> None:
    def picky(event: Event) -> int:
        if event.id == "bad":
            raise TypeError
        return 1

    events = [an_event(), an_event(id="bad"), an_event()]

    assert fill(add_to([], 10), picky, events) == 1  # type: ignore[arg-type]


def test_the_real_batches_say_when_they_are_full() -> None:
    events = [an_event(data=b"x" * 300) for _ in range(10)]
    hub = EventDataBatch(1000)
    bus = ServiceBusMessageBatch(1000)

    assert fill(hub.add, event_hub.message, events) in {1, 2}
    assert (
        fill(bus.add_message, lambda event: service_bus.message(event, session=False), events)
        == 1
    )


@pytest.mark.parametrize("data", [b"x" * 2000])
def test_the_real_batches_refuse_what_is_too_large(data: bytes) -> None:
    events = [an_event(data=data)]
    for add, write in (
        (EventDataBatch(1000).add, event_hub.message),
        (
            ServiceBusMessageBatch(1000).add_message,
            lambda event: service_bus.message(event, session=True),
        ),
    ):
        with pytest.raises(DeliveryError) as caught:
            fill(add, write, events)  # type: ignore[arg-type]
        assert caught.value.reason is Reason.TOO_LARGE


def test_cancellation_is_nobodys_fault() -> None:
    def cancel(_: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        fill(cancel, size, [an_event()])
