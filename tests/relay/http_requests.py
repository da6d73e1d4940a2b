"""Requests as other senders of CloudEvents write them: an encoder of its own for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from relay.event import Event
from relay.formats import json_format

STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCHED = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")


@dataclass
class HttpRequest:
    """A request; it remembers whether anybody looked at its body."""

    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    was_read: bool = False

    def get_body(self) -> bytes:
        self.was_read = True
        return self.body


def in_binary_mode(event: Event) -> tuple[dict[str, str], bytes]:
    """Write an event as headers and body; values as text, since HTTP knows no other."""
    headers = {
        f"ce-{name}": quote(_canonical(value), safe=_PRINTABLE)
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    if "datacontenttype" in event.attributes:
        headers["content-type"] = event.text("datacontenttype")
    return headers, event.data


def structured(event: Event) -> tuple[dict[str, str], bytes]:
    return STRUCTURED, json_format.encode(event).encode()


def batched(events: Sequence[Event]) -> tuple[dict[str, str], bytes]:
    return BATCHED, json_format.encode_batch(map(json_format.encode, events)).encode()


def as_text(event: Event) -> Event:
    """What is left of an event's attributes in HTTP's binary mode: their text."""
    return Event(
        {name: _canonical(value) for name, value in event.attributes.items()}, event.data
    )


def _canonical(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
