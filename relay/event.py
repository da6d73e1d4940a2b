"""A CloudEvent as it arrived: attributes and bytes, carried and never rewritten."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

type AttributeValue = str | int | bool
"""What the CloudEvents type system leaves after transport: text, integer or boolean."""

REQUIRED: Final = ("specversion", "id", "source", "type")
TELEMETRY: Final = "microsoft.iot.telemetry"

_RELATIONSHIP: Final = "/relationships/"


@dataclass(frozen=True, slots=True, init=False)
class Event:
    """One CloudEvents 1.0 event.

    Attributes:
        attributes: every context attribute by its plain name (`id`, `source`, extensions too)
            with the value that arrived; nothing is added, dropped or normalised.
        data: the bytes of the payload; `b""` when there is none.
        is_plain: whether all attributes and their names are ASCII text, as mostly.
    """

    attributes: Mapping[str, AttributeValue]
    data: bytes
    is_plain: bool = field(init=False, repr=False, compare=False)
    _written: str | None = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        attributes: Mapping[str, AttributeValue],
        data: bytes = b"",
        is_plain: bool | None = None,  # noqa: FBT001 - a name costs as much as the object
    ) -> None:
        """Seal the attributes: an event is shared by every route that wants it.

        Args:
            attributes: copied, unless they are a read-only view already.
            data: the bytes of the payload.
            is_plain: whether they are ASCII text, where that is known.
        """
        if type(attributes) is not MappingProxyType:
            attributes = MappingProxyType(dict(attributes))
        _set_attributes(self, attributes)
        _set_data(self, data)
        _set_plain(self, _is_plain(attributes) if is_plain is None else is_plain)
        _set_written(self, None)

    def text(self, name: str) -> str:
        """Return an attribute as text, `""` when it is absent."""
        value = self.attributes.get(name, "")
        return value if type(value) is str else str(value)

    def written(self, write: Callable[[Event], str]) -> str:
        """Return how its attributes are written on the wire, alike for all its destinations.

        Args:
            write: writes them, at the first call; always the same function.
        """
        if self._written is None:
            written = write(self)
            _set_written(self, written)
            return written
        return self._written

    @property
    def id(self) -> str:
        """The event's `id`: unique together with `source`."""
        return self.text("id")

    @property
    def source(self) -> str:
        """The event's `source`: an instance's host, for telemetry with the twin behind it."""
        return self.text("source")

    @property
    def type(self) -> str:
        """The event's `type`, one of the seven that Azure Digital Twins writes, or another."""
        return self.text("type")

    @property
    def subject(self) -> str:
        """The event's `subject`, `""` when it is absent."""
        return self.text("subject")

    @property
    def twin_id(self) -> str:
        """The twin that the event is about, `""` when it names none.

        Telemetry names its twin at the end of `source` (its `subject` is a component or
        absent); every other event of Azure Digital Twins names it in `subject`, a relationship
        as `<twin>/relationships/<relationship>`.
        """
        if self.attributes.get("type") == TELEMETRY:
            return _last_segment(self.source) or self.subject
        return self.subject.partition(_RELATIONSHIP)[0]


# How an event, which is frozen, is filled: by its slots, in half of the usual way's time.
_set_attributes, _set_data, _set_plain, _set_written = (
    vars(Event)[each.name].__set__ for each in fields(Event)
)


def _is_plain(attributes: Mapping[str, AttributeValue]) -> bool:
    texts: Any = [*attributes, *attributes.values()]
    try:
        return "".join(texts).isascii()
    except TypeError:  # not all of it is text
        return False


def _last_segment(source: str) -> str:
    """Return what follows the host in `<host>/<twin>` or `<host>/digitaltwins/<twin>`.

    The host may have a scheme before it: Event Grid's schema has the source from a setting.
    """
    path = source.rpartition("://")[2].partition("/")[2]
    return path.rpartition("/")[2]
