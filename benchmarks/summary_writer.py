"""The local `SummaryWriter` against tensorboardX's and torch's, in one run: `python -m benchmarks.summary_writer`.

The call is what a training loop pays for one `add_scalar` with a step, 5,000 in a row (more than most trainings log in a
second), each writer's thread at work behind it. Until closed is the time from the constructor to the closed file, which ours
has also synced. Rounds of all alternate, so that whatever else the machine does falls on all; medians are compared. torch is
measured where it is installed.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorboardX

from benchmarks.table import Row, print_table
from tbbridge import SummaryWriter

ROUNDS = 7
CALLS = 5_000
POINTS = 100_000  # of ours until closed
PEER_POINTS = 10_000  # of theirs, which are slower; both by the point
HISTOGRAMS = 2_000
PEER_HISTOGRAMS = 200
VALUES = 10_000

Make = Callable[[str], Any]


def peers() -> dict[str, Make]:
    found: dict[str, Make] = {"tensorboardX": tensorboardX.SummaryWriter}
    try:
        found["torch"] = importlib.import_module("torch.utils.tensorboard").SummaryWriter
    except ImportError:
        print("torch is not installed, and so not compared", file=sys.stderr)
    return found


def call_ns(writer: Any, first: int) -> float:
    start = time.perf_counter()
    for step in range(first, first + CALLS):
        writer.add_scalar("train/loss", 0.5, step)
    return (time.perf_counter() - start) / CALLS * 1e9


def until_closed_us(make: Make, folder: Path, points: int) -> float:
    start = time.perf_counter()
    writer = make(str(folder))
    for step in range(points):
        writer.add_scalar("train/loss", 0.5, step)
    writer.close()
    return (time.perf_counter() - start) / points * 1e6


def histogram_us(make: Make, folder: Path, values: Any, count: int) -> float:
    start = time.perf_counter()
    writer = make(str(folder))
    for step in range(count):
        writer.add_histogram("layer/weights", values, step)
    writer.close()
    return (time.perf_counter() - start) / count * 1e6


def import_ms(statement: str) -> float:
    """Of a new process, without the interpreter's own start."""
    source = f"import time; start = time.perf_counter(); {statement}; print((time.perf_counter() - start) * 1e3)"
    return float(subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout)


def run() -> list[Row]:
    """Everything measured, for this table and for the one of all benchmarks."""
    theirs = peers()
    makers: dict[str, Make] = {"tbbridge": SummaryWriter, **theirs}
    calls: dict[str, list[float]] = {name: [] for name in makers}
    closed: dict[str, list[float]] = {name: [] for name in makers}
    histograms: dict[str, list[float]] = {name: [] for name in makers}
    values = np.random.default_rng(0).normal(size=VALUES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writers = {maker: make(str(folder / f"calls-{maker}")) for maker, make in makers.items()}
        for number in range(ROUNDS):
            for maker, make in makers.items():
                calls[maker].append(call_ns(writers[maker], number * CALLS))
                writers[maker].flush()
                points, count = (POINTS, HISTOGRAMS) if maker == "tbbridge" else (PEER_POINTS, PEER_HISTOGRAMS)
                closed[maker].append(until_closed_us(make, folder / f"closed-{maker}-{number}", points))
                histograms[maker].append(histogram_us(make, folder / f"histograms-{maker}-{number}", values, count))
        for writer in writers.values():
            writer.close()
    rows = []
    for peer in theirs:
        for title, unit, measured, target in (
            ("writer.add_scalar(tag, value, step)", "ns", calls, 25.0),
            ("add_scalar until closed, a point", "us", closed, 20.0),
            (f"histogram of {VALUES:,} until closed", "us", histograms, 3.0 if peer == "tensorboardX" else None),
        ):
            mine, other = statistics.median(measured["tbbridge"]), statistics.median(measured[peer])
            rows.append(Row(f"{title}, against {peer}", unit, mine, other, other / mine, target))
    mine, other = (
        statistics.median(import_ms(f"from {package} import SummaryWriter") for _ in range(3))
        for package in ("tbbridge", "tensorboardX")
    )
    rows.append(
        Row("import of SummaryWriter, against tensorboardX", "ms", mine, other, other / mine, None, "goal: below 150 ms")
    )
    return rows


if __name__ == "__main__":
    print_table(run())
