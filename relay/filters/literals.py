"""The values that a filter writes: texts with their escapes, numbers, instants, pointers."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Final

type Instant = tuple[int, str]
"""Whole seconds since year 1 in UTC, and the digits of the fraction without trailing zeros."""

_ESCAPE: Final = re.compile(r"''|\\(.)", re.DOTALL)
_TIMESTAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_POINTER: Final = re.compile("(?:/(?:[^~/]|~[01])*+)*+")


def unquote(token: str) -> str:
    r"""Return the text between single quotes; `''` and `\'` are a quote, `\\` a backslash.

    Raises:
        ValueError: a backslash before anything else.
    """
    return _ESCAPE.sub(_unescaped, token[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    escaped: str = match[1] or "'"
    if escaped not in "'\\":
        raise ValueError(match[0])
    return escaped


def number(token: str) -> int | float:
    """Return an integer exactly, anything with a fraction or an exponent as a double.

    Raises:
        ValueError: beyond what a double holds, or more digits than Python reads.
    """
    if token.lstrip("-").isdigit():
        return int(token)
    value = float(token)
    if math.isinf(value):
        raise ValueError(token)
    return value


def instant(text: str) -> Instant | None:
    """Return when an RFC 3339 timestamp is, with every digit; `None` if it isn't one."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    sign, offset_hours, offset_minutes = match[8], int(match[9] or 0), int(match[10] or 0)
    if max(hour, offset_hours) > 23 or max(minute, offset_minutes) > 59 or second > 60:  # noqa: PLR2004 - a clock's limits, a leap second among them
        return None
    try:
        days = date(year, month, day).toordinal()
    except ValueError:
        return None
    offset = (offset_hours * 60 + offset_minutes) * (-1 if sign == "-" else 1)
    seconds = days * 86400 + (hour * 60 + minute - offset) * 60 + second
    return seconds, (match[7] or "").rstrip("0")


def is_pointer(text: str) -> bool:
    """Whether a text is a JSON Pointer (RFC 6901)."""
    return _POINTER.fullmatch(text) is not None
