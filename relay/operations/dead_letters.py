"""`dead-letters`: see, redrive and purge dead letters by hand."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from relay.by_hand import Order
from relay.dead_letters import Fate
from relay.dead_letters.lots import Mark
from relay.dead_letters.selection import Selection, SelectionError
from relay.dead_letters.tally import Tally
from relay.failures import DeliveryError, Reason
from relay.operations.console import (
    TROUBLE,
    AsJson,
    SettingsFile,
    err,
    give_up,
    out,
    read_settings,
    say_json,
)
from relay.operations.outcome import Outcome
from relay.operations.selecting import among, read_container, read_time
from relay.operations.telling import letter_as_json, say_groups, say_letter
from relay.pace import Pace

if TYPE_CHECKING:
    from relay.app import Relay
    from relay.observer import Fact, Observer
    from relay.routing import Route
    from relay.settings import Settings

app: Final = typer.Typer(
    no_args_is_help=True, help="See, redrive and purge dead letters by hand."
)

Routes = Annotated[
    list[str] | None,
    typer.Option("--route", help="Only letters of this route; may be given several times."),
]
Fates = Annotated[
    list[str] | None,
    typer.Option("--fate", help="Only letters that are `waiting`, or only those `held`."),
]
Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="Only letters with this reason.")
]
Ids = Annotated[list[str] | None, typer.Option("--id", help="Only the event with this id.")]
Since = Annotated[
    str, typer.Option(help="Only events enqueued since: 2h, 7d (ago), or ISO 8601.")
]
Until = Annotated[str, typer.Option(help="Only events enqueued before: as --since.")]
After = Annotated[str, typer.Option(help="Go on behind this place, as an earlier page said.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@dataclass(frozen=True, slots=True)
class _Work:
    """What every command works with."""

    relay: Relay
    settings: Settings
    selection: Selection
    as_json: bool
    ears: list[Observer]


@app.command("list")
def list_letters(
    *,
    route: Routes = None,
    fate: Fates = None,
    reason: Reasons = None,
    event_id: Ids = None,
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=0, help="Count no more than so many; 0: all.")] = 0,
    after: After = "",
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by route, fate and reason, with the oldest of each."""
    selection = _selection(route, fate, reason, event_id, since, until, as_json=as_json)
    start = _mark(after, as_json=as_json)

    async def counting(work: _Work) -> int:
        tally, last, more = Tally(), start, False
        async for found in work.relay.by_hand.letters(selection, start):
            if limit and tally.count == limit:
                more = True
                break
            tally.add(found.shelf, found.letter)
            last = found.mark
        say_groups(tally, str(last) if more else None, as_json=as_json)
        return 0

    _run(counting, settings, selection, as_json=as_json)


@app.command("show")
def show_letters(
    *,
    route: Routes = None,
    fate: Fates = None,
    reason: Reasons = None,
    event_id: Ids = None,
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, help="Letters on a page.")] = 20,
    after: After = "",
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters whole, in order, page by page."""
    selection = _selection(route, fate, reason, event_id, since, until, as_json=as_json)
    start = _mark(after, as_json=as_json)

    async def showing(work: _Work) -> int:
        last, shown = start, 0
        more = ""
        async for found in work.relay.by_hand.letters(selection, start):
            if shown == limit:
                more = str(last)
                break
            say = letter_as_json(found) if as_json else None
            say_json(say) if say else say_letter(found)
            last, shown = found.mark, shown + 1
        if as_json:
            say_json({"shown": shown, "next": more or None})
        elif more:
            err().print(f"There are more: go on with --after '{more}'", markup=False)
        elif not shown:
            err().print("There are none.")
        return 0

    _run(showing, settings, selection, as_json=as_json)


@app.command("redrive")
def redrive_letters(
    *,
    route: Routes = None,
    fate: Fates = None,
    reason: Reasons = None,
    event_id: Ids = None,
    since: Since = "",
    until: Until = "",
    to: Annotated[str, typer.Option(help="Send them by this route instead of theirs.")] = "",
    adt: Annotated[
        str,
        typer.Option(
            metavar="CONTAINER",
            help="Take Azure Digital Twins' own dead letters from this container's address "
            "(with a prefix behind it at will) and bring them to all routes that want them.",
        ),
    ] = "",
    out_of_order: Annotated[
        bool, typer.Option("--out-of-order", help="Let later events overtake earlier ones.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0: no limit.")] = 0,
    dry_run: DryRun = False,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, in order; what is accepted is removed.

    Run it again to take up what is left: exit code 1 says that something is, 0 that nothing is.
    """
    selection = _selection(route, fate, reason, event_id, since, until, as_json=as_json)
    if to and not route:
        give_up("--to needs --route: say whose letters are to go there", as_json=as_json)
    if adt and (reason or fate or to or out_of_order):
        give_up(
            "letters of Azure Digital Twins have no reason, fate, order or route of their own: "
            "--adt goes with --route, --id, --since and --until only",
            as_json=as_json,
        )

    async def redriving(work: _Work) -> int:
        pace = Pace(rate or None)
        order = Order(_route(work, to), out_of_order, pace, _stopped_by_signals())
        if adt:
            return await _redrive_twins(work, adt, order, dry_run=dry_run)
        by_hand = work.relay.by_hand
        await by_hand.check(selection, order)
        if dry_run:
            say_groups(await by_hand.rehearse(selection, order), None, as_json=as_json)
            return 0
        with Outcome("delivered", order.stop, as_json=as_json) as outcome:
            async for step in by_hand.redrive(selection, order):
                outcome.add(step)
        return outcome.say()

    _run(redriving, settings, selection, as_json=as_json)


@app.command("purge")
def purge_letters(
    *,
    route: Routes = None,
    fate: Fates = None,
    reason: Reasons = None,
    event_id: Ids = None,
    since: Since = "",
    until: Until = "",
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    dry_run: DryRun = False,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove dead letters for good: there is no other copy of them."""
    selection = _selection(route, fate, reason, event_id, since, until, as_json=as_json)
    if as_json and not (yes or dry_run):
        give_up("purge with --json asks nothing, so it needs --yes", as_json=True)

    async def purging(work: _Work) -> int:
        by_hand = work.relay.by_hand
        if dry_run or not yes:
            tally = await by_hand.tally(selection)
            say_groups(tally, None, as_json=as_json)
            if dry_run or not tally.count:
                return 0
            if not _is_confirmed(tally.count):
                err().print("Nothing was purged.", style="red")
                return TROUBLE
        stop = _stopped_by_signals()
        with Outcome("purged", stop, as_json=as_json) as outcome:
            async for step in by_hand.purge(selection, stop):
                outcome.add(step)
        return outcome.say()

    _run(purging, settings, selection, as_json=as_json)


async def _redrive_twins(work: _Work, address: str, order: Order, *, dry_run: bool) -> int:
    container, prefix = read_container(address, work.settings.dead_letters)
    redrive = work.relay.twins_redrive(container, prefix)
    if dry_run:
        total = 0
        async for portion in redrive.letters(work.selection):
            total += len(portion)
        if work.as_json:
            say_json({"count": total})
        else:
            out().print(f"{total} blobs would go through the routes.")
        return 0
    with Outcome("settled", order.stop, as_json=work.as_json) as outcome:
        work.ears.append(outcome.hear)
        async for step in redrive.redrive(work.selection, order):
            outcome.add_twins(step)
    return outcome.say()


def _selection(
    routes: list[str] | None,
    fates: list[str] | None,
    reasons: list[str] | None,
    ids: list[str] | None,
    since: str,
    until: str,
    *,
    as_json: bool,
) -> Selection:
    now = datetime.now(UTC)
    try:
        return Selection(
            routes=frozenset(routes or ()),
            fates=among("fate", fates or (), tuple(Fate)),
            reasons=among("reason", reasons or (), tuple(Reason)),
            ids=frozenset(ids or ()),
            since=read_time(since, now) if since else None,
            until=read_time(until, now) if until else None,
        )
    except ValueError as error:
        give_up(str(error), as_json=as_json)


def _mark(text: str, *, as_json: bool) -> Mark:
    try:
        return Mark.read(text) if text else Mark()
    except ValueError:
        give_up(f"--after {text!r} is no place that a page named", as_json=as_json)


def _route(work: _Work, name: str) -> Route | None:
    routes = {route.name: route for route in work.settings.routes}
    if name and name not in routes:
        raise SelectionError(f"--to {name}: there are the routes {', '.join(routes)}")
    return routes.get(name)


def _is_confirmed(count: int) -> bool:
    err().print(f"To remove these {count} letters for good, type purge: ", end="")
    try:
        return input().strip() == "purge"
    except EOFError:
        return False


def _stopped_by_signals() -> asyncio.Event:
    """Return what Ctrl-C sets; a second one ends the process at once, which loses nothing."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, end)
    return stop


def _run(
    job: Callable[[_Work], Coroutine[Any, Any, int]],
    settings: Path | None,
    selection: Selection,
    *,
    as_json: bool,
) -> None:
    """Run a command's work with a relay built from the settings.

    Raises:
        typer.Exit: it did not come to a good end; why was said.
    """
    told = read_settings(settings, as_json=as_json)
    logging.getLogger("relay").addHandler(logging.NullHandler())  # the command tells it itself

    async def running() -> int:
        ears: list[Observer] = []
        async with _relay(told, ears) as relay:
            return await job(_Work(relay, told, selection, as_json, ears))

    try:
        code = asyncio.run(running())
    except (SelectionError, ValueError) as error:
        give_up(str(error), as_json=as_json)
    except DeliveryError as error:
        give_up(f"the dead letters' storage: {error}", as_json=as_json, code=TROUBLE)
    if code:
        raise typer.Exit(code)


@asynccontextmanager
async def _relay(settings: Settings, ears: list[Observer]) -> AsyncIterator[Relay]:
    from relay.app import Relay  # the SDKs take their time, which no other command needs

    def hear(fact: Fact) -> None:
        for ear in ears:
            ear(fact)

    relay = Relay(settings, hear)
    try:
        yield relay
    finally:
        await relay.close()
