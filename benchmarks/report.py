"""docs/benchmarks.md and its pictures, written from the results that are kept and from nothing else."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import plots
from benchmarks.results import DOCS, RESULTS, Record, Row, Spread, read_all, shown, shown_ratio
from benchmarks.suite import BY_NAME, GROUPS, Benchmark

HERE = Path(__file__).parent
PAGE = "benchmarks.md"
PICTURES = "benchmarks"  # the folder beside the page
GOALS = plots.Picture("goals", tuple(BY_NAME), "Every goal: how many times over it is reached, or missed", plots.goals)

HEAD = """# Benchmarks

Written by `python -m benchmarks report` from the JSON in `benchmarks/results/`, not by hand. `make bench` measures all that
needs only this project, in five minutes on two cores; `make bench-peers` installs the others and gives them the same work.
Both write this page. To measure one line again, run the command beside it.

How to read it: a number is the median of a few rounds, with the lowest and the highest in brackets. What is compared was
measured in the same run, round by round in turns. The ratio says how many times better tbbridge is; against a floor or a
limit, which part of what is possible it reaches. Load, bridge and peers share the machine's cores.
"""


def write(results: Path = RESULTS, docs: Path = DOCS) -> list[Path]:
    """Write the page and its pictures; pictures that no result is there for any more go. What was written."""
    records = read_all(results)
    folder = docs / PICTURES
    wanted = pictures(records)
    for old in set(folder.glob("*.svg")) - {folder / f"{picture.name}.svg" for picture in wanted}:
        old.unlink()
    written = []
    for picture in wanted:
        written.append(folder / f"{picture.name}.svg")
        plots.draw(picture, records, written[-1])
    (docs / PAGE).write_text(page(records))
    return [*written, docs / PAGE]


def pictures(records: Mapping[str, Record]) -> list[plots.Picture]:
    """Those for which there are results."""
    return [picture for picture in (GOALS, *plots.PICTURES) if any(name in records for name in _first(picture))]


def _first(picture: plots.Picture) -> tuple[str, ...]:
    return picture.needs if picture is GOALS or picture.name in ("loop", "encoder", "soak") else picture.needs[:1]


def page(records: Mapping[str, Record]) -> str:
    """The page's text."""
    parts = [HEAD, *_machines(records), *_goals(records)]
    drawn = {picture.name: picture for picture in pictures(records)}
    for group in GROUPS:
        benchmarks = [benchmark for benchmark in BY_NAME.values() if benchmark.group == group]
        parts.append(f"## {group}\n")
        parts += [_picture(drawn[benchmark.name]) for benchmark in benchmarks if benchmark.name in drawn]
        for benchmark in benchmarks:
            parts += _benchmark(benchmark, records.get(benchmark.name))
    return "\n".join(parts).rstrip() + "\n"


def _machines(records: Mapping[str, Record]) -> Iterator[str]:
    """What was measured on. Results of several machines, or days, are told apart."""
    known: dict[str, list[str]] = {}
    for name, record in records.items():
        facts = record.machine
        text = (
            f"{facts['cores']} cores of {facts['processor']}, {facts['memory_gib']:g} GiB, {facts['system']} "
            f"{facts['kernel']}, {facts['file_system']}, Python {record.versions['Python']}"
        )
        known.setdefault(text, []).append(name)
    if not known:
        yield "Nothing has been measured yet: `make bench`.\n"
        return
    for text, names in known.items():
        which = "" if len(known) == 1 else f" ({', '.join(names)})"
        yield f"**Measured on** {text}{which}.\n"
    versions: dict[str, set[str]] = {}
    for record in records.values():
        for package, version in record.versions.items():
            if version and package != "Python":
                versions.setdefault(package, set()).add(version)
    listed = ", ".join(f"{package} {' and '.join(sorted(found))}" for package, found in sorted(versions.items()))
    loads = [record.machine["load_before"] for record in records.values()]
    yield f"Versions: {listed}.\n"
    yield (
        f"Load of the machine when a benchmark began: {min(loads):g} to {max(loads):g}, the ones before it included "
        "(each table says its own). Numbers from a machine with other work are noise: look at the spread.\n"
    )
    quick = [name for name, record in records.items() if record.size == "quick"]
    if quick:
        yield f"**Not to be believed**: {', '.join(quick)} ran with `--quick`.\n"


def _goals(records: Mapping[str, Record]) -> Iterator[str]:
    rows = [
        (name, row) for name, record in records.items() if name in BY_NAME for row in record.result.rows if row.goal is not None
    ]
    if not rows:
        return
    reached = sum(bool(row.is_reached) for _, row in rows)
    yield f"## Goals: {reached} of {len(rows)} reached\n"
    yield _picture(GOALS)
    yield "| what should be true | measured | goal | | again |\n|---|---|---|---|---|"
    for name, row in sorted(rows, key=lambda pair: (bool(pair[1].is_reached), list(BY_NAME).index(pair[0]))):
        of_ratio = row.goal is not None and row.goal.of == "ratio"
        measured = f"{shown_ratio(row.ratio)} of {row.against}" if of_ratio else f"{shown(row.ours.median)} {row.unit}"
        if of_ratio:
            measured += f" ({shown(row.ours.median)} {row.unit})"
        verdict = "reached" if row.is_reached else "**MISSED**"
        yield f"| {_cell(row.name)} | {_cell(measured)} | {row.goal_text} | {verdict} | `python -m benchmarks {name}` |"
    yield ""
    yield from _findings([row for _, row in rows if not row.is_reached])


def _findings(missed: list[Row]) -> Iterator[str]:
    """Why, of those that are missed and whose reason is known."""
    known = tomllib.loads((HERE / "findings.toml").read_text())
    told = [
        (row, finding)
        for row in missed
        if (finding := known.get(f"{row.name} / {row.against.partition(' (')[0]}") or known.get(row.name))
    ]
    if told:
        yield "### What is missed, and why\n"
    for row, finding in told:
        beside = f" (beside {row.against})" if row.goal and row.goal.of == "ratio" else ""
        yield f"- **{row.name}**{beside}. {finding['why']} What would be needed: {finding['needed']}"
    if told:
        yield ""


def _picture(picture: plots.Picture) -> str:
    return f"![{picture.says}]({PICTURES}/{picture.name}.svg)\n"


def _benchmark(benchmark: Benchmark, record: Record | None) -> Iterator[str]:
    yield f"### {benchmark.what[0].upper()}{benchmark.what[1:]}\n"
    command = f"`python -m benchmarks {benchmark.name}`"
    if record is None:
        yield f"Not measured: {command}.\n"
        return
    yield f"{_about(benchmark.name)}\n"
    yield f"{command}, {record.seconds:.0f} s, {record.made[:10]}, load before it {record.machine['load_before']:g}\n"
    if record.result.rows:
        yield "| | tbbridge | | against | | ratio | goal | |\n|---|---|---|---|---|---|---|---|"
    for row in record.result.rows:
        peer = "" if row.peer is None else _spread(row.peer)
        verdict = {None: "", True: " reached", False: " **MISSED**"}[row.is_reached]
        ratio, goal = shown_ratio(row.ratio), f"{row.goal_text}{verdict}"
        cells = (row.name, _spread(row.ours), row.unit, row.against, peer, ratio, goal, row.note)
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""
    for peer, why in record.result.missing.items():
        yield f"Not measured: **{peer}**: {why}\n"


def _spread(spread: Spread) -> str:
    if spread.rounds == 1:
        return shown(spread.median)
    return f"{shown(spread.median)} ({shown(spread.low)}..{shown(spread.high)})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _about(name: str) -> str:
    """What the benchmark's module says of itself, but for its first line, which the heading has."""
    said = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or ""
    return said.partition("\n\n")[2]
