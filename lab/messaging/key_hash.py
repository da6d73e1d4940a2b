"""Where Event Hubs puts an event that has a partition key.

Bob Jenkins' lookup3 (`hashlittle2`, both seeds 0) over the key's UTF-8 bytes; the low 16 bits
of `c ^ b`, signed; their absolute value's remainder. The .NET and Java SDKs name their code a
port of the service's.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0xDEADBEEF


def partition_for(key: str, partitions: int) -> int:
    """Return the index of the partition for a key; an empty key goes to the first."""
    return abs(hash16(key)) % partitions


def hash16(key: str) -> int:
    """Return the signed 16-bit hash of a key."""
    c, b = _lookup3(key.encode())
    low = (c ^ b) & 0xFFFF
    return low - 0x10000 if low & 0x8000 else low


def _lookup3(data: bytes) -> tuple[int, int]:
    a = b = c = (_SEED + len(data)) & _MASK
    if not data:
        return c, b
    tail = max(0, (len(data) - 1) // 12) * 12
    for start in range(0, tail, 12):
        a, b, c = _mixed(*_added(data[start : start + 12], a, b, c))
    return _finished(*_added(data[tail:].ljust(12, b"\x00"), a, b, c))


def _added(block: bytes, a: int, b: int, c: int) -> tuple[int, int, int]:
    words = (int.from_bytes(block[index : index + 4], "little") for index in (0, 4, 8))
    x, y, z = words
    return (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    """Mix three words reversibly."""
    for bits in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _MASK) ^ _rotated(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _finished(a: int, b: int, c: int) -> tuple[int, int]:
    """Mix three words for good; returns c and b."""
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, bits)) & _MASK
        a, b, c = b, c, a
    return b, a
