"""A run's figures as tables: for a terminal, and for `docs/performance.md`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table as Shown

from bench.cold_start import PAUSE_SECONDS
from bench.contestants import DECODED, EVERY, HUB, QUEUE, RELAY, SENDING, SESSIONS, WHOLE
from bench.machine import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.budget import Verdict

BEGIN = "<!-- a run: written by `make bench` -->"
END = "<!-- end of the run -->"
ORDER = [(place, how) for place in (HUB, SESSIONS, QUEUE) for how in (WHOLE, DECODED, SENDING)]


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the columns' names, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return it as Markdown; all columns but the first hold figures."""
        lines = [
            f"| {' | '.join(self.columns)} |",
            f"|---{'|---:' * (len(self.columns) - 1)}|",
            *(f"| {' | '.join(row)} |" for row in self.rows),
        ]
        return "\n".join(lines)


def tables(run: Mapping[str, Any], verdicts: Sequence[Verdict]) -> list[Table]:
    """Return every table of a run."""
    found = [*_contestants(run)]
    if run["parts"]:
        found.append(_parts(run["parts"]))
    if run["growth"]:
        found.append(_growth(run["growth"]))
    if run["cold_start"]:
        its = run["cold_start"]
        found += [_cold_start(its), _imports(its), _waits(its["waits_seconds"])]
    return [*found, _budget(verdicts)]


def _broker(run: Mapping[str, Any]) -> Iterator[str]:
    """Say how much the broker takes at least: as much as it was sent the fastest."""
    rates = [(each["events_per_second"], each["way"]) for each in run["contestants"].values()]
    if rates:
        rate, way = max(rates)
        yield f"The broker took {rate:,.0f} events a second from the fastest of all ({way})."


def _contestants(run: Mapping[str, Any]) -> Iterator[Table]:
    ratios = {(each["of"], each["to"]): each for each in run["ratios"]}
    for place, how in ORDER:
        rows = [
            (key, each)
            for key, each in run["contestants"].items()
            if (each["destination"], each["how"]) == (place, how)
        ]
        if not rows:
            continue
        ours = next((key for key, each in rows if each["way"] == RELAY), "")
        every = next((key for key, each in rows if each["way"] == EVERY), "")
        yield Table(
            f"To an {place}, {how}" if place == HUB else f"To a {place}, {how}",
            (
                "way",
                "events per CPU s",
                "µs an event",
                "Twin Relay has",
                "spread",
                "peak MiB",
                "batch, ms: p50, p99",
                "lone event, ms: p50, p99",
            ),
            tuple(
                (
                    _bold(each["way"]),
                    f"{each['events_per_cpu_second']:,.0f}",
                    f"{each['microseconds_per_event']:.1f}",
                    _times(ratios.get((ours, key)), ratios.get((every, key))),
                    f"{100 * each['spread']:.0f} %",
                    f"{each['peak_memory_mib']:.0f}",
                    _two(each["batch_ms"]),
                    _two(each["lone_event_ms"]),
                )
                for key, each in rows
            ),
        )


def _bold(way: str) -> str:
    return f"**{way}**" if way == RELAY else way


def _times(ours: Mapping[str, float] | None, every: Mapping[str, float] | None) -> str:
    """Write what the relay has, and in brackets what it has where it forwards every event."""
    if ours is None:
        return ""
    return f"{_digits(ours)} times" + (f" ({_digits(every)})" if every is not None else "")


def _digits(ratio: Mapping[str, float]) -> str:
    return f"{ratio['times']:.{1 if ratio['times'] >= 10 else 2}f}"  # noqa: PLR2004 - say enough


def _two(milliseconds: Mapping[str, float] | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds['p50']:,.1f}, {milliseconds['p99']:,.1f}"


def _parts(parts: Mapping[str, Mapping[str, float]]) -> Table:
    rows = [
        (name, f"{each['microseconds']:.1f}", f"{100 * each['share']:.0f} %")
        for name, each in parts.items()
    ]
    whole = sum(each["microseconds"] for each in parts.values())
    return Table(
        "Where a microsecond goes: the whole function of Twin Relay, to an event hub",
        ("part", "µs an event", "share"),
        (*rows, ("all of it", f"{whole:.1f}", "")),
    )


def _growth(rows: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        "Growth",
        (
            "what there is more of",
            "how much",
            "events",
            "µs an event",
            "µs a delivery",
            "MiB after",
            "it grew by MiB",
        ),
        tuple(
            (
                row["what"],
                f"{row['value']:,}",
                *(
                    ("", "", "", "", "failed")
                    if "failure" in row
                    else (
                        f"{row['events']:,}",
                        f"{row['microseconds_per_event']:.1f}",
                        f"{row['microseconds_per_delivery']:.1f}",
                        f"{row['memory_mib']:.0f}",
                        f"{row['memory_grew_mib']:.0f}",
                    )
                ),
            )
            for row in rows
        ),
    )


def _cold_start(found: Mapping[str, Any]) -> Table:
    both = [found["relay"], found["quickstart"]]
    rows = [("from nothing to the first event", *(f"{1000 * x['seconds']:,.0f}" for x in both))]
    for step in both[0]["steps_seconds"]:
        rows.append((step, *(f"{1000 * x['steps_seconds'][step]:,.0f}" for x in both)))
        times = (f"{1000 * x['steps_cpu_seconds'][step]:,.0f}" for x in both)
        rows.append((f"of it processor time: {step}", *times))
    pause = f"the first event, where it comes {PAUSE_SECONDS:g} seconds after the index"
    times = (f"{1000 * x['first_after_pause_seconds']:,.0f}" for x in both)
    rows.append((pause, *times))
    rows.append(("peak memory, MiB", *(f"{x['peak_memory_mib']:.0f}" for x in both)))
    return Table(
        f"Cold start, in milliseconds (medians of {found['rounds']})",
        ("step", "Twin Relay", "quickstart's function"),
        tuple(rows),
    )


def _imports(found: Mapping[str, Any]) -> Table:
    ours, naive = (found[who]["imports_seconds"] for who in ("relay", "quickstart"))
    rows = tuple(
        (name, f"{1000 * ours[name]:,.0f}", f"{1000 * naive[name]:,.0f}")
        for name in ours
        if name != "in all"
    )
    whole = ("in all", f"{1000 * ours['in all']:,.0f}", f"{1000 * naive['in all']:,.0f}")
    return Table(
        "What the imports take, by package, in milliseconds (the dearest of each)",
        ("package", "Twin Relay", "quickstart's function"),
        (*rows, whole),
    )


def _waits(causes: Mapping[str, float]) -> Table:
    whole = sum(causes.values())
    rows = [(name, f"{1000 * seconds:,.0f}") for name, seconds in causes.items()]
    return Table(
        "What the relay's first event waits for, in milliseconds",
        ("cause", "Twin Relay"),
        (*rows, ("in all", f"{1000 * whole:,.0f}")),
    )


def _budget(verdicts: Sequence[Verdict]) -> Table:
    return Table(
        "The budget",
        ("what", "times", "must be", "holds"),
        tuple(
            (
                each.why,
                "not measured" if each.found is None else f"{each.found:.2f}",
                f"{'≥' if each.at_least else '≤'} {each.bound:g}",
                "yes" if each.holds else "**no**",
            )
            for each in verdicts
        ),
    )


def show(run: Mapping[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Print every table to a terminal."""
    console = Console(width=None if Console().is_terminal else 150)
    for table in tables(run, verdicts):
        shown = Shown(title=table.title, title_justify="left", title_style="bold")
        for number, column in enumerate(table.columns):
            shown.add_column(column, justify="right" if number else "left")
        for row in table.rows:
            shown.add_row(*(cell.replace("**", "") for cell in row))
        console.print(shown, "")
    for key, failure in run["failures"].items():
        console.print(f"{key} failed: {failure}", style="red", markup=False)


def written(document: str, run: Mapping[str, Any], verdicts: Sequence[Verdict]) -> str:
    """Return a document with a run's tables between the two marks.

    Raises:
        ValueError: the marks are not there.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"it has no {BEGIN} with {END} behind it")
    parts = [
        in_words(run["machine"]),
        run["form"],
        *_broker(run),
        *(f"### {each.title}\n\n{each.markdown()}" for each in tables(run, verdicts)),
        *(f"{key} failed: {failure}" for key, failure in run["failures"].items()),
    ]
    return before + begin + "\n\n" + "\n\n".join(parts) + "\n\n" + end + after
