"""An Azure Digital Twins instance: what it holds of a twin, and what it writes of a change.

The oddities are the service's own and are kept on purpose: telemetry has no time, carries its
twin in `source` and says that it is a JSON patch; a patch has its members in the order value,
path, op; a relationship's creation or deletion may leave out `$sourceId`; times have seven
fractional digits; a property's `lastUpdateTime` is some milliseconds older than the event.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from lab.twins.notification import TELEMETRY, Notification, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from random import Random

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json; charset=utf-8"
TICKS_PER_SECOND: Final = 10_000_000
"""Azure writes times in steps of 100 nanoseconds."""

_TICKS_PER_MICROSECOND: Final = 10
_WRITE_TAKES: Final = 90_000


@dataclass(slots=True)
class Component:
    """A part of a twin with a model of its own."""

    name: str
    model: str
    properties: dict[str, Json]


@dataclass(slots=True)
class Twin:
    """A twin's state. `sequence` counts its events, whatever their type."""

    id: str
    model: str
    properties: dict[str, Json]
    component: Component | None = None
    sequence: int = 0
    readings: int = 0
    written: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Relationship:
    """A named edge from one twin to another."""

    id: str
    name: str
    source: Twin
    target: Twin
    properties: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a JSON patch; a path is a JSON pointer."""

    path: str
    value: Json
    op: str = "replace"

    def as_json(self) -> dict[str, Json]:
        """Return the members in the service's order; a removal has no value."""
        value: dict[str, Json] = {} if self.op == "remove" else {"value": self.value}
        return {**value, "path": self.path, "op": self.op}


class Clock:
    """Simulated time, so that the same seed gives the same times."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._ticks = 0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ticks += round(seconds * TICKS_PER_SECOND)

    def text(self, *, earlier: int = 0) -> str:
        """Return the time `earlier` ticks ago, in UTC with seven fractional digits."""
        micros, rest = divmod(self._ticks - earlier, _TICKS_PER_MICROSECOND)
        return f"{self._start + timedelta(microseconds=micros):%Y-%m-%dT%H:%M:%S.%f}{rest}Z"


class Instance:
    """Writes the notification of each thing that happens."""

    def __init__(self, host: str, clock: Clock, random: Random) -> None:
        self._host = host
        self._clock = clock
        self._random = random

    def twin_created(self, twin: Twin) -> Notification:
        """Return `Twin.Create`: the whole twin."""
        self._touch(twin, twin.properties)
        return self._changed("Twin.Create", twin.id, self._whole(twin))

    def twin_deleted(self, twin: Twin) -> Notification:
        """Return `Twin.Delete`: the twin as it was last."""
        return self._changed("Twin.Delete", twin.id, self._whole(twin))

    def twin_updated(self, twin: Twin, patch: Iterable[Operation]) -> Notification:
        """Return `Twin.Update`: the model and the patch."""
        operations = list(patch)
        self._touch(twin, (operation.path.strip("/") for operation in operations))
        return self._changed("Twin.Update", twin.id, _patched(twin.model, operations))

    def relationship_created(self, edge: Relationship) -> Notification:
        """Return `Relationship.Create`: the relationship."""
        return self._changed("Relationship.Create", _path(edge), self._edge(edge))

    def relationship_deleted(self, edge: Relationship) -> Notification:
        """Return `Relationship.Delete`: the relationship as it was last."""
        return self._changed("Relationship.Delete", _path(edge), self._edge(edge))

    def relationship_updated(
        self, edge: Relationship, patch: Iterable[Operation]
    ) -> Notification:
        """Return `Relationship.Update`: the model of the source and the patch."""
        data = _patched(edge.source.model, list(patch))
        return self._changed("Relationship.Update", _path(edge), data)

    def telemetry(
        self,
        twin: Twin,
        payload: Mapping[str, Json],
        *,
        message_id: str,
        component: Component | None = None,
    ) -> Notification:
        """Return telemetry: `message_id` is the caller's and unique for this twin only."""
        attributes = {
            "id": message_id,
            "source": f"{self._host}/digitaltwins/{twin.id}",
            "specversion": "1.0",
            "type": TELEMETRY,
            **({"subject": component.name} if component else {}),
            "dataschema": component.model if component else twin.model,
            "traceparent": self._traceparent(),
        }
        return Notification(attributes, encode(payload), JSON_PATCH)

    def _changed(self, kind: str, subject: str, data: Mapping[str, Json]) -> Notification:
        attributes = {
            "id": self._guid(),
            "source": self._host,
            "specversion": "1.0",
            "type": f"Microsoft.DigitalTwins.{kind}",
            "time": self._clock.text(),
            "subject": subject,
            "traceparent": self._traceparent(),
        }
        return Notification(attributes, encode(data), JSON)

    def _whole(self, twin: Twin) -> dict[str, Json]:
        written: dict[str, Json] = {
            name: {"lastUpdateTime": twin.written[name]} for name in twin.properties
        }
        part = twin.component
        component: dict[str, Json] = (
            {part.name: {**part.properties, "$metadata": {}}} if part else {}
        )
        return {
            "$dtId": twin.id,
            "$etag": self._etag(),
            **twin.properties,
            **component,
            "$metadata": {"$model": twin.model, **written},
        }

    def _edge(self, edge: Relationship) -> dict[str, Json]:
        source: dict[str, Json] = {"$sourceId": edge.source.id}
        return {
            "$relationshipId": edge.id,
            "$etag": self._etag(),
            "$relationshipName": edge.name,
            **(source if self._random.getrandbits(1) else {}),
            "$targetId": edge.target.id,
            **edge.properties,
        }

    def _touch(self, twin: Twin, names: Iterable[str]) -> None:
        """Note when properties were written: a little before the event says so."""
        now = self._clock.text(earlier=_WRITE_TAKES)
        twin.written.update(dict.fromkeys(names, now))

    def _guid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _etag(self) -> str:
        return f'W/"{self._guid()}"'

    def _traceparent(self) -> str:
        trace = self._random.getrandbits(128) or 1
        span = self._random.getrandbits(64) or 1
        return f"00-{trace:032x}-{span:016x}-01"


def _patched(model: str, patch: list[Operation]) -> dict[str, Json]:
    return {"modelId": model, "patch": [operation.as_json() for operation in patch]}


def _path(edge: Relationship) -> str:
    return f"{edge.source.id}/relationships/{edge.id}"
