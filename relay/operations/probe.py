"""`probe`: numbered events through a deployment, then gaps, disorder, copies and delays.

In the manner of Knative's wathola: it sends into the landing hub and reads the destinations
that it is told, on and on, through whatever befalls the deployment meanwhile.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from relay.failures import DeliveryError
from relay.identity import Identity
from relay.operations.console import (
    TROUBLE,
    AsJson,
    SettingsFile,
    environment,
    err,
    give_up,
    out,
    read_settings,
    say_json,
    silence_sdks,
)
from relay.operations.probing import places, readers
from relay.operations.probing.access import Access
from relay.operations.probing.places import HOW, Place, PlaceError
from relay.operations.probing.run import TYPE, Run
from relay.operations.probing.sender import Ingress, Pace
from relay.operations.probing.tally import Sent, Tally, Verdict
from relay.settings import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from relay.operations.probing.readers import Reader

INGRESS: Final = "INGRESS"

_EVENTS: Final = 100
_PAUSE: Final = 1.0
_PROGRESS: Final = 5.0
_LOOK: Final = 0.2

Read = Annotated[list[str], typer.Option(help=f"Where to read: {HOW}. May be repeated.")]
Events = Annotated[
    int | None, typer.Option(min=1, help="How many events; without --duration 100.")
]
Duration = Annotated[
    float | None, typer.Option(min=1, help="Seconds for which to send, whatever happens.")
]
Rate = Annotated[float, typer.Option(min=0.01, help="Events a second.")]
Twins = Annotated[int, typer.Option(min=1, max=100, help="How many twins they are about.")]
Wait = Annotated[
    float, typer.Option(min=0, help="Seconds to wait for the last ones after sending.")
]
Type = Annotated[str, typer.Option("--type", help="The events' type, for a route's filter.")]
ClientId = Annotated[
    str | None,
    typer.Option(
        help="Send and read as this user-assigned identity, '' for the system-assigned one; "
        "else as the settings say."
    ),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        retried: how often an event had to be sent again.
        verdicts: by place.
    """

    run: Run
    retried: int
    verdicts: Mapping[Place, Verdict]

    @property
    def is_good(self) -> bool:
        """Whether everything arrived in order, everywhere."""
        return all(verdict.is_good for verdict in self.verdicts.values())

    def as_json(self) -> dict[str, Any]:
        """Return everything."""
        return {
            "ok": self.is_good,
            "run": self.run.name,
            "retried": self.retried,
            "destinations": [
                {"destination": str(place), **verdict.as_json()}
                for place, verdict in self.verdicts.items()
            ],
        }


def command(
    *,
    read: Read,
    events: Events = None,
    duration: Duration = None,
    rate: Rate = 20.0,
    twins: Twins = 5,
    wait: Wait = 60.0,
    event_type: Type = TYPE,
    client_id: ClientId = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Send numbered events into the landing hub, read destinations, and count what lacks."""
    silence_sdks()
    count = _EVENTS if events is None and duration is None else events
    run = Run(secrets.token_hex(4), twins, event_type)
    found = read_settings(settings, as_json=as_json)
    values = environment(settings, as_json=as_json)
    hub, ingress = values.get("INGRESS_EVENT_HUB", ""), _as(client_id, _ingress(values))
    if not hub:
        give_up("INGRESS_EVENT_HUB is not set: a probe sends into a hub", as_json=as_json)
    known = {name: _as(client_id, each) for name, each in found.connections.items()}
    try:
        wanted = [_place(text, {INGRESS: ingress, **known}) for text in read]
        outcome = asyncio.run(
            _probe(run, Pace(count, duration, rate), wait, ingress, hub, wanted, found.ca_file)
        )
    except (PlaceError, DeliveryError) as error:
        give_up(str(error), as_json=as_json)
    if as_json:
        say_json(outcome.as_json())
    else:
        _show(outcome)
    if not outcome.is_good:
        raise typer.Exit(TROUBLE)


async def _probe(
    run: Run,
    pace: Pace,
    wait: float,
    into: Connection,
    hub: str,
    wanted: Sequence[Place],
    ca_file: str | None,
) -> Outcome:
    """Check everything, send and read side by side, wait for the last, and judge.

    Raises:
        DeliveryError: something can't be sent to or read from; nothing was sent.
    """
    identities = {
        each.identity: Identity(each.client_id, each.identity_id)
        for each in _connections(into, wanted)
    }
    ingress = Ingress(into, hub, identities[into.identity], ca_file)
    tallies = {place: Tally() for place in wanted}
    accesses = [
        Access(place, identities[place.connection.identity], ca_file) for place in wanted
    ]
    reading = [readers.build(access, run, tallies[access.place]) for access in accesses]
    sent = Sent()
    try:
        await asyncio.gather(ingress.check(), *(reader.check() for reader in reading))
        tasks = [
            asyncio.create_task(_keep_reading(reader, str(place)))
            for reader, place in zip(reading, wanted, strict=True)
        ]
        tasks.append(asyncio.create_task(_tell(sent, tallies)))
        await ingress.send(run, pace, sent, _stopped_by_signal(), _say)
        if not await _all_arrive(tallies.values(), sent, wait):
            await _say_what_is_wrong(reading)
        await _end(tasks)
    finally:
        await ingress.close()
        for identity in identities.values():
            await identity.close()
    verdicts = {place: tally.verdict(sent) for place, tally in tallies.items()}
    return Outcome(run, ingress.retried, verdicts)


def _connections(into: Connection, wanted: Sequence[Place]) -> list[Connection]:
    return [into, *(place.connection for place in wanted)]


async def _keep_reading(reader: Reader, name: str) -> None:
    while True:
        try:
            await reader.read()
        except DeliveryError as error:
            _say(f"reading {name} again in {_PAUSE:g} s: {error}")
        await asyncio.sleep(_PAUSE)


async def _tell(sent: Sent, tallies: Mapping[Place, Tally]) -> None:
    while True:
        await asyncio.sleep(_PROGRESS)
        arrived = ", ".join(f"{place} {len(tally)}" for place, tally in tallies.items())
        _say(f"sent {len(sent.accepted)}, arrived: {arrived}")


async def _all_arrive(tallies: Iterable[Tally], sent: Sent, seconds: float) -> bool:
    """Wait until everything has arrived, and tell whether it has."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while not (arrived := all(tally.has_all(sent.accepted) for tally in tallies)):
        if clock() >= until:
            break
        await asyncio.sleep(_LOOK)
    return arrived


async def _say_what_is_wrong(reading: Sequence[Reader]) -> None:
    """Say why a destination could not be read, if that is why something is missing."""
    for checked in await asyncio.gather(
        *(each.check() for each in reading), return_exceptions=True
    ):
        if checked is not None:
            _say(str(checked))


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _stopped_by_signal() -> asyncio.Event:
    """Return what the first SIGINT or SIGTERM sets: what was sent is waited for and judged."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):

        def first(number: int = number) -> None:
            loop.remove_signal_handler(number)
            stop.set()

        loop.add_signal_handler(number, first)
    return stop


def _say(text: str) -> None:
    err().print(text, markup=False)


def _ingress(values: Mapping[str, str]) -> Connection:
    """Return the landing hub's namespace, as its settings say."""
    return Connection(
        INGRESS,
        values.get(f"{INGRESS}__fullyQualifiedNamespace", ""),
        values.get(f"{INGRESS}__clientId", ""),
        resource_id=values.get(f"{INGRESS}__resourceId", ""),
        identity_id=values.get(f"{INGRESS}__managedIdentityResourceId", ""),
    )


def _as(client_id: str | None, connection: Connection) -> Connection:
    if client_id is None:
        return connection
    return replace(connection, client_id=client_id, identity_id="")


def _place(text: str, connections: Mapping[str, Connection]) -> Place:
    kind, name, entity, reader = places.parse(text)
    if name not in connections:
        known = ", ".join(connections)
        raise PlaceError(f"{text!r} names the connection {name!r}; the settings know {known}")
    return Place(kind, connections[name], entity, reader)


def _show(outcome: Outcome) -> None:
    columns = ("sent", "received", "lost_count", "duplicated", "out_of_order")
    table = Table(
        "destination", *(name.replace("lost_count", "lost") for name in columns), "delay"
    )
    for place, verdict in outcome.verdicts.items():
        numbers = (str(getattr(verdict, name)) for name in columns)
        delay = " ".join(f"{name} {value:g} s" for name, value in verdict.latency.items())
        table.add_row(str(place), *numbers, delay)
    out().print(table)
    for place, verdict in outcome.verdicts.items():
        if verdict.lost:
            out().print(
                f"{place} lacks, as twin-number: {', '.join(verdict.lost)}", markup=False
            )
