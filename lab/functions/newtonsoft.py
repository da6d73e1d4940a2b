"""JSON as the .NET host writes it (Newtonsoft.Json with its default settings)."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from lab.functions.messages import Json

_NOT_NUMBERS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def dumps(value: object) -> str:
    """Return the text that `JsonConvert.SerializeObject` gives for such a value.

    An aware datetime stands for a .NET `DateTime` in UTC, a naive one for a `DateTime` of
    unspecified kind, bytes for `byte[]`.
    """
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def date_time(moment: datetime) -> str:
    """Return a `DateTime`: `Z` when it is in UTC, no zone when it is of unspecified kind."""
    if moment.tzinfo is None:
        return _digits(moment)
    return _digits(moment.astimezone(UTC)) + "Z"


def date_time_offset(moment: datetime) -> str:
    """Return a `DateTimeOffset` in UTC, which .NET writes with its offset."""
    return _digits(moment.astimezone(UTC)) + "+00:00"


def _digits(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}"


def _plain(value: object) -> Json:
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float():
            return _number(value)
        case None | bool() | int() | str():
            return value
        case _:
            return _text(value)


def _number(value: float) -> Json:
    if math.isnan(value):
        return "NaN"
    return _NOT_NUMBERS.get(value, value)


def _text(value: object) -> str:
    match value:
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case datetime():
            return date_time(value)
        case UUID():
            return str(value)
        case _:
            raise TypeError(f"no .NET value is like {type(value).__name__}")
