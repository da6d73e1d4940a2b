"""`service-tags`: the rules that let Azure Digital Twins in, and what changed since."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from relay.identity import Identity
from relay.operations.console import (
    TROUBLE,
    AsJson,
    err,
    give_up,
    out,
    say_json,
)
from relay.operations.service_tags.comparing import Comparison, Side, compare, read_side
from relay.operations.service_tags.discovery import MANAGEMENT, DiscoveryError, discover
from relay.operations.service_tags.formats import FORMATS, as_json
from relay.operations.service_tags.grace import GRACE, Sightings, read_sightings
from relay.operations.service_tags.rules import TooManyRulesError, make_rules
from relay.operations.service_tags.tags import (
    DIGITAL_TWINS,
    Selection,
    ServiceTagsError,
    TagList,
    read_tags,
)
from relay.operations.service_tags.targets import TARGETS

app: Final = typer.Typer(no_args_is_help=True, help="IP filters for Azure Digital Twins.")


class TargetName(StrEnum):
    """What takes IP filters."""

    EVENT_HUBS = "event-hubs"
    SERVICE_BUS = "service-bus"
    EVENT_GRID = "event-grid"
    STORAGE = "storage"


class Format(StrEnum):
    """How rules are written down."""

    BICEP = "bicep"
    JSON = "json"
    AZ = "az"


TagName = Annotated[str, typer.Option("--tag", help="The service tag.")]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region", help="Only this region, such as westeurope; may be given several times."
    ),
]


@app.command("rules")
def rules(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The downloaded Service Tags file.")
    ],
    *,
    target: Annotated[TargetName, typer.Option(help="What is to let the service in.")],
    written: Annotated[
        Format, typer.Option("--format", help="How to write the rules.")
    ] = Format.BICEP,
    region: Regions = None,
    tag: TagName = DIGITAL_TWINS,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many rules it takes, if more than usual.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="STATE",
            help="Remember in this file which ranges were seen when, so that removals wait.",
        ),
    ] = None,
    grace: Annotated[
        int, typer.Option(min=0, metavar="DAYS", help="How long removals wait.")
    ] = GRACE,
    in_json: AsJson = False,
) -> None:
    """Write the IP rules that let Azure Digital Twins in."""
    written = Format.JSON if in_json else written
    is_json = written is Format.JSON
    try:
        selection = read_tags(_read(file, as_json=is_json)).select(tag, region or ())
    except ServiceTagsError as error:
        give_up(f"{file}: {error}", as_json=is_json)
    seen = _seen(state, selection, grace, as_json=is_json)
    try:
        made = make_rules(selection, TARGETS[target.value], seen.waiting(selection), limit)
    except ServiceTagsError as error:
        give_up(f"{file}: {error}", as_json=is_json)
    except TooManyRulesError as error:
        give_up(str(error), as_json=is_json, code=TROUBLE)
    if state is not None:
        _put(state, seen.write(), as_json=is_json)
    if is_json:
        say_json(as_json(made))
        return
    typer.echo(FORMATS[written.value](made), nl=False)
    for warning in made.warnings:
        err().print(warning, markup=False, style="yellow")


@app.command("fetch")
def fetch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the list.")],
    *,
    subscription: Annotated[str, typer.Option(help="Any that the identity may read.")],
    location: Annotated[
        str, typer.Option(help="An Azure region; it chooses the version of the list.")
    ],
    client_id: Annotated[str, typer.Option(help="Of a user-assigned identity.")] = "",
    management: Annotated[
        str, typer.Option(help="The address of Azure Resource Manager.")
    ] = MANAGEMENT,
    ca_file: Annotated[str | None, typer.Option(help="Authorities to trust instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the Discovery API for the list by managed identity; it holds no regions.

    From a desk, `az network list-service-tags --location westeurope` prints the same.
    """

    async def ask() -> tuple[TagList, dict[str, Any]]:
        async with Identity(client_id) as identity:
            return await discover(
                identity, subscription, location, management=management, ca_file=ca_file
            )

    try:
        found, written = asyncio.run(ask())
    except DiscoveryError as error:
        give_up(str(error), as_json=as_json, code=TROUBLE)
    _put(file, json.dumps(written), as_json=as_json)
    told = {"file": str(file), "cloud": found.cloud, "changeNumber": found.change_number}
    if as_json:
        say_json(told)
    else:
        out().print(f"{file}: {len(found.tags)} tags of {found.cloud}")


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Last week's file, or the rules.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="This week's file.")],
    *,
    region: Regions = None,
    tag: TagName = DIGITAL_TWINS,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if anything changed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two files, or between a file and the rules that are applied.

    Rules are read as `az` shows them, for example by `az eventhubs namespace network-rule-set
    show`, or as `rules --format json` writes them.
    """
    found = compare(
        _side(old, tag, region, as_json=as_json), _side(new, tag, region, as_json=as_json)
    )
    if as_json:
        say_json(_comparison(found, tag, region, old, new))
    else:
        _show(found)
    if check and found.differs:
        raise typer.Exit(TROUBLE)


def _show(found: Comparison) -> None:
    if not found.differs:
        out().print(f"Nothing changed: {found.unchanged} ranges.")
        return
    table = Table("change", "range")
    for network in found.added:
        table.add_row("added", str(network), style="green")
    for network in found.removed:
        table.add_row("removed", str(network), style="red")
    out().print(table)
    out().print(
        f"{len(found.added)} added, {len(found.removed)} removed, {found.unchanged} as before. "
        "Add rules at once; let removals wait, as 'rules --state' does."
    )


def _comparison(
    found: Comparison, tag: str, regions: list[str] | None, old: Path, new: Path
) -> dict[str, Any]:
    return {
        "tag": tag,
        "regions": regions or [],
        "old": _told(old, found.old),
        "new": _told(new, found.new),
        "added": [str(network) for network in found.added],
        "removed": [str(network) for network in found.removed],
        "unchanged": found.unchanged,
    }


def _told(file: Path, side: Side) -> dict[str, Any]:
    return {"file": str(file), "changeNumber": side.change_number, "cloud": side.cloud}


def _side(file: Path, tag: str, regions: list[str] | None, *, as_json: bool) -> Side:
    try:
        return read_side(_read(file, as_json=as_json), tag, regions or ())
    except ServiceTagsError as error:
        give_up(f"{file}: {error}", as_json=as_json)


def _seen(state: Path | None, selection: Selection, grace: int, *, as_json: bool) -> Sightings:
    before = Sightings.begin(selection)
    try:
        if state is not None and state.exists():
            before = read_sightings(_read(state, as_json=as_json))
        return before.note(selection, datetime.now(UTC).date(), grace)
    except ServiceTagsError as error:
        give_up(f"{state}: {error}", as_json=as_json)


def _put(file: Path, text: str, *, as_json: bool) -> None:
    """Write beside, then put in place: half a memory would end every grace at once."""
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.write_text(f"{text}\n", "utf-8")
        beside.replace(file)
    except OSError as error:
        give_up(f"can't write {file}: {error.strerror}", as_json=as_json)


def _read(file: Path, *, as_json: bool) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        give_up(f"can't read {file}: {why}", as_json=as_json)
