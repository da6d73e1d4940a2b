"""Fills the SDKs' batches with ready bytes, past their own way of writing messages.

Only the filling changes: what a batch then holds, its SDK sends as ever, by its own links and
frames. Before the first batch is filled so, it is seen whether that is what the SDK itself does
([why](../../docs/decisions/0018-batches-filled-directly.md)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from relay.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azure.eventhub import EventDataBatch
    from azure.servicebus import ServiceBusMessageBatch

    type Batch = EventDataBatch | ServiceBusMessageBatch

_OVERHEAD: Final = (5, 8)
"""Bytes of a data section around a message: its size has one byte, or four."""
_ONE_BYTE: Final = 256
_BODIES: Final = 5
"""Where a message of the SDKs, a tuple of its sections, has its data."""
_REMEMBERED: Final = frozenset({"_internal_events", "_messages"})
"""What a batch keeps of its messages besides their bytes, for tracing."""
_ROOMS: Final = (100_000, 1_500)
"""Sizes of batches that take all samples, and not all."""
_SAMPLES: Final = tuple(
    Event(
        {
            "specversion": "1.0",
            "id": "5d4c" * length,
            "source": "plant-a.api.weu.digitaltwins.azure.net",
            "type": "Microsoft.DigitalTwins.Twin.Update",
            "subject": "Pumpe-S\u00fcd",
            "number": length,
            "flag": True,
            "datacontenttype": "application/json",
        },
        b"." * length,
    )
    for length in (1, 40, 300)
)


def adding(batch: Batch) -> Callable[[bytes], None]:
    """Return what adds a ready message to a batch; it raises `ValueError` if that is full."""
    inside: Any = batch
    bodies, most = inside._message[_BODIES], batch.max_size_in_bytes  # noqa: SLF001 - see above

    def add(message: bytes) -> None:
        size = inside._size + len(message) + _OVERHEAD[len(message) >= _ONE_BYTE]  # noqa: SLF001
        if size > most:
            raise ValueError(f"a batch of {most} bytes has no room for {len(message)} more")
        bodies.append(message)
        inside._size = size  # noqa: SLF001
        inside._count += 1  # noqa: SLF001

    return add


def is_alike[Made: Batch, Placed](
    batch: Callable[[int], Made],
    publicly: Callable[[Made, Placed, Sequence[Event]], int],
    directly: Callable[[Made, Placed, Sequence[Event]], int],
    placed: Placed,
) -> bool:
    """Whether batches end in the same state by both ways, those that get full too.

    Args:
        batch: makes one of so many bytes.
        publicly: fills it as the SDK intends, and says how many events it took.
        directly: does the same with ready bytes.
        placed: what both are told of where the events belong.
    """

    def state(
        room: int, fill: Callable[[Made, Placed, Sequence[Event]], int]
    ) -> dict[str, Any]:
        filled = batch(room)
        taken = fill(filled, placed, _SAMPLES)
        inside = {n: value for n, value in vars(filled).items() if n not in _REMEMBERED}
        return inside | {"taken": taken, "length": len(filled)}

    try:
        return all(state(room, publicly) == state(room, directly) for room in _ROOMS)
    except Exception:  # noqa: BLE001 - whatever it is, the public way is open
        return False
