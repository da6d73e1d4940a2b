"""HTTP functions whose bodies come and go piece by piece: the worker's *HTTP v2*.

To import this module turns the whole process over: the worker then takes no HTTP function of
the other model. What that costs and wins: docs/decisions/0014-bodies-are-whole.md.
"""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from relay.operations.answers import Answer, BrokenOffError, Flow, problem
from relay.settings import Problem, SettingsError
from relay.settings.operations import STREAMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

PACKAGE: Final = "azurefunctions-extensions-http-fastapi"
TRIED: Final = "1.0.1"
"""The version of the package that is tested; only others of its minor version are taken."""
IDLE: Final = 100.0
"""Seconds in which a caller sends or takes the next piece of a body."""


def problem_of(found: str) -> Problem | None:
    """Say what is wrong with the package in a version, `""` where it is missing."""
    if found.rpartition(".")[0] == TRIED.rpartition(".")[0]:
        return None
    what = f"version {found} of {PACKAGE} is not tried" if found else f"{PACKAGE} is missing"
    remedy = f"Write {PACKAGE}=={TRIED} into requirements.txt and deploy anew, or unset this"
    return Problem(STREAMS, what, remedy)


def _check_package() -> None:
    """Look which version is there of the package that brings HTTP v2.

    Raises:
        SettingsError: none, or one that is not tried.
    """
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        found = ""
    if wrong := problem_of(found):
        raise SettingsError([wrong])


_check_package()

# The worker reads annotations while the app runs.
from azurefunctions.extensions.http.fastapi import (  # noqa: E402
    Request,
    Response,
    StreamingResponse,
)
from starlette.convertors import PathConvertor, register_url_convertor  # noqa: E402

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""Those that the package's server takes. It would answer others by itself, and an invocation
would wait for its request until `functionTimeout`, when the host ends the worker."""


class _AnyPath(PathConvertor):
    """A line break in a path is part of it: the server's own idea of a path ends there."""

    regex = "(?s:.*)"


register_url_convertor("path", _AnyPath())  # what has no path it would answer by itself too

# The server's log of requests would show what callers write into queries, keys among it. A
# filter stays when the server sets up its logging; a level would not.
logging.getLogger("uvicorn.access").addFilter(lambda _: False)


def function(
    handle: Callable[[Any], Awaitable[Answer]], largest: int | None
) -> Callable[[Any], Coroutine[Any, Any, Response]]:
    """Return an HTTP function of this model.

    Args:
        handle: answers requests, as in the other model.
        largest: the bytes of a body that `handle` may want; of a larger one it gets one more,
            and nothing else is read. `None` for who takes bodies as they come: he is let go of
            when his caller is gone.
    """

    async def answering(req: Request) -> Response:
        """Answer a request."""
        return await _answer(Caller(req), handle, largest)

    return answering


async def _answer(
    caller: Caller, handle: Callable[[Caller], Awaitable[Answer]], largest: int | None
) -> Response:
    if largest is None:
        answer = await _unless_gone(caller, handle)
    else:
        answer = await handle(caller) if await caller.read(largest) else _GONE
    if isinstance(answer, Flow):
        return _Flowing(answer, caller)
    return Response(answer.body, answer.status, dict(answer.headers))


_GONE: Final = problem(408, "the request's body broke off, or nothing of it came for too long")


async def _unless_gone(caller: Caller, handle: Callable[[Caller], Awaitable[Answer]]) -> Answer:
    answering = asyncio.ensure_future(handle(caller))
    leaving = asyncio.create_task(caller.gone())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else _GONE
    finally:
        await _ended(answering, leaving)


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Caller:
    """A request, as the handlers of the other model know one, whose body may still be coming.

    Attributes:
        method: such as `POST`.
        url: path and query as the caller wrote them.
        headers: by name in lower case, several of one name joined as the host joins them.
    """

    def __init__(self, request: Request) -> None:
        self.method: str = request.method
        path, query = request.scope["raw_path"], request.scope["query_string"]
        self.url = (path + b"?" + query if query else path).decode("latin-1")
        found = request.headers
        self.headers = {name: ",".join(found.getlist(name)) for name in found}
        # The server has put a chunked body together, so that to handlers it is like any other.
        is_chunked = self.headers.pop("transfer-encoding", None) is not None
        self._has_body = is_chunked or self.headers.get("content-length", "0").strip("0") != ""
        self._receive = request.receive
        self._body = b""
        self._is_gone = False
        self._has_sent = asyncio.Event()
        if not self._has_body:
            self._has_sent.set()

    def get_body(self) -> bytes:
        """Return what has been read."""
        return self._body

    async def read(self, largest: int) -> bool:
        """Read the body, or one byte more than is wanted; say whether the caller stayed."""
        found = bytearray()
        while not self._has_sent.is_set() and len(found) <= largest:
            found += await self._piece()
        self._body = bytes(found[: largest + 1])
        return not self._is_gone

    def pieces(self) -> AsyncIterator[bytes] | None:
        """Return the body as it comes; `None` if there is none.

        It neither ends nor goes on where the caller goes first: `gone` tells of it.
        """
        return self._pieces() if self._has_body else None

    async def _pieces(self) -> AsyncIterator[bytes]:
        try:
            while not self._has_sent.is_set():
                piece = await self._piece()
                if self._is_gone:
                    await asyncio.Event().wait()
                yield piece
        finally:
            self._has_sent.set()  # what nobody wants any more is as good as sent

    async def _piece(self) -> bytes:
        try:
            async with asyncio.timeout(IDLE):
                message = await self._receive()
        except TimeoutError:
            message = {"type": "http.disconnect"}
        self._is_gone = message["type"] == "http.disconnect"
        if self._is_gone or not message.get("more_body", False):
            self._has_sent.set()
        return bytes(message.get("body", b""))

    async def gone(self) -> None:
        """Return when the caller is gone, or has sent nothing for too long."""
        await self._has_sent.wait()
        while not self._is_gone:
            self._is_gone = (await self._receive())["type"] == "http.disconnect"


class _Flowing(StreamingResponse):  # type: ignore[misc]
    """An answer that is passed as it comes, no faster than the caller takes it.

    One that breaks off is never ended, so that the server cuts the connection: half an answer
    does not look like a whole one.
    """

    def __init__(self, answer: Flow, caller: Caller) -> None:
        super().__init__(answer.pieces, answer.status, dict(answer.headers))
        self._answer = answer
        self._caller = caller

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        flowing = asyncio.create_task(self._flow(send))
        leaving = asyncio.create_task(self._caller.gone())
        try:
            await asyncio.wait({flowing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if flowing.done():
                flowing.result()
        finally:
            await _ended(flowing, leaving)
            self._answer.close()

    async def _flow(self, send: Any) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        try:
            async for piece in self._answer.pieces:
                async with asyncio.timeout(IDLE):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (BrokenOffError, TimeoutError):
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
