"""What telemetry costs: the same batches with it off, over OTLP, and to what is down.

`Relay.from_event_hub` is given batches of events in four lanes side by side, over a local
Azure; the collector is a process of its own, as it would be.

- `off`: `RELAY_TELEMETRY` is not set; logs and metrics are made, and go nowhere.
- `otlp`: metrics, spans and logs go to a collector on loopback that takes them. Every event
  brings a trace, to which a span links.
- `sampled`: the same, but one of ten spans only, by `OTEL_TRACES_SAMPLER`.
- `down`: the collector takes connections and never answers.

The ways take turns, and the first of a round is another one each time, so that a machine that
grows slower does so for all of them. Each has the median of its rounds in events a second, the
time of the processor for an event (the relay's process alone, all its threads), and the seconds
that a batch takes (median, worst). Both of the first are compared with `off` of the same round:
the median of these pairs with the lowest and the highest, which is the noise. Where others use
the machine too, time of the processor is the better measure.

    python -m bench.telemetry [--json] [--batches 30] [--size 100] [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.azure import a_local_azure
from bench.events import LANES, lanes
from bench.figures import ratio
from relay.app import from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection as Pipe

    import azure.functions as func

    from bench.azure import Azure
    from relay.app import Relay


WARM_UP = 3
OFF = "off"
ONE_OF_TEN = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
ROUTES = [
    {"name": "hub", "filter": "true", "destination": {"connection": "NEAR", "eventHub": "hub"}}
]


class Taking(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _serve(pipe: Pipe) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    pipe.send(server.server_port)
    server.serve_forever()


@contextmanager
def a_collector() -> Iterator[str]:
    """Run a collector in a process of its own; yield where."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs,), daemon=True
    )
    process.start()
    yield f"http://127.0.0.1:{ours.recv()}"
    process.terminate()
    process.join()


@contextmanager
def a_black_hole() -> Iterator[str]:
    """Listen, and answer nothing; yield where."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def settle(relay: Relay, batches: Sequence[list[func.EventHubEvent]]) -> list[float]:
    """Hand over batch after batch of one lane; return the seconds of each."""
    seconds = []
    for batch in batches:
        start = time.perf_counter()
        await relay.from_event_hub(batch)
        seconds.append(time.perf_counter() - start)
    return seconds


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to.

    Attributes:
        rate: events a second.
        processor: seconds of the processor for an event.
        batches: the seconds of each batch.
    """

    rate: float
    processor: float
    batches: list[float]


async def one_round(
    azure: Azure, way: Mapping[str, str], name: str, size: int, batches: int
) -> Round:
    """Settle batches in every lane."""
    routes = {"RELAY_ROUTES": json.dumps(ROUTES)}
    os.environ.update(way)  # OpenTelemetry reads some of it by itself
    relay = from_environment(azure.settings | routes | way)
    for setting in way:
        del os.environ[setting]
    plant = lanes(hub=name)
    try:
        for count in (WARM_UP, batches):
            ready = [[lane.batch(size) for _ in range(count)] for lane in plant]
            start, busy = time.perf_counter(), time.process_time()
            runs = await asyncio.gather(*(settle(relay, lane) for lane in ready))
            took, busy = time.perf_counter() - start, time.process_time() - busy
        events = size * batches * LANES
        return Round(events / took, busy / events, [each for run in runs for each in run])
    finally:
        await relay.close()


async def measure(
    azure: Azure, ways: Mapping[str, Mapping[str, str]], chosen: argparse.Namespace
) -> list[dict[str, Any]]:
    """Let the ways take turns."""
    rounds: dict[str, list[Round]] = {way: [] for way in ways}
    order = list(ways)
    for number in range(chosen.rounds):
        for way in order:
            name = f"{way}-{number}"
            done = await one_round(azure, ways[way], name, chosen.size, chosen.batches)
            rounds[way].append(done)
        order = [*order[1:], order[0]]
    return [row(way, rounds[way], rounds[OFF]) for way in ways]


def row(way: str, rounds: list[Round], without: list[Round]) -> dict[str, Any]:
    """Say what a way costs: each of its rounds beside the one without, and all of them."""
    seconds = [each for done in rounds for each in done.batches]
    return {
        "telemetry": way,
        "events_per_second": median(done.rate for done in rounds),
        "processor_us_per_event": median(1e6 * done.processor for done in rounds),
        "batch_seconds": {"median": median(seconds), "worst": max(seconds)},
        "rate_to_off": to_off([each.rate for each in rounds], [each.rate for each in without]),
        "processor_to_off": to_off(
            [each.processor for each in rounds], [each.processor for each in without]
        ),
    }


def to_off(way: list[float], off: list[float]) -> dict[str, float]:
    found = ratio(way, off)
    return {"median": found.median, "lowest": found.least, "highest": found.most}


def otlp(endpoint: str) -> dict[str, str]:
    return {"RELAY_TELEMETRY": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


def main() -> None:
    options = argparse.ArgumentParser(description="What telemetry costs.")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--batches", type=int, default=30, help="on each of four lanes")
    options.add_argument("--size", type=int, default=100, help="events in a batch")
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    with a_local_azure() as azure, a_collector() as collector, a_black_hole() as hole:
        ways = {
            OFF: {},
            "otlp": otlp(collector),
            "sampled": otlp(collector) | ONE_OF_TEN,
            "down": otlp(hole),
        }
        rows = asyncio.run(measure(azure, ways, chosen))
    if chosen.json:
        print(json.dumps(rows))
        return
    print(
        f"{'telemetry':12}{'events/s':>10}{'to off':>22}{'us/event':>10}{'to off':>22}"
        f"{'batch: median, worst (ms)':>28}"
    )
    for each in rows:
        rate, processor = (
            "{median:.2f} ({lowest:.2f}, {highest:.2f})".format(**each[f"{what}_to_off"])
            for what in ("rate", "processor")
        )
        times = [f"{1000 * each['batch_seconds'][kind]:,.0f}" for kind in ("median", "worst")]
        print(
            f"{each['telemetry']:12}{each['events_per_second']:>10,.0f}{rate:>22}"
            f"{each['processor_us_per_event']:>10,.0f}{processor:>22}{', '.join(times):>28}"
        )


if __name__ == "__main__":
    main()
