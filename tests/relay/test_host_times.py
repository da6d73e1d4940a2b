"""The host's times are read as the library reads them, and by it where they are not its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.meta import Datum, _BaseConverter
from azure.functions.servicebus import ServiceBusMessageInConverter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay import host_times
from relay.app import from_environment
from relay.host_times import shorten
from relay.triggers import blueprint
from tests.relay.test_settings import GOOD as SETTINGS

BY_LIBRARY: Callable[[str | None], object] = _BaseConverter._parse_datetime
NEAR_MISSES = (
    r"[0-9]{1,4}[-/][0-9]{1,2}[-/][0-9]{1,4}[T ][0-9 ]{1,2}:[0-9]{1,2}:[0-9]{1,2}"
    r"(\.[0-9]{0,9})?(Z|z|[+-][0-9]{2}:[0-9]{2})?\n?"
)


@pytest.fixture
def converters() -> Iterator[None]:
    """Let the converters be as the library made them, and afterwards as they were."""
    classes = (EventHubTriggerConverter, ServiceBusMessageInConverter)
    with pytest.MonkeyPatch.context() as patch:
        for converter in classes:
            if "_parse_datetime" in vars(converter):
                patch.delattr(converter, "_parse_datetime")
        yield
        for converter in classes:
            if "_parse_datetime" in vars(converter):
                delattr(converter, "_parse_datetime")


def answer(read: Callable[[str | None], object], written: str | None) -> object:
    try:
        return repr(read(written))
    except Exception as error:  # noqa: BLE001 - which it is must be the same
        return type(error), str(error)


@given(
    st.from_regex(host_times._WRITTEN, fullmatch=True)
    | st.from_regex(NEAR_MISSES, fullmatch=True)
    | st.datetimes().map(str)
    | st.datetimes().map(lambda time: time.isoformat())
    | st.text()
    | st.none()
)
@example("2026-03-05T24:00:00")
@example("2026-03-05T23:59:60")
@example("2026-02-29T00:00:00")
@example("0000-01-01T00:00:00")
@example("2026-03-05T08:14:22.1234567\n")
@example("\N{ARABIC-INDIC DIGIT TWO}026-03-05T08:14:22")
@settings(max_examples=500, deadline=None)
def test_every_text_is_read_as_the_library_reads_it(written: str | None) -> None:
    assert answer(host_times._Reading(BY_LIBRARY), written) == answer(BY_LIBRARY, written)


def a_batch(*times: str) -> tuple[Datum, dict[str, Datum]]:
    system = ", ".join(
        f'{{"SequenceNumber": {n}, "Offset": "{n}", "EnqueuedTimeUtc": "{time}"}}'
        for n, time in enumerate(times)
    )
    bodies = Datum(SimpleNamespace(bytes=[b"{}"] * len(times)), "collection_bytes")
    return bodies, {"SystemPropertiesArray": Datum(f"[{system}]", "json")}


def decoded() -> list[object]:
    bodies, metadata = a_batch(
        "2026-03-05T08:14:22", "2026-03-05T08:14:22.1234567Z", "03/05/2026 08:14:22Z"
    )
    found: list[func.EventHubEvent] = EventHubTriggerConverter.decode(
        bodies, trigger_metadata=metadata
    )
    return [(event.sequence_number, repr(event.enqueued_time)) for event in found]


@pytest.mark.usefixtures("converters")
def test_a_batch_is_converted_to_the_same_events() -> None:
    before = decoded()

    assert shorten()
    assert "_parse_datetime" in vars(EventHubTriggerConverter)
    assert "_parse_datetime" in vars(ServiceBusMessageInConverter)
    assert decoded() == before


@pytest.mark.usefixtures("converters")
def test_doing_it_again_changes_nothing() -> None:
    shorten()
    first = EventHubTriggerConverter._parse_datetime

    assert shorten()
    assert EventHubTriggerConverter._parse_datetime is first


@pytest.mark.usefixtures("converters")
@pytest.mark.parametrize("changed", [lambda _: None, lambda _: 1 / 0, str])
def test_a_library_that_reads_otherwise_is_left_alone(
    changed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventHubTriggerConverter, "_parse_datetime", staticmethod(changed))

    assert not shorten()
    assert EventHubTriggerConverter._parse_datetime is changed


@pytest.mark.usefixtures("converters")
def test_a_library_without_the_method_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_times, "_READ", "_read_no_more")

    assert not shorten()
    assert not hasattr(EventHubTriggerConverter, "_read_no_more")


@pytest.mark.usefixtures("converters")
@pytest.mark.parametrize("shortcuts", ["true", "false"])
def test_an_app_does_it_unless_told_not_to(shortcuts: str) -> None:
    relay = from_environment(SETTINGS | {"RELAY_SHORTCUTS": shortcuts})

    blueprint(relay)

    assert ("_parse_datetime" in vars(EventHubTriggerConverter)) is (shortcuts == "true")
