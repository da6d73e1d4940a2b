"""How commands tell of dead letters: for people, or as JSON."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from relay.dead_letters.selection import id_of
from relay.event import Event
from relay.operations.console import err, out, say_json

if TYPE_CHECKING:
    from relay.by_hand import Found
    from relay.dead_letters.tally import Tally
    from relay.ingress import Malformed

_SHOWN: Final = 2000
"""Characters of an event's data that people are shown."""


def say_groups(tally: Tally, more: str | None, *, as_json: bool) -> None:
    """Say how many letters there are; `more` is where the next page begins."""
    if as_json:
        groups = [
            {
                "route": group.route,
                "fate": group.fate.value,
                "reason": group.reason.value,
                "count": group.count,
                "oldest": group.oldest.isoformat(),
                "newest": group.newest.isoformat(),
            }
            for group in tally.groups
        ]
        say_json({"count": tally.count, "groups": groups, "next": more})
        return
    if not tally.count:
        err().print("There are no such dead letters.")
        return
    table = Table("route", "fate", "reason", "letters", "oldest", "newest")
    for column in table.columns:
        column.no_wrap = True
    for group in tally.groups:
        times = [f"{time:%Y-%m-%d %H:%M}Z" for time in (group.oldest, group.newest)]
        table.add_row(group.route, group.fate, group.reason, str(group.count), *times)
    out().print(table)
    if more:
        err().print(f"There are more: go on with --after '{more}'", markup=False)


def letter_as_json(found: Found) -> dict[str, Any]:
    """Return a letter whole."""
    letter, arrival = found.letter, found.letter.arrival
    return {
        "mark": str(found.mark),
        "id": id_of(arrival),
        "route": found.shelf.route,
        "fate": found.shelf.fate.value,
        "reason": letter.reason.value,
        "detail": letter.detail,
        "attempts": letter.attempts,
        "time": letter.time.isoformat(),
        "lane": arrival.lane,
        "sequence": arrival.sequence,
        "part": arrival.part,
        "enqueued": arrival.enqueued.isoformat(),
        "content": _content(arrival.content),
    }


def _content(content: Event | Malformed) -> dict[str, Any]:
    if isinstance(content, Event):
        return {"attributes": dict(content.attributes), **_bytes("data", content.data)}
    return {"properties": dict(content.properties), **_bytes("body", content.body)}


def _bytes(name: str, value: bytes) -> dict[str, str]:
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


def say_letter(found: Found) -> None:
    """Show a letter to people."""
    shown = letter_as_json(found)
    content = shown.pop("content")
    say = out()
    say.print(f"{shown['route']}  {shown['fate']}  {shown['reason']}", style="bold")
    for name in ("id", "detail", "attempts", "time", "enqueued", "lane", "sequence", "part"):
        say.print(f"  {name:<13}{shown[name]}", markup=False)
    for name, value in content.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        cut = f"… ({len(text)} characters)" if len(text) > _SHOWN else ""
        say.print(f"  {name:<13}{text[:_SHOWN]}{cut}", markup=False)
    say.print()
