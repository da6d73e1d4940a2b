"""A run as a picture: who does how much, where a microsecond goes, what grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.contestants import DECODED, HUB, RELAYS, SENDING, WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

OURS, OTHERS, LIMIT = "#1b6ca8", "#9aa5b1", "#d9a441"
_HOW = (SENDING, DECODED, WHOLE)
GROWING = ("routes", "twins", "destinations", "events")


def draw(run: Mapping[str, Any], file: Path) -> None:
    """Write a run's picture as SVG; the same run gives the same file."""
    with mpl.rc_context({"svg.hashsalt": "twin relay", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 11), layout="constrained")
        grid = figure.add_gridspec(3, 2, height_ratios=(5, 2, 3))
        _bars(figure.add_subplot(grid[0, :]), run)
        _stack(figure.add_subplot(grid[1, :]), run["parts"] or {})
        _flatness(figure.add_subplot(grid[2, :]), run["growth"] or [])
        figure.savefig(file, format="svg", metadata={"Date": None})
    # Lines end without blanks, as everywhere here.
    text = file.read_text("utf-8").splitlines()
    file.write_text("".join(f"{line.rstrip()}\n" for line in text), "utf-8")


def _bars(axes: Axes, run: Mapping[str, Any]) -> None:
    to_hubs = [each for each in run["contestants"].values() if each["destination"] == HUB]
    rows = sorted(to_hubs, key=lambda x: (_HOW.index(x["how"]), -x["events_per_cpu_second"]))
    names = [f"{each['way']}, {each['how']}" for each in rows]
    values = [each["events_per_cpu_second"] for each in rows]
    bars = axes.barh(range(len(rows)), values, color=[_colour(each) for each in rows])
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    axes.set_xlim(right=6 * max(values, default=1))
    axes.set_title("To an event hub: events per CPU second (logarithmic)", loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _colour(each: Mapping[str, Any]) -> str:
    if each["way"] in RELAYS:
        return OURS
    return LIMIT if each["how"] == SENDING else OTHERS


def _stack(axes: Axes, parts: Mapping[str, Mapping[str, float]]) -> None:
    left = 0.0
    for number, (name, each) in enumerate(parts.items()):
        axes.barh(0, each["microseconds"], left=left, color=f"C{number}", label=name)
        left += each["microseconds"]
    axes.set_yticks([])
    axes.set_xlabel("µs of processor time an event")
    axes.set_title("Where a microsecond goes: Twin Relay, whole function", loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    if parts:
        axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.4, -0.4), frameon=False)


def _flatness(axes: Axes, rows: list[Mapping[str, Any]]) -> None:
    for what in GROWING:
        its = [row for row in rows if row["what"] == what and "failure" not in row]
        if len(its) > 1:
            values = [row["microseconds_per_delivery"] for row in its]
            axes.plot([row["value"] for row in its], values, marker="o", label=what)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("how many there are")
    axes.set_title("Growth: µs of processor time a delivery", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)
