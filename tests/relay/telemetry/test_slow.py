"""Telemetry endpoints that take their time: no invocation waits for one, and nothing is lost.

Each stand-in answers when the test tells it to, which is after the invocation returned: who
waited for an answer would wait for ever.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.certificates import TlsFiles
from relay.failures import Reason
from relay.observer import Delivered, Sent
from relay.settings import Exporter, Protocol, TelemetrySettings
from relay.telemetry import Telemetry, build
from relay.telemetry.flushing import Flusher
from relay.telemetry.losses import Losses
from relay.telemetry.watching import QUEUED, Queue, Watch
from tests.fakes import a_route, an_arrival
from tests.relay.telemetry.receivers import Manner, OtlpOverHttp, otlp_over_grpc
from tests.relay.telemetry.test_exporters import azure_in, ended, rejected

HUB = a_route("hub")
SECONDS = 20.0
"""For what does not come to an end where it is wrong."""


@dataclass(frozen=True)
class Endpoint:
    """Takes telemetry when it is told to.

    Attributes:
        tell: lets it answer from now on.
        spans: how many it took.
    """

    settings: TelemetrySettings
    tell: Callable[[], None]
    spans: Callable[[], int]
    tls: TlsFiles | None = None


@asynccontextmanager
async def over_http(manner: Manner, _: Path) -> AsyncIterator[Endpoint]:
    collector = OtlpOverHttp()
    await collector.server.start()
    paths = [f"/v1/{signal}" for signal in ("traces", "metrics", "logs")]
    collector.manners = dict.fromkeys(paths, manner)
    settings = TelemetrySettings((Exporter.OTLP,), endpoint=collector.server.url)
    yield Endpoint(settings, collector.told.set, lambda: len(collector.received.spans))
    await collector.server.stop()


@asynccontextmanager
async def over_grpc(_: Path) -> AsyncIterator[Endpoint]:
    told = threading.Event()
    with otlp_over_grpc(told=told) as (endpoint, received):
        settings = TelemetrySettings(
            (Exporter.OTLP,), endpoint=endpoint, protocol=Protocol.GRPC
        )
        yield Endpoint(settings, told.set, lambda: len(received.spans))


@asynccontextmanager
async def azure_monitor(state: Path) -> AsyncIterator[Endpoint]:
    async with azure_in(state) as azure:
        ingestion = azure.ingestion
        ingestion.told.clear()
        spans = lambda: len(ingestion.dependencies)  # noqa: E731 - as the others have it
        yield Endpoint(azure.settings, ingestion.told.set, spans, azure.tls)


SLOW: dict[str, Callable[[Path], AbstractAsyncContextManager[Endpoint]]] = {
    "OTLP over HTTP, late": partial(over_http, Manner.LATE),
    "OTLP over HTTP, by drips": partial(over_http, Manner.BY_DRIPS),
    "OTLP over gRPC, late": over_grpc,
    "Azure Monitor, late": azure_monitor,
}


@pytest.fixture(autouse=True)
def _hasty_invocations(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let invocations wait for a moment only, and exporters longer than a test takes."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(
        "relay.telemetry.exporters.Flusher", partial(Flusher, patience=0.05, pause=SECONDS)
    )
    monkeypatch.setattr("relay.telemetry.exporters._CALL", SECONDS)


async def deliver(telemetry: Telemetry) -> None:
    """Be an invocation that delivers an event."""
    async with telemetry.batch("settle"):
        telemetry(Sent(HUB, [an_arrival()], 0.1))
        telemetry(Delivered(HUB, [an_arrival()], 1))


@pytest.mark.parametrize("name", SLOW)
async def test_an_invocation_returns_before_a_slow_endpoint_answers_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async with SLOW[name](tmp_path) as endpoint:
        ca_file = str(endpoint.tls.ca_file) if endpoint.tls else None
        pipeline = build(endpoint.settings, ca_file)
        telemetry = Telemetry(pipeline)

        async with asyncio.timeout(SECONDS):
            await deliver(telemetry)
            await asyncio.gather(*(deliver(telemetry) for _ in range(100)))
        assert endpoint.spans() == 0

        endpoint.tell()
        await pipeline.close()
        await ended(pipeline)
        assert rejected(caplog) == set()
        assert endpoint.spans() >= 101


async def test_an_invocation_that_fails_is_not_held_up_either(tmp_path: Path) -> None:
    async with over_http(Manner.BY_DRIPS, tmp_path) as endpoint:
        pipeline = build(endpoint.settings)
        telemetry = Telemetry(pipeline)

        async with asyncio.timeout(SECONDS):
            for _ in range(3):
                with pytest.raises(ValueError, match="Blob is away"):
                    async with telemetry.batch("settle"):
                        raise ValueError("Blob is away")
            await pipeline.close()

        endpoint.tell()
        await ended(pipeline)


async def test_an_endpoint_that_never_answers_holds_up_neither_invocation_nor_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes connections, as a firewall that drops packets seems to, and reads nothing."""
    monkeypatch.setattr("relay.telemetry.exporters._CALL", 0.3)
    with a_black_hole() as endpoint:
        pipeline = build(TelemetrySettings((Exporter.OTLP,), endpoint=endpoint))
        telemetry = Telemetry(pipeline)

        async with asyncio.timeout(SECONDS):
            for _ in range(10):
                await deliver(telemetry)
            await pipeline.close()
        assert pipeline.flusher is not None

        await ended(pipeline)
    assert {loss.signal for loss in pipeline.losses.take()} == {"spans", "metrics"}


@contextmanager
def a_black_hole() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_what_becomes_too_much_behind_a_slow_endpoint_is_told(tmp_path: Path) -> None:
    async with over_http(Manner.LATE, tmp_path) as endpoint:
        with_logs = replace(endpoint.settings, with_logs=frozenset({Exporter.OTLP}))
        pipeline = build(with_logs)
        telemetry = Telemetry(pipeline)

        many = 2 * QUEUED
        for _ in range(many):
            telemetry(Sent(HUB, [an_arrival()], 0.1))
            telemetry(Delivered(HUB, [an_arrival()], 1))
        lost = pipeline.losses.take()

        endpoint.tell()
        await pipeline.close()
        await ended(pipeline)
    assert {(loss.signal, loss.error.reason) for loss in lost} == {
        ("spans", Reason.THROTTLED),
        ("logs", Reason.THROTTLED),
    }
    assert QUEUED <= endpoint.spans() < many


@given(st.lists(st.one_of(st.none(), st.integers(1, 4)), max_size=40))
def test_a_queue_is_full_exactly_when_something_drops_out_of_it(
    steps: list[int | None],
) -> None:
    """A number takes so many out, nothing puts one in; the model drops by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.telemetry.watching.QUEUED", 3)
        losses, model = Losses(), deque[int](maxlen=3)
        queue = Queue(Watch("otlp", "spans", losses))
        told = heard = 0
        was_told = False
        for step in steps:
            if step is None:
                drops = len(model) == 3
                model.append(0)
                queue.add()
                told += drops and not was_told
                was_told = drops
            else:
                taken = min(step, len(model))
                for _ in range(taken):
                    model.popleft()
                queue.take(taken)
            heard += len(losses.take())
            assert heard == told


# The flusher


class Gate:
    """A flush, or an end, that takes until it is opened."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._begins = threading.Semaphore(0)
        self._opened = threading.Event()

    def flush(self) -> None:
        self._take("flush")

    def end(self) -> None:
        self._take("end")

    def _take(self, what: str) -> None:
        self.begun.append(what)
        self._begins.release()
        self._opened.wait()

    async def begins(self) -> None:
        """Wait until the next one is under way."""
        await asyncio.to_thread(self._begins.acquire)

    def open(self) -> None:
        self._opened.set()


async def drained(flusher: Flusher) -> None:
    """End the flusher and wait for its thread."""
    await flusher.close()
    assert flusher._thread is not None
    await asyncio.to_thread(flusher._thread.join)


async def test_who_asks_gives_up_and_for_a_while_nobody_asks_again() -> None:
    gate = Gate()
    flusher = Flusher(gate.flush, gate.end, patience=0.0, pause=SECONDS)

    async with asyncio.timeout(SECONDS):
        await flusher(is_urgent=True)
        await gate.begins()
        for _ in range(5):
            await flusher(is_urgent=True)
    gate.open()
    await drained(flusher)

    assert gate.begun == ["flush", "end"]


async def test_after_the_pause_it_is_asked_again() -> None:
    gate = Gate()
    flusher = Flusher(gate.flush, gate.end, patience=0.0, pause=0.0)

    async with asyncio.timeout(SECONDS):
        await flusher(is_urgent=True)
        await gate.begins()
        gate.open()
        await flusher(is_urgent=True)
        await gate.begins()
    await drained(flusher)

    assert gate.begun == ["flush", "flush", "end"]


async def test_what_is_not_urgent_is_flushed_once_in_a_while_and_what_is_at_once() -> None:
    gate = Gate()
    gate.open()
    flusher = Flusher(gate.flush, gate.end, patience=SECONDS)

    for is_urgent in (False, False, True, False):
        await flusher(is_urgent=is_urgent)
    await drained(flusher)

    assert gate.begun == ["flush", "flush", "end"]


async def test_a_flush_that_raises_fails_nobody() -> None:
    def fail() -> None:
        raise RuntimeError("an exporter's own fault")

    flusher = Flusher(fail, fail, patience=SECONDS)

    async with asyncio.timeout(SECONDS):
        await flusher(is_urgent=True)
        await flusher(is_urgent=True)
        await drained(flusher)


async def test_an_end_that_never_comes_is_not_waited_for() -> None:
    gate = Gate()
    flusher = Flusher(gate.flush, gate.end, patience=0.0)

    async with asyncio.timeout(SECONDS):
        await flusher.close()

    assert flusher._thread is not None
    assert flusher._thread.daemon  # so that it keeps no process alive
    gate.open()
    await asyncio.to_thread(flusher._thread.join)
