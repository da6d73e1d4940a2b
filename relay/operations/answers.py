"""What a request is answered; what went wrong as a problem (RFC 9457)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Answer):
    """An answer whose body is still on its way; `body` stays empty.

    Attributes:
        pieces: the body as it comes; raises `BrokenOffError` where it ends too early.
        close: lets go of where they come from, whether or not all of them came.
    """

    pieces: AsyncIterator[bytes]
    close: Callable[[], None]


class BrokenOffError(Exception):
    """A body ended too early, or nothing of it came for too long."""


class RefusedError(Exception):
    """A request that goes no further, and what it is answered."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def in_json(
    value: Mapping[str, Any], headers: Mapping[str, str] | None = None, status: int = 200
) -> Answer:
    """Return an object as JSON."""
    body = json.dumps(value).encode()
    return Answer(status, {**(headers or {}), "Content-Type": "application/json"}, body)


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Answer:
    """Return a problem; its type is `about:blank`, hence its title that of the status."""
    written = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body = json.dumps({**written, **members}).encode()
    return Answer(status, {**(headers or {}), "Content-Type": PROBLEM}, body)
