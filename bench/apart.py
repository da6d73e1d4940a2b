"""How far a destination in trouble disturbs the route beside it.

Two routes want every event. The hub of one stays healthy; the destination of the other is in
turn healthy, refused (the role is revoked), frozen (it takes bytes and answers nothing),
throttled, and gone (its namespace cuts every connection). Batches come in four lanes side by
side, in each the next when the one before is settled, as the Functions host brings them.

- `accepted`: from handing a batch over until the last of its events is accepted by the healthy
  hub.
- `settled`: until `Relay.from_event_hub` returns and the lane's next batch can come.
- `held_up`: from the one to the other; for so long the lane's next events wait for the sake of
  the destination in trouble.

Each is a median and a worst over all batches, in seconds, and as ratio to the same figure of
the undisturbed run. The trouble begins after some undisturbed batches, while links are open.

    python -m bench.apart [--json] [--batches 15] [--size 100] [--troubles refused ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.azure import BUS_SENDER, HUB_SENDER, Entities, a_local_azure
from bench.events import lanes
from relay.app import from_environment
from relay.observer import Delivered
from relay.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import azure.functions as func

    from bench.azure import Azure
    from relay.app import Relay
    from relay.observer import Fact

WARM_UP = 3
HEALTHY = "healthy"
UNDISTURBED = "undisturbed"
DESTINATIONS = {
    "event hub": ("far", "far/hub", HUB_SENDER, {"connection": "FAR", "eventHub": "hub"}),
    "queue": (
        "bus",
        "bus/queue",
        BUS_SENDER,
        {"connection": "BUS", "queue": "queue", "session": True},
    ),
}
TROUBLES: dict[str, Callable[[Azure, str, str, str], None]] = {
    UNDISTURBED: lambda *_: None,
    "refused": lambda azure, _, scope, role: azure.do("revoke", "relay", role, scope),
    "frozen": lambda azure, namespace, *_: azure.do("freeze", namespace),
    "throttled": lambda azure, namespace, *_: azure.do("throttle", namespace),
    "gone": lambda azure, namespace, *_: azure.do("keep_cutting", namespace),
}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds since one batch was handed over."""

    accepted: float
    settled: float


class Ear:
    """Hears when the healthy route's events are accepted, by lane and number."""

    def __init__(self) -> None:
        self.accepted: dict[tuple[str, int], float] = {}

    def __call__(self, fact: Fact) -> None:
        if isinstance(fact, Delivered) and fact.route.name == HEALTHY:
            now = time.perf_counter()
            for arrival in fact.arrivals:
                self.accepted[arrival.lane, arrival.sequence] = now


@contextmanager
def listening() -> Iterator[Ear]:
    """Hear what telemetry hears."""
    ear, told = Ear(), Telemetry.__call__

    def both(self: Telemetry, fact: Fact) -> None:
        ear(fact)
        told(self, fact)

    Telemetry.__call__ = both
    try:
        yield ear
    finally:
        Telemetry.__call__ = told


async def settle(
    relay: Relay, lane: str, batches: Sequence[list[func.EventHubEvent]], ear: Ear
) -> list[Times]:
    """Hand over batch after batch of one lane."""
    times = []
    for batch in batches:
        start = time.perf_counter()
        await relay.from_event_hub(batch)
        settled = time.perf_counter()
        accepted = max(ear.accepted[lane, event.sequence_number] for event in batch)
        times.append(Times(accepted - start, settled - start))
    return times


async def disturbed(
    azure: Azure, destination: str, trouble: str, size: int, batches: int
) -> list[Times]:
    namespace, scope, role, address = DESTINATIONS[destination]
    # A route of its own for each trouble: none meets the dead letters of another.
    name = f"{trouble}-{namespace}"
    near = {"connection": "NEAR", "eventHub": "hub"}
    routes = [
        {"name": name, "filter": "true", "destination": address},
        {"name": HEALTHY, "filter": "true", "destination": near},
    ]
    relay = from_environment(azure.settings | {"RELAY_ROUTES": json.dumps(routes)})
    plant = lanes(hub=name)
    with listening() as ear:

        async def run(count: int) -> list[Times]:
            ready = {lane.name: [lane.batch(size) for _ in range(count)] for lane in plant}
            runs = (settle(relay, *batches, ear) for batches in ready.items())
            return [times for run in await asyncio.gather(*runs) for times in run]

        try:
            await run(WARM_UP)
            TROUBLES[trouble](azure, namespace, scope, role)
            return await run(batches)
        finally:
            azure.do("heal", namespace)
            if trouble == "refused":
                azure.do("grant", "relay", role, scope)
            await relay.close()


def figures(times: list[Times]) -> dict[str, dict[str, float]]:
    seconds = {
        "accepted": [each.accepted for each in times],
        "settled": [each.settled for each in times],
        "held_up": [each.settled - each.accepted for each in times],
    }
    return {name: {"median": median(of), "worst": max(of)} for name, of in seconds.items()}


def ratios(
    found: dict[str, dict[str, float]], undisturbed: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    return {
        name: {kind: found[name][kind] / undisturbed[name][kind] for kind in found[name]}
        for name in ("accepted", "settled")
    }


async def measure(azure: Azure, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for destination in chosen.destinations:
        undisturbed: dict[str, dict[str, float]] = {}
        for trouble in [UNDISTURBED, *chosen.troubles]:
            times = await disturbed(azure, destination, trouble, chosen.size, chosen.batches)
            found = figures(times)
            undisturbed = undisturbed or found
            rows.append(
                {"destination": destination, "trouble": trouble, "batches": len(times)}
                | found
                | {"ratios": ratios(found, undisturbed)}
            )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print("the healthy route: milliseconds, median and worst (times the undisturbed)")
    print(f"{'the other destination':26}{'accepted after':>26}{'settled after':>34}")
    for row in rows:
        cells = [f"{row['destination']} {row['trouble']}".ljust(26)]
        for name in ("accepted", "settled"):
            for kind in ("median", "worst"):
                seconds, ratio = row[name][kind], row["ratios"][name][kind]
                cells.append(f"{1000 * seconds:>9,.0f} ({ratio:,.1f})".ljust(18))
        print("".join(cells))


def main() -> None:
    troubles = [each for each in TROUBLES if each != UNDISTURBED]
    options = argparse.ArgumentParser(description="How far apart the routes are.")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--batches", type=int, default=15, help="on each of four lanes")
    options.add_argument("--size", type=int, default=100, help="events in a batch")
    options.add_argument("--troubles", nargs="+", choices=troubles, default=troubles)
    options.add_argument(
        "--destinations", nargs="+", choices=DESTINATIONS, default=list(DESTINATIONS)
    )
    options.add_argument("--partitions", type=int, default=4, help="of the hubs sent to")
    chosen = options.parse_args()
    with a_local_azure(Entities(partitions=chosen.partitions)) as azure:
        rows = asyncio.run(measure(azure, chosen))
    if chosen.json:
        print(json.dumps(rows))
    else:
        show(rows)


if __name__ == "__main__":
    main()
