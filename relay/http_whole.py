"""HTTP functions whose bodies are whole: the programming model that every app has by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import azure.functions as func

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from relay.operations.answers import Answer

METHODS: Final = None
"""Every one: a wrong one is told so by whoever is asked."""


def function(
    handle: Callable[[Any], Awaitable[Answer]], _largest: int | None
) -> Callable[[Any], Coroutine[Any, Any, func.HttpResponse]]:
    """Return an HTTP function of this model; the host has read the body before anybody asks."""

    async def answering(req: func.HttpRequest) -> func.HttpResponse:
        """Answer a request."""
        return _response(await handle(req))

    return answering


def _response(answer: Answer) -> func.HttpResponse:
    return func.HttpResponse(
        answer.body, status_code=answer.status, headers=dict(answer.headers)
    )
