"""An event loop whose clock leaps to the next timer, so that waiting costs a test nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

A_YEAR = 365 * 86_400.0
"""Seconds; what takes so long hangs."""


def in_virtual_time[**Arguments](
    test: Callable[Arguments, Coroutine[Any, Any, None]],
) -> Callable[Arguments, None]:
    """Run an asynchronous test to its end on a loop of its own, in virtual time."""

    @wraps(test)
    def running(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return running


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Does no waiting; for tests without sockets, processes and threads."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


class _LeapingSelector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("all tasks wait for one another: nothing can ever happen")
        self.now += timeout
        return super().select(0)
