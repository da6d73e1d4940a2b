"""Fills the SDKs' batches with ready bytes, past their own way of writing messages.

Only the filling changes: what a batch then holds, its SDK sends as ever, by its own links and
frames. Before the first batch is filled so, it is seen whether the SDK makes the same bytes of
it as of one that it filled itself
([why](../../docs/decisions/0018-batches-filled-directly.md)).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self

from relay.event import Event
from relay.sinks.batches import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azure.eventhub import EventDataBatch
    from azure.servicebus import ServiceBusMessageBatch

    type Batch = EventDataBatch | ServiceBusMessageBatch

_SHORT_OVERHEAD: Final = 5
_LONG_OVERHEAD: Final = 8
"""Bytes by which the SDKs count a data section around a message, by the length of its size."""
_SHORT: Final = b"\x00\x53\x75\xa0"
_LONG: Final = b"\x00\x53\x75\xb0"
"""What a data section begins with, before its size."""
_ONE_BYTE: Final = 256
_BODIES: Final = 5
"""Where a message of the SDKs, a tuple of its sections, has its data."""
_REMEMBERED: Final = frozenset({"_internal_events", "_messages", "_message"})
"""What a batch keeps of its messages: for tracing, and what its bytes are made of."""
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


def fill_with(
    batch: Batch,
    write: Callable[[Event], bytes],
    events: Sequence[Event],
    *,
    held: int = 0,
) -> int:
    """Fill a batch with ready messages; return how many it took, see `fill`."""
    inside: Any = batch
    most, size = batch.max_size_in_bytes, inside._size  # noqa: SLF001 - see above
    sections: list[bytes] = []

    def add(message: bytes) -> None:
        nonlocal size
        length = len(message)
        grown = size + length + (_SHORT_OVERHEAD if length < _ONE_BYTE else _LONG_OVERHEAD)
        if grown > most:
            raise ValueError(f"a batch of {most} bytes has no room for {length} more")
        sections.append(_section(length))
        sections.append(message)
        size = grown

    taken = fill(add, write, events, held=held)
    if sections:
        inside._size = size  # noqa: SLF001
        inside._count += taken  # noqa: SLF001
        inside._message[_BODIES].append(_Sections.of(sections))  # noqa: SLF001
    return taken


@lru_cache(maxsize=4096)
def _section(length: int) -> bytes:
    """Return what stands before a message of so many bytes."""
    if length < _ONE_BYTE:
        return _SHORT + length.to_bytes(1)
    return _LONG + length.to_bytes(4)


class _Sections(bytes):
    """Data sections in a row, all but the beginning of the first, which the SDK writes.

    To the SDK it is the data of one section, as long as the first message: it writes the
    beginning of a section of that length, and then all that is here. So it takes a step for
    each batch and not for each message.
    """

    _first: int

    @classmethod
    def of(cls, sections: Sequence[bytes]) -> Self:
        """Put sections in a row: beginnings and messages in turn."""
        made = cls(b"".join(sections[1:]))
        made._first = len(sections[1])
        return made

    def __len__(self) -> int:
        return self._first


def is_alike[Made: Batch, Placed](
    package: str,
    batch: Callable[[int], Made],
    publicly: Callable[[Made, Placed, Sequence[Event]], int],
    directly: Callable[[Made, Placed, Sequence[Event]], int],
    placed: Placed,
) -> bool:
    """Whether batches end alike by both ways, those that get full too.

    Args:
        package: of the SDK.
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
        return inside | {
            "taken": taken,
            "length": len(filled),
            "sent": as_sent(package, filled),
        }

    try:
        return all(state(room, publicly) == state(room, directly) for room in _ROOMS)
    except Exception:  # noqa: BLE001 - whatever it is, the public way is open
        return False


def as_sent(package: str, batch: Batch) -> bytes:
    """Return what the SDK puts into frames when it sends a batch."""
    sent = bytearray()
    encoding = import_module(f"{package}._pyamqp._encode")
    encoding.encode_payload(sent, batch._message)  # noqa: SLF001 - see above
    return bytes(sent)
