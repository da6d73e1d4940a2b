"""What becomes of time and memory for an event when there is more of something.

Each case is a relay of its own in the real worker library, with one thing larger than usual;
what is usual is one route to one hub, 500 events in a batch, 997 twins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import cores, redrive
from bench.contestants import FILTER
from bench.events import BATCH, LANES, TWINS, TYPE, lanes
from bench.figures import Run, percentile
from bench.processes import ROOT, Whole
from bench.rounds import FAILURES
from relay.dead_letters.portions import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.azure import Azure

HUBS = tuple(f"growth-{n}" for n in range(50))
A_ROUND = 40_000
"""Events that are made ready at once: more would only wait in memory."""
A_ROUND_BYTES = 64 * 2**20
MOST_IN_A_BATCH = 1_000_000
"""Bytes: what the host hands over in one invocation has a limit of its own."""


@dataclass(frozen=True, slots=True)
class Case:
    """A relay of which something is larger than usual.

    Attributes:
        what: is varied.
        value: how much of it there is.
        events: how many are delivered after the first thousand.
        routes: their filters and destinations, in order.
        deliveries: how many destinations each event goes to.
        revoked: whether the role on `far/hub` is taken away while events flow.
    """

    what: str
    value: int
    events: int = 20_000
    routes: tuple[tuple[str, dict[str, Any]], ...] = ()
    twins: int = TWINS
    data_bytes: int = 0
    deliveries: int = 1
    revoked: bool = False

    @property
    def batch(self) -> int:
        """How many events are in a batch: fewer where they are large."""
        return max(1, min(BATCH, MOST_IN_A_BATCH // max(1, self.data_bytes)))


def to_hub(name: str, connection: str = "NEAR") -> dict[str, Any]:
    return {"connection": connection, "eventHub": name}


USUAL = ((FILTER, to_hub(HUBS[0])),)


def many_routes(count: int) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the usual route among others that want other events, by type or by model."""
    others = (
        "type = 'microsoft.iot.telemetry' AND $body.severity >= 3",
        f"type = '{TYPE}' AND $body.modelId = 'dtmi:com:example:Model{{n}};1'",
    )
    rest = [(others[n % 2].format(n=n), to_hub(HUBS[0])) for n in range(count - 1)]
    return (*rest[: count // 2], *USUAL, *rest[count // 2 :])


def cases(*, whole: bool, quick: bool = False) -> list[Case]:
    """Return what is measured, in order.

    Args:
        whole: also what takes minutes.
        quick: only the ends of each range.
    """
    far = (*USUAL, (FILTER, to_hub("hub", "FAR")))
    found = [
        *(Case("routes", n, routes=many_routes(n)) for n in (1, 10, 100, 1000)),
        *(
            Case("bytes of data", n, events=min(20_000, 2**27 // n), data_bytes=n)
            for n in (200, 2_048, 16_384, 262_144)
        ),
        *(Case("twins", n, events=max(20_000, n), twins=n) for n in (1, 1_000, 100_000)),
        *(
            Case(
                "destinations",
                n,
                events=max(4_000, 20_000 // n),
                routes=tuple((FILTER, to_hub(hub)) for hub in HUBS[:n]),
                deliveries=n,
            )
            for n in (1, 5, 50)
        ),
        Case("destinations down, of two", 0, routes=far, deliveries=2),
        Case("destinations down, of two", 1, routes=far, deliveries=2, revoked=True),
    ]
    if whole:
        found.append(Case("twins", 1_000_000, events=1_000_000, twins=1_000_000))
    if quick:
        found = [each for each in found if each.value in {0, 1, 1000, 262_144}]
    return found


EVENTS = (1_000, 10_000, 100_000)
MANY_EVENTS = (*EVENTS, 1_000_000, 10_000_000)
BACKLOG = (10_000, 50_000)
LARGE_BACKLOG = (*BACKLOG, 1_000_000)


@dataclass(slots=True)
class Delivered:
    """What a relay has done so far."""

    runs: list[Run] = field(default_factory=list)

    @property
    def events(self) -> int:
        """How many it has delivered."""
        return sum(run.events for run in self.runs)

    def run(self) -> Run:
        """Return all of it as one."""
        latencies = tuple(each for run in self.runs for each in run.latencies)
        return Run(
            self.events,
            sum(run.seconds for run in self.runs),
            sum(run.busy for run in self.runs),
            latencies,
        )


async def deliver(whole: Whole, count: int, batch: int, data_bytes: int = 0) -> Run:
    """Let a relay deliver so many events or a few more, no more of them ready than a round."""
    most = min(A_ROUND, A_ROUND_BYTES // max(1, data_bytes))
    done = Delivered()
    while done.events < count:
        left = min(most, count - done.events)
        batches = max(1, left // (LANES * batch))
        size = batch if left >= LANES * batch else max(1, left // LANES)
        done.runs.append(await whole.round(batches, size))
    return done.run()


async def measure(
    azure: Azure,
    scratch: Path,
    *,
    whole: bool,
    quick: bool,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure every case; one that fails says so in its row."""
    rows = await _attempt("events", 0, _events(azure, scratch, _numbers(quick, whole), say))
    chosen = cases(whole=whole, quick=quick)
    for number, case in enumerate(chosen, 1):
        say(f"growth {number} of {len(chosen)}: {case.what}: {case.value:,}")
        rows += await _attempt(case.what, case.value, _case(azure, scratch, case))
    return rows


def _numbers(quick: bool, whole: bool) -> Sequence[int]:  # noqa: FBT001 - two switches
    return EVENTS[:2] if quick else MANY_EVENTS if whole else EVENTS


async def _attempt(what: str, value: int, measuring: Any) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = await measuring
    except FAILURES as error:
        return [{"what": what, "value": value, "failure": f"{type(error).__name__}: {error}"}]
    return rows


async def _start(azure: Azure, scratch: Path, case: Case) -> Whole:
    routes = [
        {"name": f"bench-{number}", "filter": text, "destination": to}
        for number, (text, to) in enumerate(case.routes or USUAL)
    ]
    file = scratch / "routes.json"
    file.write_text(json.dumps(routes))  # a thousand are too long for a setting
    settings = azure.settings | {"RELAY_ROUTES_FILE": str(file)}
    hub = f"twin-events-{case.what.partition(' ')[0]}-{case.value}"
    plant = lanes(case.twins, case.data_bytes, hub)
    whole = await Whole.start(ROOT, settings, plant)
    await whole.round(1, min(case.batch, 250), lanes=1)
    await deliver(whole, min(1_000, LANES * case.batch), case.batch, case.data_bytes)
    return whole


async def _events(
    azure: Azure, scratch: Path, numbers: Sequence[int], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    whole = await _start(azure, scratch, Case("events", 0))
    rows: list[dict[str, Any]] = []
    done = 0
    try:
        for number in numbers:
            say(f"growth: events: {number:,}")
            run = await deliver(whole, number - done, BATCH)
            done = number
            rows.append(_row(Case("events", number), whole, run, 0.0))
    finally:
        await whole.stop()
    return rows


async def _case(azure: Azure, scratch: Path, case: Case) -> list[dict[str, Any]]:
    whole = await _start(azure, scratch, case)
    try:
        before = cores.memory(whole.pid, peak=False)
        if case.revoked:
            scope = ("relay", "Azure Event Hubs Data Sender", "far/hub")
            azure.do("revoke", *scope)
            try:
                run = await deliver(whole, case.events, case.batch, case.data_bytes)
            finally:
                azure.do("grant", *scope)
        else:
            run = await deliver(whole, case.events, case.batch, case.data_bytes)
        return [_row(case, whole, run, before)]
    finally:
        await whole.stop()


def _row(case: Case, whole: Whole, run: Run, before: float) -> dict[str, Any]:
    now = cores.memory(whole.pid, peak=False)
    return {
        "what": case.what,
        "value": case.value,
        "events": run.events,
        "microseconds_per_event": run.microseconds,
        "microseconds_per_delivery": run.microseconds / case.deliveries,
        "memory_mib": now,
        "memory_grew_mib": now - before if before else 0.0,
        "peak_memory_mib": cores.memory(whole.pid),
        "batch_p50_ms": 1000 * percentile(run.latencies, 50),
        "batch_p99_ms": 1000 * percentile(run.latencies, 99),
    }


def backlog(
    azure: Azure, numbers: Sequence[int], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Let backlogs of such sizes be redriven, each by a process of its own."""
    rows = []
    for number in numbers:
        say(f"growth: a backlog of {number:,} is filled and redriven")
        found = redrive.case(azure, f"{number} letters", number, BATCH, LIMITS)
        rows.append(
            {
                "what": "a backlog redriven",
                "value": number,
                "events": found["letters"],
                "microseconds_per_event": 1e6 * found["busy"] / found["letters"],
                "microseconds_per_delivery": 1e6 * found["busy"] / found["letters"],
                "memory_grew_mib": found["memory_grew_mib"],
                "memory_mib": found["memory_mib"],
                "peak_memory_mib": found["memory_mib"],
                "events_per_second": found["per_second"],
            }
        )
    return rows
