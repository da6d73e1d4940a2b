"""What telemetry costs: the same batches with it off, over OTLP, and to what is down.

`Relay.from_event_hub` is given batches of events in four lanes side by side, over a local
Azure; the collector is a process of its own, as it would be.

- `off`: `RELAY_TELEMETRY` is not set; logs and metrics are made, and go nowhere.
- `otlp`: metrics and spans go to a collector on loopback that takes them.
- `down`: the collector takes connections and never answers.

Each is events a second and the seconds that a batch takes (median, worst), and as ratio to
`off`. The ways take turns, so that a machine that grows slower does so for all of them.

    python -m bench.telemetry [--json] [--batches 30] [--size 100] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.azure import a_local_azure
from bench.events import lanes
from relay.app import from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection as Pipe

    import azure.functions as func

    from bench.azure import Azure
    from relay.app import Relay

LANES = 4
WARM_UP = 3
OFF = "off"
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


async def one_round(
    azure: Azure, way: Mapping[str, str], name: str, size: int, batches: int
) -> tuple[float, list[float]]:
    """Return the events a second of a round, and the seconds of each of its batches."""
    routes = {"RELAY_ROUTES": json.dumps(ROUTES)}
    relay = from_environment(azure.settings | routes | way)
    plant = lanes(hub=name)
    try:
        for count in (WARM_UP, batches):
            ready = [[lane.batch(size) for _ in range(count)] for lane in plant]
            start = time.perf_counter()
            runs = await asyncio.gather(*(settle(relay, lane) for lane in ready))
            took = time.perf_counter() - start
        return size * batches * LANES / took, [each for run in runs for each in run]
    finally:
        await relay.close()


async def measure(
    azure: Azure, ways: Mapping[str, Mapping[str, str]], chosen: argparse.Namespace
) -> list[dict[str, Any]]:
    """Let the ways take turns."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(chosen.rounds):
        for way, settings in ways.items():
            name = f"{way}-{number}"
            rate, each = await one_round(azure, settings, name, chosen.size, chosen.batches)
            rates[way].append(rate)
            seconds[way] += each
    return [
        {
            "telemetry": way,
            "events_per_second": median(rates[way]),
            "batch_seconds": {"median": median(seconds[way]), "worst": max(seconds[way])},
            "to_off": median(rates[way]) / median(rates[OFF]),
        }
        for way in ways
    ]


def otlp(endpoint: str) -> dict[str, str]:
    return {"RELAY_TELEMETRY": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


def main() -> None:
    options = argparse.ArgumentParser(description="What telemetry costs.")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--batches", type=int, default=30, help="on each of four lanes")
    options.add_argument("--size", type=int, default=100, help="events in a batch")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with a_local_azure() as azure, a_collector() as collector, a_black_hole() as hole:
        ways = {OFF: {}, "otlp": otlp(collector), "down": otlp(hole)}
        rows = asyncio.run(measure(azure, ways, chosen))
    if chosen.json:
        print(json.dumps(rows))
        return
    print(f"{'telemetry':12}{'events/s':>12}{'to off':>10}{'batch: median, worst (ms)':>30}")
    for row in rows:
        times = [f"{1000 * row['batch_seconds'][kind]:,.0f}" for kind in ("median", "worst")]
        rate, ratio = row["events_per_second"], row["to_off"]
        print(f"{row['telemetry']:12}{rate:>12,.0f}{ratio:>10.2f}{', '.join(times):>30}")


if __name__ == "__main__":
    main()
