"""Batches filled with ready bytes are those that the SDKs fill; where not, the SDKs do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from azure.eventhub import EventDataBatch
from azure.servicebus import ServiceBusMessageBatch
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st

from relay import sinks
from relay.event import Event
from relay.failures import DeliveryError, Reason
from relay.filters import compile as compile_filter
from relay.identity import Identity
from relay.routing import Destination, Kind, Route
from relay.settings import Connection, Container, Settings
from relay.sinks import event_hub, service_bus
from relay.sinks.direct import as_sent
from tests.fakes import an_event
from tests.relay.event_texts import events

WAYS = {"hub": event_hub, "bus": service_bus}


@pytest.fixture
def anew() -> Iterator[None]:
    """Let it be asked again whether the SDKs are known, now and afterwards."""
    for way in WAYS.values():
        way.is_known.cache_clear()
    yield
    for way in WAYS.values():
        way.is_known.cache_clear()


def hub_batch(room: int, placed: str) -> EventDataBatch:
    return EventDataBatch(room, partition_key=placed or None)


def outcome(
    package: str, fill: Callable[..., int], batch: Any, placed: object, some: Sequence[Event]
) -> object:
    try:
        taken: object = fill(batch, placed, some)
    except DeliveryError as error:
        taken = error.reason
    return taken, len(batch), batch.size_in_bytes, as_sent(package, batch)


rooms = st.integers(0, 3_000)
some_events = st.lists(events(), min_size=1, max_size=8)


@given(some_events, rooms, st.sampled_from(["", "pump-17"]))
@checked(max_examples=200, deadline=None)
def test_a_hubs_batch_ends_alike_both_ways(some: list[Event], room: int, placed: str) -> None:
    ways = (event_hub.fill_publicly, event_hub.fill_directly)

    first, second = (
        outcome("azure.eventhub", way, hub_batch(room, placed), placed, some) for way in ways
    )

    assert first == second


@given(some_events, rooms, st.booleans())
@checked(max_examples=200, deadline=None)
def test_a_batch_of_service_bus_ends_alike_both_ways(
    some: list[Event], room: int, session: bool
) -> None:
    ways = (service_bus.fill_publicly, service_bus.fill_directly)

    first, second = (
        outcome("azure.servicebus", way, ServiceBusMessageBatch(room), session, some)
        for way in ways
    )

    assert first == second


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_cannot_be_written_is_rejected_and_its_neighbours_go(way: Any) -> None:
    make = EventDataBatch if way is event_hub else ServiceBusMessageBatch
    placed: object = "" if way is event_hub else True
    good, odd = an_event(), an_event(odd="\ud800")

    assert way.fill_directly(make(10_000), placed, [good, odd, good]) == 1
    with pytest.raises(DeliveryError) as caught:
        way.fill_directly(make(10_000), placed, [odd, good])
    assert caught.value.reason is Reason.REJECTED


@pytest.mark.usefixtures("anew")
def test_the_sdks_that_are_installed_are_known() -> None:
    assert event_hub.is_known()
    assert service_bus.is_known()


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("version", ["5.16.0", "6.0.0", "5.1.50", ""])
def test_another_version_of_the_hubs_sdk_is_not_known(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "VERSION", version)

    assert not event_hub.is_known()


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("version", ["7.16.0", "8.0.0"])
def test_another_version_of_the_buss_sdk_is_not_known(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_bus, "VERSION", version)

    assert not service_bus.is_known()


class Renamed(EventDataBatch):
    """Keeps its size under another name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bytes = self.__dict__.pop("_size")

    def add(self, event_data: Any) -> None:
        self._size = self.__dict__.pop("_bytes")
        super().add(event_data)
        self._bytes = self.__dict__.pop("_size")


class Remembering(EventDataBatch):
    """Notes something else of each event, which may matter when it is sent."""

    def add(self, event_data: Any) -> None:
        super().add(event_data)
        self.noted = True


class Generous(EventDataBatch):
    """Counts fewer bytes."""

    def add(self, event_data: Any) -> None:
        super().add(event_data)
        self._size -= 1


class Sealed(EventDataBatch):
    """Says no more how large it may be."""

    @property
    def max_size_in_bytes(self) -> int:
        raise AttributeError

    @max_size_in_bytes.setter
    def max_size_in_bytes(self, size: int) -> None:
        pass


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("changed", [Renamed, Remembering, Generous, Sealed])
def test_an_sdk_that_changed_inside_is_not_known(
    changed: type[EventDataBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_hub, "EventDataBatch", changed)

    assert not event_hub.is_known()


@pytest.mark.usefixtures("anew")
def test_an_encoding_that_differs_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_bus, "encoded", lambda event, _=None: event.data)

    assert not service_bus.is_known()


def filling_of(kind: Kind, *, shortcuts: bool) -> object:
    route = Route("r", compile_filter("true"), Destination("ANALYTICS", kind, "entity"))
    connection = Connection("ANALYTICS", "analytics.servicebus.windows.net")
    sink: Any = sinks.build(route, connection, Identity(), None, shortcuts=shortcuts)
    return sink._fill_batch


@pytest.mark.usefixtures("anew")
def test_the_public_way_is_taken_when_told_so_or_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = {Kind.EVENT_HUB: event_hub, Kind.QUEUE: service_bus, Kind.TOPIC: service_bus}
    for kind, way in ways.items():
        assert filling_of(kind, shortcuts=True) is way.fill_directly
        assert filling_of(kind, shortcuts=False) is way.fill_publicly
        monkeypatch.setattr(way, "is_known", lambda: False)
        assert filling_of(kind, shortcuts=True) is way.fill_publicly
        monkeypatch.undo()


def told(shortcuts: bool, *kinds: Kind) -> list[str]:
    routes = tuple(
        Route(kind, compile_filter("true"), Destination("ANY", kind, "entity"))
        for kind in kinds
    )
    settings = Settings(routes, {}, Container("", ""), shortcuts=shortcuts)
    return [str(warning) for warning in sinks.warnings(settings)]


@pytest.mark.usefixtures("anew")
def test_an_sdk_that_is_not_known_is_told_where_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert told(True, *Kind) == []

    monkeypatch.setattr(event_hub, "VERSION", "5.99.1")
    event_hub.is_known.cache_clear()

    assert told(True, Kind.QUEUE) == told(False, *Kind) == []
    [warning] = told(True, *Kind)
    assert "RELAY_SHORTCUTS: the relay does not know how azure-eventhub 5.99.1" in warning
