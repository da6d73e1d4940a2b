"""How bodies pass the proxy for pages: whole and bounded, or piece by piece as they come.

The app's programming model says which: docs/decisions/0014-bodies-are-whole.md.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp

from relay.operations.answers import Answer, BrokenOffError, Flow, RefusedError, problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PATIENCE: Final = 100.0
"""Seconds in which an answer is whole; where it flows, in which its next piece comes."""

_LARGEST: Final = 32 * 1024 * 1024
_ROOM: Final = 64 * 1024 * 1024
_SOON: Final = 2
"""Seconds after which there may be room again: an answer takes no longer to be handed over."""
_REFUSAL: Final = 64 * 1024
"""Bytes of a refusal that are read: it is an error of a few hundred."""


class Sent(Protocol):
    """What is asked of a request that brings a body."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in lower case."""

    def get_body(self) -> bytes:
        """Return the body, where bodies are whole."""

    def pieces(self) -> AsyncIterator[bytes] | None:
        """Return the body as it comes, where bodies flow; `None` if there is none."""


class Bodies(Protocol):
    """One of the two ways.

    Attributes:
        sent: request headers that pass besides the documented ones.
        returned: headers of an answer that pass besides the documented ones.
        decodes: whether an answer's encoding ends here.
        timeout: how long the instance may take.
    """

    sent: tuple[str, ...]
    returned: tuple[str, ...]
    decodes: bool
    timeout: aiohttp.ClientTimeout

    def of(self, request: Sent) -> bytes | AsyncIterator[bytes] | None:
        """Return what is sent on.

        Raises:
            RefusedError: it is too large, or the host swallowed it.
        """

    async def refusal(self, reply: aiohttp.ClientResponse) -> bytes:
        """Read the small body of a refusal.

        Raises:
            RefusedError: there is no room for it.
        """

    async def answer(self, reply: aiohttp.ClientResponse, headers: Mapping[str, str]) -> Answer:
        """Return what the caller is answered.

        Raises:
            RefusedError: there is no room for it.
        """


class Whole:
    """Bodies that are read as they come, and are handed over when there is all of them.

    Args:
        largest: the bytes that the body of a request or of an answer may have.
        room: the bytes that all answers may have together that are being read.
    """

    sent: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    decodes = True
    timeout = aiohttp.ClientTimeout(total=PATIENCE)

    def __init__(self, largest: int = _LARGEST, room: int = _ROOM) -> None:
        self._largest = largest
        self._room = room

    def of(self, request: Sent) -> bytes | None:
        """Return a request's body."""
        body = request.get_body()
        if "transfer-encoding" in request.headers and not body:
            # The Functions host hands over a body only where it knows its length.
            detail = "chunked bodies don't get here: send a Content-Length"
            raise RefusedError(problem(411, detail))
        if len(body) > self._largest:
            detail = f"the body has more than {self._largest} bytes"
            raise RefusedError(problem(413, detail))
        return body or None

    async def refusal(self, reply: aiohttp.ClientResponse) -> bytes:
        """Read it like any other."""
        return await self._read(reply)

    async def answer(self, reply: aiohttp.ClientResponse, headers: Mapping[str, str]) -> Answer:
        """Return an answer when there is all of it."""
        return Answer(reply.status, headers, await self._read(reply))

    async def _read(self, reply: aiohttp.ClientResponse) -> bytes:
        found = bytearray()
        try:
            async for piece in reply.content.iter_any():
                found += piece
                self._room -= len(piece)
                if len(found) > self._largest:
                    raise RefusedError(_too_large(self._largest))
                if self._room < 0:
                    raise RefusedError(_BUSY)
            return bytes(found)
        finally:
            self._room += len(found)


def _too_large(largest: int) -> Answer:
    detail = (
        f"the answer has more than {largest} bytes, which are all that is passed at once: ask "
        "for smaller pages by the header max-items-per-page"
    )
    return problem(502, detail)


_BUSY: Final = problem(
    503,
    "too many large answers are being passed at this moment: ask again, or for smaller pages "
    "by the header max-items-per-page",
    {"Retry-After": str(_SOON)},
)


class Flowing:
    """Bodies that are passed as they come, in the encoding and the length that they have.

    Args:
        patience: seconds in which the instance sends the next piece, the first one included.
    """

    sent: tuple[str, ...] = ("accept-encoding", "content-length")
    returned: tuple[str, ...] = ("content-encoding", "content-length")
    decodes = False

    def __init__(self, patience: float = PATIENCE) -> None:
        self.timeout = aiohttp.ClientTimeout(connect=patience, sock_read=patience)

    def of(self, request: Sent) -> AsyncIterator[bytes] | None:
        """Return a request's body as it comes."""
        return request.pieces()

    async def refusal(self, reply: aiohttp.ClientResponse) -> bytes:
        """Read as much as an error has, and decode it, since it is written anew."""
        found = bytearray()
        async for piece in reply.content.iter_any():
            found += piece
            if len(found) > _REFUSAL:
                break
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(found, _REFUSAL)
        except zlib.error:
            return bytes(found)

    async def answer(self, reply: aiohttp.ClientResponse, headers: Mapping[str, str]) -> Answer:
        """Return an answer whose body is still on its way."""
        return Flow(reply.status, headers, pieces=_pieces(reply), close=reply.close)


async def _pieces(reply: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in reply.content.iter_any():
            yield piece
    except (aiohttp.ClientError, OSError) as error:
        raise BrokenOffError(str(error)) from error
