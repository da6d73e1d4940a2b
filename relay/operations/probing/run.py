"""One run: who it is, what its events look like, and how to know them again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from relay.event import Event
from relay.operations.probing.tally import Number

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE: Final = "twinrelay.probe"
_ID: Final = "cloudEvents:id"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the probe.

    Attributes:
        name: tells it from every other run.
        twins: how many twins its events are about.
        event_type: of its events, by which a route's filter may know them.
    """

    name: str
    twins: int
    event_type: str = TYPE

    def twin(self, number: int) -> str:
        """Return a twin's id, which no other run has."""
        return f"probe-{self.name}-{number}"

    @property
    def sessions(self) -> list[str]:
        """The sessions that the run's events make."""
        return [self.twin(number) for number in range(self.twins)]

    def number(self, count: int) -> Number:
        """Return the number of the run's `count`-th event: the twins take turns."""
        place, twin = divmod(count, self.twins)
        return Number(twin, place)

    def event(self, number: Number) -> Event:
        """Return an event."""
        data = {"run": self.name, "twin": number.twin, "number": number.place}
        return Event(
            {
                "specversion": "1.0",
                "id": f"{self.name}.{number.twin}.{number.place}",
                "source": f"urn:twinrelay:probe:{self.name}",
                "type": self.event_type,
                "subject": self.twin(number.twin),
                "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "datacontenttype": "application/json",
            },
            json.dumps(data).encode(),
        )

    def recognise(self, properties: Mapping[Any, Any] | None) -> Number | None:
        """Return an event's number by its message's properties, `None` if not of this run."""
        for name, value in (properties or {}).items():
            if _text(name) == _ID:
                run, *rest = _text(value).rsplit(".", 2)
                if run == self.name and len(rest) == 2 and all(map(str.isdecimal, rest)):  # noqa: PLR2004 - twin and place
                    return Number(*map(int, rest))
        return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
