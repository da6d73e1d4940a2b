"""The Event Hubs trigger's decisions, with the real worker and a hub in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from lab.functions_host import AppFailed
from tests.lab.functions.hosting import Logs, MemorySource, an_event, running

SETTINGS = {"HUB": "hub", "GROUP": "$Default"}


def bodies(told: Mapping[str, object]) -> list[str]:
    return [event["body"] for event in told["events"]]


async def test_a_partition_is_delivered_in_order_in_batches_and_checkpointed() -> None:
    source = MemorySource.of(p0=[b"a", b"b", b"c", b"d"])
    async with running("hubs", SETTINGS, sources={"plain": source}) as (_, logs):
        await source.until(lambda: source.checkpoints == {"0": 3})

    assert source.delivered == [("0", [0, 1, 2]), ("0", [3])]
    assert [bodies(told) for told in logs.told("app.hubs")] == [["a", "b", "c"], ["d"]]
    assert source.closed


async def test_partitions_are_delivered_side_by_side() -> None:
    source = MemorySource.of(p0=[b"hang"], p1=[b"a"])
    async with running("hubs", SETTINGS, sources={"plain": source}):
        await source.until(lambda: source.checkpoints == {"1": 0})

    assert sorted(source.delivered) == [("0", [0]), ("1", [0])]


async def test_a_failed_batch_is_tried_again_and_told_how_often() -> None:
    source = MemorySource.of(p0=[b"fail 2", b"b"])
    async with running("hubs", SETTINGS, sources={"twice": source}) as (host, logs):
        await source.until(lambda: source.checkpoints == {"0": 1})

        assert host.counts == {"failed": 2, "succeeded": 1, "died": 0}
    assert [told["retry"] for told in logs.told("app.hubs")] == [
        [0, 2, ""],
        [1, 2, "ValueError: failure 0"],
        [2, 2, "ValueError: failure 1"],
    ]
    assert [text for text in logs.messages("Host") if "retry" in text] == [
        "twice: retry 1 of 2 in 0:00:10 after ValueError: failure 0",
        "twice: retry 2 of 2 in 0:00:10 after ValueError: failure 1",
    ]


@pytest.mark.parametrize(("function", "attempts"), [("twice", 3), ("plain", 1)])
async def test_a_batch_whose_policy_has_ended_is_checkpointed_and_lost(
    function: str, attempts: int
) -> None:
    source = MemorySource.of(p0=[b"fail"])
    async with running("hubs", SETTINGS, sources={function: source}) as (host, _):
        await source.until(lambda: source.checkpoints == {"0": 0})

        assert host.counts == {"failed": attempts, "died": 0}


async def test_a_policy_without_end_holds_its_partition_and_no_other() -> None:
    source = MemorySource.of(p0=[b"fail", b"b"], p1=[b"c"])
    async with running("hubs", SETTINGS, sources={"forever": source}) as (_, logs):
        await logs.until(
            lambda: logs.told("app.hubs", retry=[5, -1, "ValueError: told to fail"])
        )

        assert source.checkpoints == {"1": 0}


async def test_what_is_under_way_when_the_host_stops_is_not_checkpointed() -> None:
    source = MemorySource.of(p0=[b"hang"])
    async with running("hubs", SETTINGS, sources={"plain": source}) as (_, logs):
        await logs.until(lambda: logs.told("app.hubs"))

    assert source.checkpoints == {}


async def test_a_retry_that_waits_when_the_host_stops_is_not_checkpointed() -> None:
    source = MemorySource.of(p0=[b"fail"])
    async with running("hubs", SETTINGS, sources={"forever": source}) as (_, logs):
        await logs.until(lambda: logs.told("app.hubs"))

    assert source.checkpoints == {}


async def test_a_killed_worker_is_replaced_and_its_batch_delivered_again() -> None:
    source = MemorySource.of(p0=[b"a", b"b", b"c", b"hang"])
    async with running("hubs", SETTINGS, sources={"twice": source}) as (host, logs):
        await logs.until(lambda: "hang" in told_bodies(logs))
        first = host.worker_pid
        source.events["0"][3] = an_event(b"no longer", 3)
        host.kill()
        await source.until(lambda: source.checkpoints == {"0": 3})

        assert host.counts == {"succeeded": 2, "died": 1}
        assert host.worker_pid != first
    assert [numbers for _, numbers in source.delivered] == [[0, 1, 2], [3], [3]]
    assert told_bodies(logs) == ["a", "b", "c", "hang", "no longer"]
    # Read again from the checkpoint, so the policy's count begins anew.
    assert logs.told("app.hubs")[-1]["retry"] == [0, 2, ""]


def told_bodies(logs: Logs) -> list[str]:
    return [body for told in logs.told("app.hubs") for body in bodies(told)]


async def test_a_worker_that_exits_is_replaced_and_its_batch_delivered_again() -> None:
    source = MemorySource.of(p0=[b"exit"])
    async with running("hubs", SETTINGS, sources={"plain": source}) as (host, logs):
        await logs.until(lambda: host.counts["died"] == 2)

    assert len(source.delivered) >= 2
    assert source.checkpoints == {}
    assert "the worker process ended with code 3; another is started" in logs.messages("Host")


async def test_a_function_without_answer_has_failed_and_its_worker_is_replaced() -> None:
    async with running("impatient") as (host, logs):
        answers = [await host.request("GET", f"/api/{name}") for name in ("cancelled", "fine")]

        assert host.counts["timed_out"] == 1
    assert [answer.status for answer in answers] == [500, 200]
    (message,) = logs.messages("Host.Function.cancelled")
    assert message == "FunctionTimeoutException: no answer within 0:00:01"


async def test_a_source_that_fails_is_read_again_and_the_reason_logged() -> None:
    source = MemorySource.of(p0=[b"a"])
    source.faults = ["no claim", "no hub"]
    async with running("hubs", SETTINGS, sources={"plain": source}) as (_, logs):
        await source.until(lambda: source.checkpoints == {"0": 0})

    assert [text for text in logs.messages("Host") if text.startswith("plain")] == [
        "plain: no hub",
        "plain: no claim",
    ]


async def test_single_events_are_invoked_one_after_another_and_checkpointed_once() -> None:
    source = MemorySource.of(p0=[b"a", b"fail", b"c"])
    async with running("hubs", SETTINGS, sources={"one": source}) as (_, logs):
        await source.until(lambda: source.checkpoints == {"0": 2})

    assert [bodies(told) for told in logs.told("app.hubs")] == [["a"], ["fail"], ["c"]]


async def test_an_annotation_of_bytes_gets_the_raw_body() -> None:
    source = MemorySource.of(p0=[b"\xff\x00"])
    async with running("hubs", SETTINGS, sources={"raw": source}) as (_, logs):
        await source.until(lambda: source.checkpoints == {"0": 0})

    assert logs.told("app.hubs") == [{"body": r"b'\xff\x00'"}]


async def test_partitions_go_on_while_another_function_blocks_nothing() -> None:
    source, other = MemorySource.of(p0=[b"hang"]), MemorySource.of(p0=[b"a"] * 30)
    async with running("hubs", SETTINGS, sources={"plain": source, "forever": other}) as (
        host,
        _,
    ):
        await asyncio.wait_for(other.until(lambda: other.checkpoints == {"0": 29}), 20)

        assert host.counts["succeeded"] == 10
    assert source.checkpoints == {}


async def test_a_setting_that_a_timer_needs_and_nobody_set_is_named() -> None:
    with pytest.raises(
        AppFailed,
        match="function 'fails': its timerTrigger needs the app setting SCHEDULE, which is not",
    ):
        async with running("timers"):
            pass
