"""Events that are themselves at fault."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from azure.eventhub import EventData, EventDataBatch

from lab.faults.plan import QUEUE_BYTES, Kind
from lab.twins import POISON, Message

if TYPE_CHECKING:
    from lab.faults.case import Scene

TOO_LARGE: Final = 3
"""How many events are sent that the destination does not take."""
POISON_ROUNDS: Final = 3
POISONED: Final = POISON_ROUNDS * len(POISON)
"""How many messages are sent that are no events."""
_LINK_BYTES: Final = 1024 * 1024
_BIG: Final = {
    "cloudEvents:specversion": "1.0",
    "cloudEvents:source": "plant-a.api.weu.digitaltwins.azure.net",
    "cloudEvents:type": "Microsoft.DigitalTwins.Twin.Update",
    "cloudEvents:subject": "a-twin-of-many-words",
}


async def send_poison(scene: Scene) -> None:
    """Put messages of every kind that are no events among those that flow."""
    for _ in range(POISON_ROUNDS):
        await scene.send(list(POISON.values()))
        await asyncio.sleep(0.2)


async def send_too_large(scene: Scene) -> None:
    """Put events that only the ingress takes among those that flow."""
    for number in range(TOO_LARGE):
        await scene.send([_too_large(scene.target.kind, number)])
        await asyncio.sleep(0.2)


def _too_large(kind: Kind, number: int) -> Message:
    """Make an event that fits the ingress and not the destination.

    A queue of the standard tier takes less; what just fits a hub no longer does with the
    message id that the relay gives it.
    """
    properties = _BIG | {"cloudEvents:id": f"an-event-without-end-{number:06}"}
    size = QUEUE_BYTES + 1 if kind is Kind.QUEUE else _largest(properties)
    return Message(properties, b'"' + b"x" * (size - 2) + b'"', "application/json")


def _largest(properties: dict[str, str]) -> int:
    """Return how many bytes of data just fit the largest message, with these properties."""
    fits, fails = 0, _LINK_BYTES
    while fails - fits > 1:
        size = (fits + fails) // 2
        data = EventData(b"x" * size)
        data.properties.update(properties)
        data.content_type = "application/json"
        try:
            EventDataBatch(_LINK_BYTES).add(data)
        except ValueError:
            fails = size
        else:
            fits = size
    return fits
