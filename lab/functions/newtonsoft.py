"""JSON as the .NET host reads and writes it (Newtonsoft.Json with its default settings)."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from lab.functions.messages import Json

MOST_LEVELS: Final = 64
"""How deep a text may nest: `JsonReader.MaxDepth` of Newtonsoft.Json 13."""

_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]')
_SCIENTIFIC: Final = 1e15
_NOT_NUMBERS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def dumps(value: object) -> str:
    """Return the text that `JsonConvert.SerializeObject` gives for such a value.

    An aware datetime stands for a .NET `DateTime` in UTC, a naive one for a `DateTime` of
    unspecified kind, bytes for `byte[]`.
    """
    return _written(_plain(value))


def loads(text: str) -> Any:
    """Read a text as `JToken.Load` with `DateParseHandling.None` does.

    A number with a point or an exponent becomes a double: `dumps` then writes the shortest text
    that means the same double, not what stood there.

    Raises:
        ValueError: it is no JSON, or nests too deep.
    """
    depth, deepest = 0, 0
    for bracket in _BRACKETS.findall(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(bracket, 0)
        deepest = max(deepest, depth)
    if deepest > MOST_LEVELS:
        raise ValueError(f"The reader's MaxDepth of {MOST_LEVELS} has been exceeded.")
    return json.loads(text)


def _written(value: Json) -> str:
    match value:
        case dict():
            members = (f"{_text_of(name)}:{_written(item)}" for name, item in value.items())
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
        case float():
            return _double(value)
        case _:
            return _text_of(value)


def _text_of(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _double(value: float) -> str:
    """Return `double.ToString("R")` of .NET, with a point where it would look like a long."""
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    if e:
        return f"{mantissa}E{exponent}"
    if abs(value) >= _SCIENTIFIC:
        return f"{Decimal(text).normalize():E}"
    return text


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
