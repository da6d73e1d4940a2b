"""An event as filters see it: its attributes, and its body parsed when first asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import EllipsisType

    from relay.event import Event

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None


class View:
    """One event on its way past the filters of all routes, which share its parsed body.

    Attributes:
        event: the event.
        attributes: its context attributes.
    """

    __slots__ = ("_body", "attributes", "event")

    _body: Json | EllipsisType

    def __init__(self, event: Event) -> None:
        self.event = event
        self.attributes = event.attributes
        self._body = ...

    @property
    def body(self) -> Json:
        """The event's JSON, parsed at most once; `None` where there is none to be read."""
        if self._body is ...:
            self._body = _parsed(self.event.data)
        return self._body


def _refused(constant: str) -> Json:
    raise ValueError(constant)


_BYTE_ORDER_MARK: Final = "\ufeff"
_SPACES: Final = " \t\n\r"
_decode: Final = json.JSONDecoder(parse_constant=_refused).raw_decode
"""Strict: `NaN` and `Infinity` are not JSON. Of members with one name the last counts."""


def _parsed(data: bytes) -> Json:
    """Return the value that `data` is JSON of; `None` if it isn't JSON or nests too deep."""
    try:
        text = data.decode()
        if text[:1] != "{":
            text = text.removeprefix(_BYTE_ORDER_MARK).lstrip(_SPACES)
        body, end = _decode(text)
    except (ValueError, RecursionError):
        return None
    return body if end == len(text) or not text[end:].strip(_SPACES) else None
