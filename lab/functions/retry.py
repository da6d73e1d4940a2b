"""A function's retry policy, as the host applies it around every invocation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lab.functions.messages import Answer, RetryState
from lab.functions.metadata import FOREVER, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    type Attempt = Callable[[RetryState | None], Awaitable[Answer]]
    type OnRetry = Callable[[RetryState, timedelta], None]


async def run(
    policy: RetryPolicy | None, attempt: Attempt, on_retry: OnRetry, *, time_scale: float = 1.0
) -> Answer:
    """Invoke until the function succeeds or the policy ends; return the last answer.

    With a policy every attempt knows it, also the first, whose count is 0
    (FunctionExecutorExtensions in Azure/azure-webjobs-sdk).
    """
    if policy is None:
        return await attempt(None)
    state = RetryState(0, policy.maximum)
    while True:
        answer = await attempt(state)
        if answer.succeeded or state.count == policy.maximum != FOREVER:
            return answer
        state = RetryState(state.count + 1, policy.maximum, answer.error)
        delay = policy.delay(state.count)
        on_retry(state, delay)
        await asyncio.sleep(delay.total_seconds() * time_scale)
