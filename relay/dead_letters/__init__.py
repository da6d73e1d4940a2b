"""What could not be delivered, kept with its reason and read back to be redriven."""

from __future__ import annotations

from relay.dead_letters.letters import (
    MALFORMED_ROUTE,
    DeadLetter,
    DeadLetters,
    Fate,
    Parcel,
    blob_name,
    held_name,
)

__all__ = [
    "MALFORMED_ROUTE",
    "DeadLetter",
    "DeadLetters",
    "Fate",
    "Parcel",
    "blob_name",
    "held_name",
]
