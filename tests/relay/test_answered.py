from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine

import pytest

from relay.app import answered
from relay.delivery import UnsettledError


async def test_a_function_that_ends_well_ends_well() -> None:
    heard: list[tuple[int, str]] = []

    @answered
    async def function(number: int, *, word: str) -> None:
        heard.append((number, word))

    await function(1, word="one")

    assert heard == [(1, "one")]


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError("stopped"),
        SystemExit(3),
        BaseExceptionGroup("two", [SystemExit()]),
    ],
)
async def test_what_the_worker_would_not_answer_becomes_an_error_that_it_does(
    error: BaseException,
) -> None:
    with pytest.raises(RuntimeError, match="the invocation was ended by") as caught:
        await raising(error)()

    assert caught.value.__cause__ is error
    assert repr(error) in str(caught.value)


@pytest.mark.parametrize(
    "error", [UnsettledError("1 of 2"), ValueError("no"), KeyboardInterrupt()]
)
async def test_what_the_worker_answers_by_itself_is_left_alone(error: BaseException) -> None:
    function = raising(error)

    with pytest.raises(type(error)) as caught:
        await function()

    assert caught.value is error


async def test_a_cancelled_invocation_is_answered() -> None:
    begun = asyncio.Event()

    @answered
    async def function() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(function())
    await begun.wait()
    task.cancel()

    with pytest.raises(RuntimeError, match="CancelledError"):
        await task


def test_the_worker_still_sees_a_coroutine_function_with_its_name_and_arguments() -> None:
    @answered
    async def event_hub(events: list[int]) -> None:
        """Settle."""

    assert inspect.iscoroutinefunction(event_hub)
    assert (event_hub.__name__, event_hub.__doc__) == ("event_hub", "Settle.")
    assert list(inspect.signature(event_hub).parameters) == ["events"]


def raising(error: BaseException) -> Callable[[], Coroutine[None, None, None]]:
    @answered
    async def function() -> None:
        raise error

    return function
