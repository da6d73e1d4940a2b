"""Events in Event Grid's own schema, as a topic delivers what Azure Digital Twins published.

The schema has no place for `source`, so whoever reads it must be told which instance wrote.
Azure Digital Twins nests: its data stands in `data.data`, the attributes that the schema lacks
beside it (MicrosoftDocs/azure-docs, digital-twins/concepts-event-notifications.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.event import Event
from relay.formats import verbatim_json
from relay.formats.json_format import attribute

if TYPE_CHECKING:
    from relay.event import AttributeValue

_RENAMED: Final = {
    "id": "id",
    "subject": "subject",
    "eventType": "type",
    "eventTime": "time",
}
_NESTED_RENAMED: Final = {"contenttype": "datacontenttype"}
_ENVELOPE: Final = frozenset({"specversion", "source", *_RENAMED.values()})
_NOT_NESTED: Final = _ENVELOPE | {"datacontenttype", "data_base64"}
_MARKS: Final = frozenset({"eventType", "dataVersion"})
_NESTED_MARKS: Final = frozenset({"data", "contenttype"})


def is_event_grid(members: dict[str, str]) -> bool:
    """Whether an object with these members is an event in Event Grid's schema."""
    return members.keys() >= _MARKS


def decode(members: dict[str, str], source: str) -> Event:
    """Read one event; `source` is what the schema has lost.

    Raises:
        ValueError: a member can be no attribute of a CloudEvent.
    """
    attributes: dict[str, AttributeValue | None] = {"specversion": "1.0", "source": source}
    for written, name in _RENAMED.items():
        if written in members:
            attributes[name] = attribute(name, members[written])
    data = members.get("data", "")
    nested = _nested(data)
    if nested is not None:
        data = nested.pop("data")
        for written, text in nested.items():
            name = _NESTED_RENAMED.get(written, written)
            attributes[name] = attribute(name, text)
    present = {name: value for name, value in attributes.items() if value is not None}
    return Event(present, data.encode())


def _nested(data: str) -> dict[str, str] | None:
    """Unwrap what Azure Digital Twins wraps; `None` for data that only looks alike.

    It never repeats an attribute of the envelope, so data that has one is somebody else's.
    """
    if not data.startswith("{"):
        return None
    members = verbatim_json.members(data)
    is_wrapped = members.keys() >= _NESTED_MARKS and members.keys().isdisjoint(_NOT_NESTED)
    return members if is_wrapped else None
