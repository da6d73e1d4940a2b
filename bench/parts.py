"""Where a microsecond goes: the relay's whole invocation, taken apart by samples.

A sample belongs to the innermost function that the table claims: the JSON library's time is
its caller's, the SDK's encoding that of whoever fills a batch.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

from bench.contestants import HUB, RELAY, WHOLE, Contestant
from bench.events import BATCH, lanes
from bench.processes import ROOT, MeasuringFailed, Whole
from bench.sampling import FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bench.azure import Azure

    type Samples = list[tuple[list[str], float]]

SAMPLED = ROOT / "bench" / "sampled"
FEW = 200
"""Samples below which a part is no figure."""

WORKER = "worker library: protobuf and decoding"
READING = "reading: CloudEvents of messages"
FILTERING = "filters, bodies parsed for them"
ROUTING = "routing, order, retries, dead letters"
ENCODING = "encoding: messages and batches"
SENDING = "sending: AMQP frames, TLS, sockets"
TELEMETRY = "telemetry and health"
TOKENS = "tokens"
REST = "event loop and everything else"
PARTS = (WORKER, READING, FILTERING, ROUTING, ENCODING, SENDING, TELEMETRY, TOKENS, REST)

CLAIMS: tuple[tuple[str, str], ...] = (
    ("/relay/ingress/", READING),
    ("/relay/filters/", FILTERING),
    ("/relay/matching.py", FILTERING),
    ("/relay/sinks/", ENCODING),
    ("/relay/telemetry/", TELEMETRY),
    ("/opentelemetry/", TELEMETRY),
    ("/relay/health.py", TELEMETRY),
    ("/relay/observer.py", TELEMETRY),
    ("/relay/rates.py", TELEMETRY),
    ("/relay/outcomes.py", TELEMETRY),
    ("/lab/functions/", WORKER),
    ("/logging/", TELEMETRY),
    ("/relay/identity.py", TOKENS),
    ("/azure/identity/", TOKENS),
    ("/relay/routing.py", ROUTING),
    ("/relay/delivery.py", ROUTING),
    ("/relay/sending.py", ROUTING),
    ("/relay/turns.py", ROUTING),
    ("/relay/lanes.py", ROUTING),
    ("/relay/app.py", ROUTING),
    ("/relay/dead_letters/", ROUTING),
    ("/azure/eventhub/aio/", SENDING),
    ("/azure/eventhub/_pyamqp/aio/", SENDING),
    ("/azure/servicebus/aio/", SENDING),
    ("/azure/servicebus/_pyamqp/aio/", SENDING),
    ("/azure/functions/", WORKER),
    ("/azure_functions_runtime/", WORKER),
    ("/google/protobuf/", WORKER),
    ("/asyncio/sslproto.py", SENDING),
)
"""What is in a file's path, and to which part the file's functions then belong."""
_LOOP = "/asyncio/runners.py"
"""What is outside of it, everything has in common."""


def part_of(files: Sequence[str]) -> str:
    """Return the part of a sample: what claims its innermost function, or the next outside."""
    for file in files:
        if _LOOP in file:
            return REST
        for fragment, part in CLAIMS:
            if fragment in file:
                return part
    return REST


def shares(found: Iterable[tuple[Sequence[str], int]]) -> dict[str, float]:
    """Return for each part which share of all samples is its.

    Raises:
        ValueError: there are too few to tell.
    """
    counts: Counter[str] = Counter()
    for files, count in found:
        counts[part_of(files)] += count
    if counts.total() < FEW:
        raise ValueError(f"{counts.total()} samples are too few")
    return {part: counts[part] / counts.total() for part in PARTS}


async def measure(azure: Azure, scratch: Path, seconds: float) -> dict[str, float]:
    """Return the shares of a relay that works for so many seconds of processor time, or more.

    Raises:
        MeasuringFailed: no samples came.
    """
    file = scratch / "samples.json"
    settings = Contestant(HUB, WHOLE, RELAY).settings(azure) | {FILE: str(file)}
    whole = await Whole.start(SAMPLED, settings, lanes())
    try:
        await whole.round(1, BATCH, lanes=1)
        await whole.round(1, BATCH)
        await samples(whole.pid, file)  # of the beginning, which is another matter
        busy = 0.0
        while busy < seconds:
            busy += (await whole.round(4, BATCH)).busy
        return shares(await samples(whole.pid, file))
    finally:
        await whole.stop()


async def samples(pid: int, file: Path) -> Samples:
    """Return what a process has seen since it was asked last.

    Raises:
        MeasuringFailed: it did not answer.
    """
    os.kill(pid, signal.SIGUSR1)
    for _ in range(200):
        if (found := _taken(file)) is not None:
            return found
        await asyncio.sleep(0.05)
    raise MeasuringFailed("the relay that was looked at wrote no samples")


def _taken(file: Path) -> Samples | None:
    """Return what another process wrote, as soon as it has; the file is gone then."""
    if not file.exists():
        return None
    found: Samples = json.loads(file.read_text())
    file.unlink()
    return found
