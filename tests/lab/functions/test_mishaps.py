"""What befalls a worker from inside."""

from __future__ import annotations

import json
import time

import pytest

from lab.functions.mishaps import EXIT, EXIT_CODE, SEGFAULT
from lab.functions_host import FunctionsHost
from tests.lab.functions.hosting import running

HOUR = 3600.0


@pytest.mark.parametrize(
    ("how", "epitaph"),
    [(EXIT, f"ended with code {EXIT_CODE}"), (SEGFAULT, "was ended by SIGSEGV")],
)
async def test_a_worker_that_crashes_is_replaced(how: str, epitaph: str) -> None:
    async with running("clock") as (host, logs):
        host.crash(how)
        await logs.until(lambda: any(epitaph in text for text in logs.messages("Host")))

        assert abs(await seconds_off(host)) < HOUR / 2
        assert host.counts["died"] == 1


async def test_a_wall_clock_leaps_ahead_and_back_and_no_other_clock_does() -> None:
    async with running("clock") as (host, _):
        for off in (5 * HOUR, -5 * HOUR, 0.0):
            before = await clocks(host)
            host.set_clock(off)
            while abs(await seconds_off(host) - off) > HOUR / 2:
                pass
            after = await clocks(host)

            assert after["time"] == pytest.approx(after["datetime"], abs=5)
            assert 0 <= after["monotonic"] - before["monotonic"] < HOUR / 2
            assert 0 <= after["loop"] - before["loop"] < HOUR / 2


async def test_a_new_worker_has_the_clock_of_the_one_before() -> None:
    async with running("clock") as (host, logs):
        host.set_clock(5 * HOUR)
        host.crash()
        await logs.until(lambda: host.counts["died"] == 1)
        while await seconds_off(host) < HOUR:
            pass

        assert host.counts["died"] == 1


async def clocks(host: FunctionsHost) -> dict[str, float]:
    answer = await host.request("GET", "/api/clocks")
    told: dict[str, float] = json.loads(answer.body)
    return told


async def seconds_off(host: FunctionsHost) -> float:
    return (await clocks(host))["time"] - time.time()
