"""The columnar encoder against tensorboardX, torch and the physical limit.

Ours is the time from columns to framed bytes; theirs from the first `add_scalar` to the closed file. The limit is memory and
the disk's cache: as many bytes copied, and written; the ratio to these says which part of it is reached.
`python -m benchmarks encoder_peers` compares with TensorFlow's own writer.
"""

from __future__ import annotations

import contextlib
import importlib
import statistics
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorboardX

from benchmarks.measure import Size, in_turns, seconds
from benchmarks.results import Goal, Result, Row, Spread
from tbbridge.events.scalars import encode_scalars
from tbbridge.model import ScalarColumns, TagName

POINTS = 10_000
STRETCH_BYTES = 64 << 20
# (name, tags, what tensorboardX's time is to be divided by)
CASES = (
    ("10,000 points of 1 tag", 1, 300.0),
    ("100 tags of 100 points", 100, 100.0),
    ("10,000 tags of 1 point", POINTS, None),
)

Make = Callable[[str], Any]


def columns(tags: int, points: int) -> list[ScalarColumns]:
    random = np.random.default_rng(0)
    return [
        ScalarColumns(
            TagName(f"train/metric{tag}"),
            random.normal(size=points),
            np.arange(points),
            1.7e9 + np.cumsum(random.random(points)),
        )
        for tag in range(tags)
    ]


def writers() -> dict[str, Make]:
    """The writers of event files that are installed beside us."""
    found: dict[str, Make] = {"tensorboardX": tensorboardX.SummaryWriter}
    with contextlib.suppress(ImportError):  # the result says so
        found["torch"] = importlib.import_module("torch.utils.tensorboard").SummaryWriter
    return found


def write_with(make: Make, given: list[ScalarColumns]) -> None:
    """Point after point, tags taking turns, as a training loop logs them."""
    rows = [(column.tag, column.values.tolist()) for column in given]
    with tempfile.TemporaryDirectory() as folder:
        writer = make(folder)
        for step in range(len(rows[0][1])):
            for tag, values in rows:
                writer.add_scalar(tag, values[step], step)
        writer.close()


def several(work: Callable[[], object], repeats: int) -> float:
    """Seconds of one of them, where one takes less than a millisecond."""
    return statistics.median(seconds(work) for _ in range(repeats))


def limits_of(data: bytes, file: Path) -> dict[str, Callable[[], float]]:
    """Seconds for as many bytes copied in memory, and written to the disk's cache; over more than processors' caches hold."""
    times = max(1, STRETCH_BYTES // len(data))
    source = np.frombuffer(data * times, np.uint8)
    target = np.zeros_like(source)  # its pages are there

    def write() -> None:
        with file.open("wb", buffering=0) as opened:
            for _ in range(times):
                opened.write(data)

    return {
        "memory copy": lambda: several(lambda: np.copyto(target, source), 3) / times,
        "buffered write": lambda: seconds(write) / times,
    }


def compare(name: str, given: list[ScalarColumns], goal: float | None, size: Size) -> list[Row]:
    points = sum(len(column.values) for column in given)
    repeats = size.pick(3, 20)

    def ours() -> bytes:
        return bytes(encode_scalars(given, ()))

    data = ours()  # tables and caches are filled once in a process
    peers = writers()
    with tempfile.TemporaryDirectory() as folder:
        works: Mapping[str, Callable[[], float]] = {
            "tbbridge": lambda: several(lambda: encode_scalars(given, ()), repeats),
            **limits_of(data, Path(folder) / "limit"),
            **{peer: partial(seconds, partial(write_with, make, given)) for peer, make in peers.items()},
        }
        found = in_turns(works, size.pick(1, 4, 9), "encoder")
    rates = {peer: Spread.of(times).inverse(points) for peer, times in found.items()}
    note = f"{len(data) / points:.1f} bytes a point, {rates['tbbridge'].median * len(data) / points / 1e9:.2f} GB/s"
    rows = []
    for peer, rate in rates.items():
        if peer != "tbbridge":
            asked = Goal(goal) if goal is not None and peer == "tensorboardX" else None
            rows.append(Row(f"encode {name}", "points/s", rates["tbbridge"], rate, peer, "more", asked, note))
            note = ""
    return rows


def run(size: Size) -> Result:
    """Everything measured here."""
    rows: list[Row] = []
    for name, tags, goal in CASES:
        rows += compare(name, columns(tags, POINTS // tags), goal, size)
    missing = {} if "torch" in writers() else {"torch": "it is not installed beside us"}
    return Result(rows, {}, missing)
