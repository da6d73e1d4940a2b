"""What a function is invoked with, and how .NET's texts become typed data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lab.functions.messages import Data


@dataclass(frozen=True, slots=True)
class TriggerData:
    """What a function is invoked with."""

    input: Data
    metadata: Mapping[str, Data]


def filled(texts: Sequence[str | None]) -> Sequence[str]:
    """Drop empty texts, as the host does for a worker that does not ask for them."""
    return [text for text in texts if text]


def text(body: bytes) -> str:
    """Return a body as the extensions read it for a function that wants a text."""
    return body.decode(errors="replace")


def unspecified(moment: datetime) -> datetime:
    """Return a `DateTimeOffset.DateTime`: in UTC, its zone stripped."""
    return moment.astimezone(UTC).replace(tzinfo=None)
