"""Messages on a stream: four bytes of length, big-endian, then the message."""

from __future__ import annotations

import struct
from asyncio import IncompleteReadError
from typing import TYPE_CHECKING, Any, Final

from lab.functions.protocol import protos

if TYPE_CHECKING:
    from asyncio import StreamReader

_LENGTH: Final = struct.Struct(">I")


def frame(**content: Any) -> bytes:
    """Return the bytes of one `StreamingMessage`."""
    data: bytes = protos.StreamingMessage(**content).SerializeToString()
    return _LENGTH.pack(len(data)) + data


async def read(reader: StreamReader) -> Any | None:
    """Return the next `StreamingMessage`, `None` when the other side is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return protos.StreamingMessage.FromString(await reader.readexactly(length))
    except (IncompleteReadError, ConnectionError):
        return None
