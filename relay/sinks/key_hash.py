"""Where Event Hubs places a partition key, so that batches can be made per partition.

Bob Jenkins' lookup3 in its two-result form (http://burtleburtle.net/bob/c/lookup3.c, public
domain) over the key's UTF-8 bytes with both seeds 0; the low 16 bits of both results combined
by exclusive or, read as a signed number, name the partition. The .NET SDK
(Azure/azure-sdk-for-net, `PartitionResolver.cs`) calls the same a direct port of the service's
code; azure-eventhub for Python 5.15 places differently where that number is negative.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0xDEADBEEF
_BLOCK: Final = 12
_SIGN: Final = 0x8000


@lru_cache(maxsize=65536)
def partition(key: str, partitions: int) -> int:
    """Return the index of the partition, of so many, on which the service places the key."""
    return abs(_signed_hash(key)) % partitions


def _signed_hash(key: str) -> int:
    c, b = _lookup3(key.encode())
    low = (c ^ b) & 0xFFFF
    return low - 0x10000 if low & _SIGN else low


def _lookup3(data: bytes) -> tuple[int, int]:
    a = b = c = (_SEED + len(data)) & _MASK
    if not data:
        return c, b
    whole = (len(data) - 1) // _BLOCK * _BLOCK
    for x, y, z in struct.iter_unpack("<3I", data[:whole]):
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    x, y, z = struct.unpack("<3I", data[whole:].ljust(_BLOCK, b"\0"))
    return _final((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a = (a - c) & _MASK ^ _rotate(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int]:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = (c ^ b) - _rotate(b, bits) & _MASK
        a, b, c = b, c, a
    # Seven steps leave the three names one place further on than six would.
    return b, a
