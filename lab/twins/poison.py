"""Messages that no relay can read as an event, one of each kind.

They stand for what reaches a shared ingress in real life: other senders, half-written
integrations, truncation.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from lab.twins.notification import PREFIX, Message

_JSON: Final = "application/json"
_STRUCTURED: Final = "application/cloudevents+json; charset=utf-8"
_BINARY: Final = {
    f"{PREFIX}id": "7b0c9d3e-52b4-4c8b-9a54-0f6e2a8d1c11",
    f"{PREFIX}source": "plant-a.api.weu.digitaltwins.azure.net",
    f"{PREFIX}specversion": "1.0",
    f"{PREFIX}type": "Microsoft.DigitalTwins.Twin.Update",
}


def _without(attribute: str) -> Message:
    """Return a binary event that lacks one required attribute."""
    properties = {k: v for k, v in _BINARY.items() if k != PREFIX + attribute}
    return Message(properties, b'{"modelId":"dtmi:com:example:Machine;1","patch":[]}', _JSON)


POISON: Final = MappingProxyType(
    {
        "no_id": _without("id"),
        "no_source": _without("source"),
        "no_type": _without("type"),
        "empty": Message({}, b"", None),
        "not_json": Message({}, b"pump 17 is hot", "text/plain"),
        "other_json": Message({}, b'{"temperature":21.5}', _JSON),
        "json_scalar": Message({}, b"42", _JSON),
        "empty_array": Message({}, b"[]", _JSON),
        "structured_not_json": Message({}, b"<event/>", _STRUCTURED),
        "structured_truncated": Message(
            {}, b'{"specversion":"1.0","id":"1","source":"plant-a","ty', _STRUCTURED
        ),
        "structured_no_id": Message(
            {},
            b'{"specversion":"1.0","source":"plant-a","type":"x","data":{}}',
            _STRUCTURED,
        ),
        "structured_invalid_utf8": Message(
            {},
            b'{"specversion":"1.0","id":"1","source":"plant-\xff","type":"x","data":{}}',
            _STRUCTURED,
        ),
    }
)
"""Each kind of malformed message by its name."""
