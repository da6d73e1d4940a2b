"""Reads the times that the Functions host sends, in a fiftieth of the library's time.

`azure.functions` tries up to sixteen formats on each of them, and the one that the host writes
for an event of a hub, without a zone, is the thirteenth: of an invocation's processor time that
is more than all else together. For the host's own form the standard library knows the answer;
any other text, and any that is no time, is still the library's to read or to refuse
([why](../docs/decisions/0019-times-of-the-host.md)).
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.servicebus import ServiceBusMessageInConverter

if TYPE_CHECKING:
    from collections.abc import Callable

    type Read = Callable[[str | None], datetime | None]

_CONVERTERS: Final = (EventHubTriggerConverter, ServiceBusMessageInConverter)
_READ: Final = "_parse_datetime"
_WRITTEN: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z?"
)
"""What the host makes of .NET's `DateTime`: digits of a second as needed, `Z` if it is UTC."""
_SAMPLES: Final = (
    "2026-03-05T08:14:22",
    "2026-03-05T08:14:22.1",
    "2026-03-05T08:14:22.123456",
    "2026-03-05T08:14:22.1234567",
    "2026-03-05T08:14:22Z",
    "2026-03-05T08:14:22.1234567Z",
)
"""Of the host's form: anything else is read by the library in any case."""


def shorten() -> bool:
    """Let the library's converters read times so; false where one would answer otherwise."""
    ways: list[Any] = [getattr(converter, _READ, None) for converter in _CONVERTERS]
    for converter, by_library in zip(_CONVERTERS, ways, strict=True):
        if not isinstance(by_library, _Reading) and _is_alike(by_library):
            setattr(converter, _READ, _Reading(by_library))
    return all(isinstance(getattr(each, _READ, None), _Reading) for each in _CONVERTERS)


@cache  # the converters have it of one class, and the library takes its time
def _is_alike(by_library: Read) -> bool:
    reading = _Reading(by_library)
    try:
        return all(reading(sample) == by_library(sample) for sample in _SAMPLES)
    except Exception:  # noqa: BLE001 - whatever it is, the library's way stays
        return False


class _Reading:
    """Reads a time; what is not in the host's form, by the library."""

    def __init__(self, by_library: Read) -> None:
        self.by_library = by_library

    def __call__(self, written: str | None) -> datetime | None:
        if written and _WRITTEN.fullmatch(written):
            try:
                return datetime.fromisoformat(written)
            except ValueError:
                pass  # the library says so in its own words
        return self.by_library(written)
