"""All points of runs as text, a piece at a time: CSV, JSON lines, and the JSON of tensorboardX's export_scalars_to_json.

Pieces are made while files are read, so memory does not grow with the runs. NaN and infinities are the words NaN, Infinity and
-Infinity, in JSON as strings, as everywhere in the interface. Scalars only: the other kinds are in a run's archive.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from tbbridge import limits
from tbbridge.errors import Conflict, NotFound
from tbbridge.store.catalog import ROOT_RUN, Catalog, TagInfo
from tbbridge.store.eventfiles import SCALAR
from tbbridge.store.series import Series, joined

CSV_HEAD: Final = b"run,tag,step,wall_time,value\n"

Row = Callable[[Series], bytes]


def export_rows(
    catalog: Catalog, runs: Sequence[str], tags: Collection[str], row_of: Callable[[str, str], Row]
) -> Iterator[bytes]:
    """Every point as a row, run by run. In a run the tags take turns; the points of one tag stand in the order of writing."""
    for run in runs:
        for found in _scan(catalog, run):
            for name, series in found.items():
                if not tags or name in tags:
                    yield from map(row_of(run, name), _pieces(series))


def csv_row(run: str, tag: str) -> Row:
    """Rows of CSV; names are quoted where RFC 4180 asks for it."""
    head = csv_line(run, tag)[:-1]

    def rows(series: Series) -> bytes:
        steps, times, values = _columns(series)
        return "".join(
            [f"{head},{step},{time},{value}\n" for step, time, value in zip(steps, times, values, strict=True)]
        ).encode()

    return rows


def json_row(run: str, tag: str) -> Row:
    """One JSON object a line."""
    head = f'{{"run":{json.dumps(run)},"tag":{json.dumps(tag)},"step":'

    def rows(series: Series) -> bytes:
        steps, times, values = _columns(series, quote='"')
        lines = [
            f'{head}{step},"wall_time":{time},"value":{value}}}\n'
            for step, time, value in zip(steps, times, values, strict=True)
        ]
        return "".join(lines).encode()

    return rows


def export_tensorboard_json(catalog: Catalog, runs: Sequence[str], wanted: Collection[str]) -> Iterator[bytes]:
    """One object: {"<run>/<tag>": [[wall_time, step, value], ...]}; the log folder's own run has its tags without a prefix.

    Raises `Conflict` at the first piece if two tags would have the same key.
    """
    tags = {run: [found for found in catalog.run(run)[1] if _is_wanted(found, wanted)] for run in runs}
    keys = Counter(_key(run, found.tag) for run, known in tags.items() for found in known)
    for key, count in keys.items():
        if count > 1:
            raise Conflict(
                f"{count} series would be called {key!a}, which is a run's name and a tag; export their runs one by one"
            )
    separator = b"{"
    for run, known in tags.items():
        for some in _held_together(known):
            for piece in _tags_in_one_pass(catalog, run, some):
                yield separator + piece
                separator = b""
            separator = b",\n"
    yield b"{}\n" if separator == b"{" else b"}\n"


def _tags_in_one_pass(catalog: Catalog, run: str, tags: Sequence[str]) -> Iterator[bytes]:
    if len(tags) == 1:
        separator = f"{json.dumps(_key(run, tags[0]))}:["
        for found in _scan(catalog, run):
            for series in _pieces(found.get(tags[0])):
                yield (separator + _triples(series)).encode()
                separator = ","
        yield b"]" if separator == "," else (separator + "]").encode()
        return
    parts: dict[str, list[Series]] = {name: [] for name in tags}
    for found in _scan(catalog, run):
        for name in parts.keys() & found.keys():
            parts[name].append(found[name])
    for number, (name, some) in enumerate(parts.items()):
        separator = f"{',' if number else ''}{json.dumps(_key(run, name))}:["
        for series in _pieces(joined(some)):
            yield (separator + _triples(series)).encode()
            separator = ","
        yield b"]\n" if separator == "," else (separator + "]\n").encode()


def wanted_runs(catalog: Catalog, runs: Sequence[str], tags: Collection[str]) -> list[str]:
    """The runs to export, each once: those asked for, or all. With `tags`, those that hold at least one of them.

    Raises `NotFound` for a run that is not there, and for a tag that no run holds; `InvalidQuery` for a name that cannot be.
    """
    names = list(dict.fromkeys(runs)) or catalog.names()
    if not tags:
        for name in runs:
            catalog.run(name)
        return names
    missing = dict.fromkeys(tags)
    holding = []
    for name in names:
        held = {found.tag for found in catalog.run(name)[1] if _is_wanted(found, tags)}
        missing = {tag: None for tag in missing if tag not in held}
        if held:
            holding.append(name)
    for tag in missing:
        if len(names) == 1:
            catalog.series(names[0], tag, 0, -1)  # says what is wrong with it
        raise NotFound(f"none of {len(names)} runs holds scalars with the tag {tag[:100]!a}")
    return holding


def csv_line(*cells: str) -> str:
    """One line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def number_texts(numbers: Sequence[float], quote: str = "") -> list[str]:
    """Numbers as the shortest text that reads back as the same float64; what JSON has no number for in `quote`s."""
    return [repr(number) if math.isfinite(number) else quote + _special(number) + quote for number in numbers]


def _special(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _columns(series: Series, quote: str = "") -> tuple[list[int], list[str], list[str]]:
    times = number_texts(series.wall_times.tolist(), quote)
    return series.steps.tolist(), times, number_texts(series.values.tolist(), quote)


def _triples(series: Series) -> str:
    steps, times, values = _columns(series, quote='"')
    return ",".join([f"[{time},{step},{value}]" for step, time, value in zip(steps, times, values, strict=True)])


def _pieces(series: Series | None) -> Iterator[Series]:
    if series is not None:
        for start in range(0, len(series), limits.READ_PIECE_POINTS):
            yield series.part(start, start + limits.READ_PIECE_POINTS)


def _scan(catalog: Catalog, run: str) -> Iterator[dict[str, Series]]:
    """All of a run; nothing if it was deleted before its turn came. One that is deleted in the middle cuts the export short."""
    found = catalog.scan(run)
    try:
        first = next(found, None)
    except NotFound:
        return
    if first is not None:
        yield first
        yield from found


def _is_wanted(found: TagInfo, tags: Collection[str]) -> bool:
    return found.kind == SCALAR and (not tags or found.tag in tags)


def _held_together(tags: Sequence[TagInfo]) -> Iterator[list[str]]:
    """Tags whose points are held at one time, limits.EXPORT_HELD_POINTS at most; a larger tag stands alone."""
    some: list[str] = []
    held = 0
    for found in tags:
        if some and held + found.count > limits.EXPORT_HELD_POINTS:
            yield some
            some, held = [], 0
        some.append(found.tag)
        held += found.count
    if some:
        yield some


def _key(run: str, tag: str) -> str:
    return tag if run == ROOT_RUN else f"{run}/{tag}"
