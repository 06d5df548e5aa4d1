"""The pictures of docs/benchmarks.md, each drawn from results that are kept. The same results give the same file.

A picture says in its description which results it was drawn from (a digest of them), so that a test can tell an old one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.results import Record, Row, rounded, shown
from tbbridge.limits import MiB

OURS, PEER, FLOOR, GOOD, BAD = "#1f6feb", "#d9822b", "#9aa4b2", "#2da44e", "#cf222e"
FLOORS = (
    "memory copy",
    "buffered write",
    "no-op",
    "bare",
    "the same bytes",
    "no sync",
    "step, value",
    "p50 of the same floor",
    "10 requests",
)

Records = Mapping[str, Record]


class Picture(NamedTuple):
    """One picture: its file, whose results it needs (the first at least), what it shows, and how it is drawn."""

    name: str
    needs: tuple[str, ...]
    says: str
    draw: Callable[[Records], Figure]


def digest(records: Records, names: Sequence[str]) -> str:
    """Of what the results of these benchmarks say."""
    found = {name: rounded(asdict(records[name].result)) for name in names if name in records}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def draw(picture: Picture, records: Records, path: Path) -> None:
    """Draw it into `path`."""
    mpl.rcParams["svg.fonttype"] = "none"  # letters as letters
    mpl.rcParams["svg.hashsalt"] = "tbbridge"  # the same ids each time
    mpl.rcParams["font.size"] = 9
    figure = picture.draw(records)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = f"drawn from results {digest(records, picture.needs)}"
    figure.savefig(path, metadata={"Date": None, "Creator": None, "Description": about})
    pyplot.close(figure)


def _axes(rows: int, columns: int, width: float, height: float, **more: Any) -> tuple[Figure, list[Axes]]:
    figure, axes = pyplot.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False, **more)
    return figure, list(axes.flat)


def _plain(axis: Any) -> None:
    """Numbers as people write them on this axis (an `XAxis` or `YAxis`), on a logarithmic one too."""
    axis.set_major_formatter(lambda value, _: shown(value))
    axis.set_minor_locator(NullLocator())


def _bars(axis: Axes, names: Sequence[str], values: Sequence[float], colors: Sequence[str], unit: str) -> None:
    """Horizontal, the first on top, each with its number; on a scale of factors if they are far apart."""
    places = range(len(names))
    axis.barh(places, values, color=colors, height=0.7)
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    for place, value in zip(places, values, strict=True):
        axis.annotate(f" {shown(value)}", (value, place), va="center", fontsize=8)
    axis.set_xlabel(unit)
    least, most = min(values), max(values)
    if least > 0 and most > 30 * least:
        axis.set_xscale("log")
        axis.set_xlim(10 ** math.floor(math.log10(least) - 0.3), most * 4)
    else:
        axis.set_xlim(0, most * 1.15)
    _plain(axis.xaxis)
    axis.grid(visible=True, axis="x", alpha=0.3)


# --- goals ------------------------------------------------------------------------------------------------------------


def attained(row: Row) -> float | None:
    """How many times over the goal is reached; below 1 it is missed."""
    goal = row.goal
    if goal is None:
        return None
    if goal.of == "ratio":
        return None if row.ratio is None else row.ratio / goal.bound
    if not row.ours.median:
        return None
    return goal.bound / row.ours.median if row.better == "less" else row.ours.median / goal.bound


def goals(records: Records) -> Figure:
    found = [(row, times) for record in records.values() for row in record.result.rows if (times := attained(row)) is not None]
    found.sort(key=lambda pair: pair[1])
    figure, (axis,) = _axes(1, 1, 9, 1 + 0.22 * len(found))
    names = [f"{row.name}{f' / {row.against}' if row.goal and row.goal.of == 'ratio' else ''}" for row, _ in found]
    names = [name if len(name) < 75 else f"{name[:73]} …" for name in names]
    for place, (row, times) in enumerate(found):
        axis.plot([1, times], [place, place], color=GOOD if row.is_reached else BAD, linewidth=3)
        axis.plot([times], [place], "o", color=GOOD if row.is_reached else BAD, markersize=5)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    _plain(axis.xaxis)
    axis.set_xlabel("times better than its goal (the line); left of it: missed")
    axis.grid(visible=True, axis="x", alpha=0.3)
    return figure


# --- where the time goes ----------------------------------------------------------------------------------------------


def journey(records: Records) -> Figure:
    """Left the medians one after the other, right how far the tails go."""
    journeys = records["journey"].result.data["journeys"]
    heights = [len(found["stages"]) + 2 for found in journeys]
    figure, axes = _axes(len(journeys), 2, 11, 0.26 * sum(heights), gridspec_kw={"height_ratios": heights})
    colors = {"client": OURS, "bridge": GOOD, "TensorBoard": PEER, "in all": "#57606a"}
    titles = {"flushed": "one point, flushed at once", "training": "a training with default settings"}
    for found, left, right in zip(journeys, axes[::2], axes[1::2], strict=True):
        stages = found["stages"]
        for place, (stage, start) in enumerate(zip(stages, _begins(stages), strict=True)):
            color, p50 = colors[stage["where"]], stage["ms"]["p50"]
            left.barh(place, p50, left=start, color=color, height=0.6)
            left.annotate(f" {shown(p50)}", (start + p50, place), va="center", fontsize=8)
            marks = [stage["ms"][key] for key in ("p50", "p90", "p99", "p99.9", "max")]
            right.plot([marks[0], marks[-1]], [place, place], color=color, linewidth=1)
            for at, mark in zip(marks, "o|||D", strict=True):
                right.plot([at], [place], mark, color=color, markersize=5)
        left.set_yticks(range(len(stages)), [f"{stage['where']}: {stage['stage']}" for stage in stages])
        right.set_yticks(range(len(stages)), [])
        for axis in (left, right):
            axis.invert_yaxis()
            axis.grid(visible=True, axis="x", alpha=0.3)
        left.margins(x=0.15)
        left.set_title(f"{titles.get(found['name'], found['name'])}: medians, ms", fontsize=9)
        right.set_xscale("log")
        _plain(right.xaxis)
        right.set_title("ms: p50 ●, p90, p99 and p99.9 |, largest ◆", fontsize=9)
    return figure


def _begins(stages: Sequence[Mapping[str, Any]]) -> list[float]:
    """When each begins: the client's one after the other, the bridge's in the client's last, TensorBoard's once stored."""
    ours = [stage["ms"]["p50"] for stage in stages if stage["where"] == "client"]
    stored = [stage["ms"]["p50"] for stage in stages if stage["stage"].endswith("to the event file")] or [sum(ours)]
    at = {"client": 0.0, "bridge": sum(ours[:-1]), "TensorBoard": stored[0], "in all": 0.0}
    begins = []
    for stage in stages:
        begins.append(at[stage["where"]])
        if stage["where"] in ("client", "bridge"):
            at[stage["where"]] += stage["ms"]["p50"]
    return begins


# --- latency ----------------------------------------------------------------------------------------------------------


def latency(records: Records) -> Figure:
    curves = records["latency"].result.data["curves"]
    sizes = sorted({found["points"] for found in curves})
    figure, axes = _axes(1, len(sizes), 11, 4.5)
    palette = pyplot.get_cmap("viridis")
    counts = sorted({found["connections"] for found in curves})
    for points, axis in zip(sizes, axes, strict=True):
        for found in (found for found in curves if found["points"] == points):
            color = palette(counts.index(found["connections"]) / max(1, len(counts)))
            rates = [load["due_per_s"] for load in found["loads"]]
            for name, style in (("p50", "-"), ("p99", ":")):
                label = f"{found['connections']:,}" if name == "p50" else None
                axis.plot(rates, [load["ms"][name] for load in found["loads"]], style, color=color, label=label, marker=".")
        for name, floor_ms in _floors(records).items():
            axis.axhline(floor_ms, color=FLOOR, linewidth=1, linestyle="--")
            axis.annotate(name, (0.99, floor_ms), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7)
        axis.set_yscale("log")
        _plain(axis.yaxis)
        _plain(axis.xaxis)
        axis.set_xlabel("requests a second, 10% to 120% of the most it can")
        axis.set_title(f"{points:,} point{'s' if points > 1 else ''} a request", fontsize=9)
        axis.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel("ms since it was due: p50 (line), p99 (dots)")
    axes[0].legend(title="connections", fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _floors(records: Records) -> dict[str, float]:
    """Medians over one connection, in ms, of what nobody can be quicker than."""
    found = records["post"].result.data["p50_us"] if "post" in records else {}
    names = {"no-op 1": "a FastAPI route that does nothing", "bare 1": "a bare ASGI app", "sync": "a write with fdatasync"}
    return {says: found[name] / 1e3 for name, says in names.items() if name in found}


# --- rows as bars -----------------------------------------------------------------------------------------------------


def _compared(records: Records, names: Sequence[str], keep: Callable[[Row], bool] = lambda _: True) -> Figure:
    """Ours and every peer, a panel for each name of a row; on a scale that shows factors."""
    panels: dict[tuple[str, str], list[Row]] = {}
    for name in names:
        for row in records[name].result.rows if name in records else ():
            if row.peer is not None and keep(row):
                panels.setdefault((row.name, row.unit), []).append(row)
    bars = sum(len(rows) + 1 for rows in panels.values())
    height = 0.55 * len(panels) + 0.26 * bars
    ratios = [len(rows) + 1 for rows in panels.values()]
    figure, axes = _axes(len(panels), 1, 9, height, gridspec_kw={"height_ratios": ratios})
    for axis, ((title, unit), rows) in zip(axes, panels.items(), strict=True):
        peers = {row.against: row.peer.median for row in rows if row.peer is not None}
        colors = [OURS, *(FLOOR if peer.startswith(FLOORS) else PEER for peer in peers)]
        _bars(axis, ["tbbridge", *peers], [rows[0].ours.median, *peers.values()], colors, unit)
        axis.set_title(f"{title} ({rows[0].better} is better)", fontsize=9, loc="left")
    return figure


def throughput(records: Records) -> Figure:
    rows = records["throughput"].result.rows
    rates = [row for row in rows if row.unit == "points/s" and "disk" not in row.name]
    costs = [row for row in rows if row.unit == "s/M points"]
    figure, (left, right) = _axes(1, 2, 11, 3.6)
    _bars(left, [row.name for row in rates], [row.ours.median for row in rates], [OURS] * len(rates), "points a second")
    _bars(right, [row.name.partition(":")[0] for row in costs], [row.ours.median for row in costs], [PEER] * len(costs), "")
    right.set_xlabel("seconds of the bridge's processor for a million points")
    right.set_yticks(range(len(costs)), [])
    return figure


def kinds(records: Records) -> Figure:
    rows = records["kinds"].result.rows
    figure, (axis,) = _axes(1, 1, 9, 0.8 + 0.3 * len(rows))
    _bars(axis, [row.name for row in rows], [row.ours.median for row in rows], [OURS] * len(rows), "MB a second")
    axis.plot([row.peer.median if row.peer else 0 for row in rows], range(len(rows)), "|", color=FLOOR, markersize=14)
    axis.set_xlim(right=4 * max(row.peer.median if row.peer else 0 for row in rows))
    axis.set_xlabel("MB a second into event files (bar), and the disk's cache with the same bytes (mark)")
    return figure


def scale(records: Records) -> Figure:
    curves = records["scale"].result.data["curves"]
    figure, (axis,) = _axes(1, 1, 7, 3.6)
    for (what, found), color in zip(curves.items(), (OURS, PEER), strict=True):
        axis.plot([at["number"] for at in found], [at["cpu_us"] for at in found], "o-", color=color, label=what)
    axis.set_xscale("log")
    _plain(axis.xaxis)
    axis.set_ylim(0, 1.2 * max(at["cpu_us"] for found in curves.values() for at in found))
    axis.set_xlabel("runs, or tags of one run")
    axis.set_ylabel("processor time a point, us")
    axis.grid(visible=True, alpha=0.3)
    axis.legend()
    return figure


def loop(records: Records) -> Figure:
    figure, (axis,) = _axes(1, 1, 9, 5)
    added: dict[str, dict[str, float]] = {}
    for name in ("loop_peers", "loop"):
        if name in records:
            added |= records[name].result.data["added"]
    palette = [f"C{number}" for number in range(1, 10)]  # C0 is blue, as ours
    for place, (tool, by_tags) in enumerate(sorted(added.items(), key=lambda pair: max(pair[1].values()))):
        ours = tool.startswith("tbbridge")
        tags = sorted(map(int, by_tags))
        values = [by_tags[str(number)] for number in tags]
        color = OURS if ours else palette[place % len(palette)]
        axis.plot(tags, values, "o-", color=color, linewidth=3 if tool == "tbbridge" else 1.3, label=tool)
        side = {"tbbridge": "bottom", "tbbridge, local file": "top"}.get(tool, "center")
        axis.annotate(f"   {tool}", (tags[-1], values[-1]), va=side, fontsize=8, color=color)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(8, 6000)
    _plain(axis.xaxis)
    _plain(axis.yaxis)
    axis.set_xlabel("tags a step")
    axis.set_ylabel("seconds added to 1,000 steps")
    axis.grid(visible=True, alpha=0.3)
    return figure


def soak(records: Records) -> Figure:
    data = records["soak-long" if "soak-long" in records else "soak"].result.data
    samples = data["samples"]
    figure, axes = _axes(4, 1, 8, 9, sharex=True)
    requests = [sample["requests"] / 1e3 for sample in samples]
    before = [{"requests": 0, "seconds": 0.0}, *samples]
    rates = [
        (now["requests"] - then["requests"]) / max(now["seconds"] - then["seconds"], 1e-9)
        for then, now in zip(before, samples, strict=False)
    ]
    panels: tuple[tuple[str, dict[str, list[float]]], ...] = (
        ("memory held, MiB", {"": [sample["memory_bytes"] / MiB for sample in samples]}),
        (
            "number of",
            {
                "descriptors": [sample["descriptors"] for sample in samples],
                "threads": [sample["threads"] for sample in samples],
                "files of its own": [sample["state_files"] for sample in samples],
            },
        ),
        ("files of its own, MiB", {"": [sample["state_bytes"] / MiB for sample in samples]}),
        ("requests a second", {"": rates}),
    )
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for label, values in lines.items():
            axis.plot(requests, values, label=label or None, linewidth=1.2)
        axis.set_ylabel(title)
        axis.set_ylim(0, 1.15 * max(max(values) for values in lines.values()))
        axis.grid(visible=True, alpha=0.3)
        if len(lines) > 1:
            axis.legend(loc="center right")
    axes[-1].set_xlabel("thousands of requests")
    return figure


PICTURES = (
    Picture("journey", ("journey",), "One point's way through client, bridge and TensorBoard, stage by stage", journey),
    Picture("latency", ("latency", "post"), "Latency against load, by connections, and the floors", latency),
    Picture("post", ("post",), "One journalled point beside its floors", lambda records: _compared(records, ["post"])),
    Picture("throughput", ("throughput",), "Points a second and processor time, by form and coding", throughput),
    Picture("kinds", ("kinds",), "Megabytes a second of every kind of summary", kinds),
    Picture("scale", ("scale",), "Processor time a point with 1 to 10,000 runs and tags", scale),
    Picture(
        "encoder",
        ("encoder", "encoder_peers"),
        "Points a second into records: ours, other writers, memory and disk",
        lambda records: _compared(records, ["encoder", "encoder_peers"]),
    ),
    Picture("loop", ("loop", "loop_peers"), "Seconds that logging adds to 1,000 steps of training, by tool", loop),
    Picture(
        "reading", ("reading",), "Reading back, and TensorBoard's readers", lambda records: _compared(records, ["reading"])
    ),
    Picture("soak", ("soak", "soak-long"), "Memory, descriptors, threads, files and pace over very many requests", soak),
)
