"""How fast a backlog in Blob is redriven, and in how much memory.

Letters wait in Azurite for a hub of the local Azure, on one lane. Each case is redriven by a
process of its own, so that its peak of memory is its own:

- `1000`, `20000` and `60000` letters, fifty to a blob: letters a second, and by how much the
  resident memory grew at most over that of the process before the redrive. It stays the same
  once a backlog is larger than a portion, which is all of it that is ever in memory.
- `one by one` and `in portions`, 2000 blobs of one letter each: the same redrive, once so that
  each blob is read, claimed, sent and removed before the next (as it was before there were
  portions), once as it is. Their ratio is the gain.

    python -m bench.redrive [--json] [--letters 1000 20000] [--each 50] [--single 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import cores
from bench.azure import Entities, a_local_azure
from relay import filters, sinks
from relay.dead_letters import DeadLetter, Shelf, blob_name
from relay.dead_letters.blobs import Blobs
from relay.dead_letters.portions import LIMITS, Limits
from relay.dead_letters.store import BlobDeadLetters
from relay.event import Event
from relay.failures import Reason
from relay.identity import Identity
from relay.ingress import Arrival
from relay.redrive import Redrive
from relay.resending import Resender
from relay.routing import Destination, Kind, Route
from relay.sending import NO_PATIENCE, Sender
from relay.settings import read

if TYPE_CHECKING:
    from bench.azure import Azure
    from relay.settings import Settings

START = datetime(2026, 3, 5, 8, tzinfo=UTC)
LANE = "twin-events/0"
ROUTE = Route(
    "backlog", filters.compile("true"), Destination("NEAR", Kind.EVENT_HUB, "hub"), ordered=True
)
AWAY = 0.02
FILLING = 16
"""Uploads side by side."""
FOR_EVER = 1e6


def letter(number: int) -> DeadLetter:
    event = Event(
        {
            "specversion": "1.0",
            "id": str(number),
            "source": "plant-a.api.weu.digitaltwins.azure.net",
            "type": "Microsoft.DigitalTwins.Twin.Update",
            "subject": f"pump-{number % 500}",
            "datacontenttype": "application/json",
        },
        json.dumps({"modelId": "dtmi:com:example:Pump;1", "patch": ["x" * 300]}).encode(),
    )
    arrival = Arrival(LANE, number, 0, START + timedelta(seconds=number), event)
    return DeadLetter(arrival, Reason.FORBIDDEN, "it lacked the role", 1, START)


def told(settings: dict[str, str]) -> Settings:
    near = {"connection": "NEAR", "eventHub": "hub"}
    routes = [{"name": ROUTE.name, "filter": "true", "destination": near}]
    return read(settings | {"RELAY_ROUTES": json.dumps(routes)}, Path.cwd())


def store(settings: Settings, identity: Identity, limits: Limits) -> BlobDeadLetters:
    return BlobDeadLetters(Blobs(settings.dead_letters, identity, settings.ca_file), limits)


async def fill(settings: Settings, count: int, each: int) -> None:
    """Let so many letters wait, so many to a blob."""
    places = asyncio.Semaphore(FILLING)
    async with Identity() as identity:
        kept = store(settings, identity, LIMITS)

        async def put(start: int) -> None:
            async with places:
                letters = [letter(n) for n in range(start, min(start + each, count))]
                arrivals = [one.arrival for one in letters]
                name = blob_name(ROUTE.name, arrivals, letters[0].fate)
                await kept.put(name, letters, ROUTE.name)

        await asyncio.gather(*(put(start) for start in range(0, count, each)))
        await kept.close()


async def redrive(settings: Settings, limits: Limits) -> dict[str, Any]:
    """Redrive all that waits; measure."""
    async with Identity() as identity:
        kept = store(settings, identity, limits)
        sink = sinks.build(ROUTE, settings.connections["NEAR"], identity, settings.ca_file)
        sender = Sender({ROUTE.name: sink}, lambda _: None, NO_PATIENCE)
        resender = Resender(sender, kept, lambda: START)
        await sink.open()
        await kept.lanes(Shelf(ROUTE.name))  # connections and tokens are not what is measured
        before, start, busy = resident(), time.perf_counter(), time.process_time()
        redriving = Redrive(resender, kept, lambda _: None)
        progress = await redriving.lane(ROUTE, LANE, FOR_EVER)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        assert progress.is_whole, progress
        await sink.close()
        await kept.close()
    return {
        "letters": progress.moved,
        "seconds": seconds,
        "busy": busy,
        "memory_mib": resident() / 1024,
        "per_second": progress.moved / seconds,
        "memory_grew_mib": (resident() - before) / 1024,
    }


def resident() -> float:
    """Return the most memory that this process ever had, in KiB.

    `getrusage` would tell the most of whoever started it, too.
    """
    return 1024 * cores.memory(os.getpid())


def in_a_process(settings: dict[str, str], limits: Limits, found: Any) -> None:
    found.send(asyncio.run(redrive(told(settings), limits)))


def case(
    azure: Azure, name: str, count: int, each: int, limits: Limits, away: float = 0.0
) -> dict[str, Any]:
    asyncio.run(fill(told(azure.settings), count, each))
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=in_a_process, args=(azure.settings, limits, there))
    azure.do("delay_storage", away)
    with cores.measured():
        process.start()
    there.close()
    try:
        found = here.recv()
    except EOFError:
        raise SystemExit(f"the redrive of {name} failed") from None
    finally:
        azure.do("allow_storage")
    process.join()
    return {"case": name, "blobs": -(-count // each), **found}


def measure(azure: Azure, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    rows = [
        case(azure, f"{count} letters", count, chosen.each, LIMITS) for count in chosen.letters
    ]
    for place, count, away in (("", chosen.single, 0.0), (", away", chosen.away, AWAY)):
        if not count:
            continue
        slow = case(azure, f"one by one{place}", count, 1, Limits(blobs=1), away)
        fast = case(azure, f"in portions{place}", count, 1, LIMITS, away)
        fast["gain"] = fast["per_second"] / slow["per_second"]
        rows += [slow, fast]
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'':20}{'blobs':>8}{'letters/s':>12}{'memory grew by':>18}{'gain':>8}")
    for row in rows:
        gain = f"{row['gain']:.1f}" if "gain" in row else ""
        print(
            f"{row['case']:20}{row['blobs']:>8,}{row['per_second']:>12,.0f}"
            f"{row['memory_grew_mib']:>14,.1f} MiB{gain:>8}"
        )


def main() -> None:
    options = argparse.ArgumentParser(description="How fast a backlog is redriven.")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--letters", type=int, nargs="+", default=[1_000, 20_000, 60_000])
    options.add_argument("--each", type=int, default=50, help="letters in a blob")
    options.add_argument(
        "--single", type=int, default=2_000, help="blobs of one letter; 0: none"
    )
    options.add_argument(
        "--away", type=int, default=500, help="the same where storage is away; 0: not at all"
    )
    options.add_argument("--partitions", type=int, default=4, help="of the hub sent to")
    chosen = options.parse_args()
    with a_local_azure(Entities(partitions=chosen.partitions)) as azure:
        rows = measure(azure, chosen)
    if chosen.json:
        print(json.dumps(rows))
    else:
        show(rows)


if __name__ == "__main__":
    main()
