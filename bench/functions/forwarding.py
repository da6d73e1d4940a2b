"""What the functions that users would write instead have in common, as a user would write it.

They forward bodies and application properties and nothing else: no filter, no dead letters, no
message ids. Where to comes from the settings `DESTINATION_HOST`, `DESTINATION` and `SESSION`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import azure.functions as func

HOST = os.environ.get("DESTINATION_HOST", "")
ENTITY = os.environ.get("DESTINATION", "")
OPTIONS = {"connection_verify": os.environ.get("RELAY_CA_FILE")}
TRIGGER: dict[str, Any] = {
    "arg_name": "events",
    "event_hub_name": "%INGRESS_EVENT_HUB%",
    "connection": "INGRESS",
    "cardinality": "many",
    "data_type": "binary",
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event, and the twin that it is about."""

    body: bytes
    properties: dict[str, Any]
    twin: str


def read(events: Sequence[func.EventHubEvent]) -> Iterator[Incoming]:
    """Pair bodies with their properties."""
    rows = zip(events, events[0].metadata["PropertiesArray"], strict=True)
    for event, properties in rows:
        yield Incoming(event.get_body(), properties, properties["cloudEvents:subject"])
