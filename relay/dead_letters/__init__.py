"""What could not be delivered, kept with its reason and read back to be redriven."""

from __future__ import annotations

from relay.dead_letters.backlog import Backlog
from relay.dead_letters.letters import DeadLetter, DeadLetters, Kept, Listed, Parcel
from relay.dead_letters.names import (
    MALFORMED_ROUTE,
    Fate,
    Shelf,
    blob_name,
    held_name,
)

__all__ = [
    "MALFORMED_ROUTE",
    "Backlog",
    "DeadLetter",
    "DeadLetters",
    "Fate",
    "Kept",
    "Listed",
    "Parcel",
    "Shelf",
    "blob_name",
    "held_name",
]
