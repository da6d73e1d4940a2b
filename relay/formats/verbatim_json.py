"""JSON objects whose members keep the exact text in which they were written.

Parsing a payload and writing it again changes it: `1.0` becomes `1`, `1e400` infinity, spacing
and escapes are lost. A relay hands on what it was given, so this module finds where each member
begins and ends and leaves the text alone.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACES: Final = " \t\n\r"
_SPACE: Final = re.compile(f"[{_SPACES}]*")
_STRUCTURE: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{},]', re.DOTALL)
"""Strings and what structures them; a string without an end goes to the end of the text."""
_DEPTH: Final = {"[": 1, "{": 1, "]": -1, "}": -1}

_GAP: Final = rf"[{_SPACES}]*+"
_LETTERS: Final = r'[^"\\\x00-\x1f]*+'
_PLAIN: Final = (
    rf'{_GAP}"({_LETTERS})"{_GAP}:'
    rf'{_GAP}("{_LETTERS}"|-?(?:0|[1-9][0-9]*+)|true|false|null){_GAP},'
)
"""A member with another behind it: text without escapes, an integer or a word."""
_PLAIN_MEMBER: Final = re.compile(_PLAIN)
_PLAIN_MEMBERS: Final = re.compile(f"(?:{_PLAIN})*+")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


# Numbers are left as text: only their extent matters here, and Python limits how long an
# integer may be that it converts.
_scan: Final = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=_refuse_constant
).raw_decode


def members(text: str) -> dict[str, str]:
    """Return the members of the JSON object in `text`, each value in the text of its writer.

    Raises:
        ValueError: it is not one JSON object, or a name stands in it twice.
    """
    position = _expect(text, _skip(text, 0), "{")
    found: dict[str, str] = {}
    position = _skip(text, position)
    if text[position : position + 1] == "}":
        return _end(text, position + 1, found)
    while True:
        position = _take_plain(text, position, found)
        name, position = _name(text, _skip(text, position))
        start = _skip(text, _expect(text, _skip(text, position), ":"))
        end = _value_end(text, start)
        _add(found, name, text[start:end])
        position = _skip(text, end)
        if text[position : position + 1] == "}":
            return _end(text, position + 1, found)
        position = _expect(text, position, ",")


def _take_plain(text: str, position: int, found: dict[str, str]) -> int:
    """Add the plain members that stand next, in one go; return where they end."""
    plain = _PLAIN_MEMBERS.match(text, position)
    end = plain.end() if plain else position
    for name, value in _PLAIN_MEMBER.findall(text, position, end):
        _add(found, name, value)
    return end


def _add(found: dict[str, str], name: str, value: str) -> None:
    if name in found:
        raise ValueError(f"the member {name!r} stands twice in one object")
    found[name] = value


def elements(text: str, most: int | None = None) -> list[str]:
    """Return the elements of the array in `text`, each as the text it was written in.

    Only brackets and strings are looked at, so that an element that is no JSON, or nests too
    deeply, does not hide its neighbours: whoever reads an element judges it.

    Args:
        text: the array.
        most: elements that it may have.

    Raises:
        ValueError: the array does not begin or end as one, or has too many elements.
    """
    start = _expect(text, _skip(text, 0), "[")
    found: list[str] = []
    for end in _element_ends(text, start):
        found.append(text[start:end].strip(_SPACES))
        if most is not None and len(found) > most:
            raise ValueError(f"the array has more than {most} elements")
        start = end + 1
        if text[end] == "]":
            return _end(text, start, [] if found == [""] else found)
    raise ValueError("the array does not end")


def _element_ends(text: str, start: int) -> Iterator[int]:
    """Yield where the comma or the bracket behind each element stands.

    As long as elements are JSON, the decoder finds their ends, in a tenth of the time. One that
    is none ends it, for good: an error costs it a walk through all of the text.
    """
    while (end := _json_end(text, start)) is not None:
        yield end
        start = end + 1
    depth = 0
    for token in _STRUCTURE.finditer(text, start):
        mark = token[0]
        if mark in "]," and not depth:
            yield token.start()
        depth += _DEPTH.get(mark, 0)


def _json_end(text: str, start: int) -> int | None:
    """Return where an element's end stands; `None` if it is not JSON up to there."""
    try:
        end = _skip(text, _value_end(text, _skip(text, start)))
    except ValueError:
        return None
    return end if text[end : end + 1] in {",", "]"} else None


def is_whole(text: str) -> bool:
    """Whether `text` is one JSON value with nothing around it, not even space."""
    try:
        return text[:1] not in {" ", "\t", "\n", "\r", ""} and _value_end(text, 0) == len(text)
    except ValueError:
        return False


def _value_end(text: str, start: int) -> int:
    try:
        return _scan(text, start)[1]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _name(text: str, position: int) -> tuple[str, int]:
    _expect(text, position, '"')
    name, end = _scan(text, position)
    return str(name), end


def _skip(text: str, position: int) -> int:
    if text[position : position + 1] not in _SPACES:
        return position
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _expect(text: str, position: int, token: str) -> int:
    if text[position : position + 1] != token:
        raise ValueError(f"{token!r} was expected at character {position}")
    return position + 1


def _end[Found](text: str, position: int, found: Found) -> Found:
    if _skip(text, position) != len(text):
        raise ValueError(f"something follows the value at character {position}")
    return found
