"""The local `SummaryWriter` against tensorboardX's and torch's.

The call is what a training loop pays for one `add_scalar` with a step, 5,000 in a row (more than most trainings log in a
second), each writer's thread at work behind it. Until closed is the time from the constructor to the closed file, which ours
has also synced.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoder import Make, writers
from benchmarks.measure import Size, in_turns
from benchmarks.results import Goal, Result, Row, Spread
from tbbridge import SummaryWriter

VALUES = 10_000


def call_ns(writer: Any, first: int, calls: int) -> float:
    start = time.perf_counter()
    for step in range(first, first + calls):
        writer.add_scalar("train/loss", 0.5, step)
    took = time.perf_counter() - start
    writer.flush()
    return took / calls * 1e9


def until_closed_us(make: Make, folder: Path, points: int) -> float:
    start = time.perf_counter()
    writer = make(str(folder))
    for step in range(points):
        writer.add_scalar("train/loss", 0.5, step)
    writer.close()
    return (time.perf_counter() - start) / points * 1e6


def histogram_us(make: Make, folder: Path, values: Any, histograms: int) -> float:
    start = time.perf_counter()
    writer = make(str(folder))
    for step in range(histograms):
        writer.add_histogram("layer/weights", values, step)
    writer.close()
    return (time.perf_counter() - start) / histograms * 1e6


def import_ms(package: str) -> float:
    """Of a new process, without the interpreter's own start."""
    source = (
        "import time; start = time.perf_counter(); "
        f"from {package} import SummaryWriter; print((time.perf_counter() - start) * 1e3)"
    )
    return float(subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout)


def run(size: Size) -> Result:
    """Everything measured, beside each of the peers."""
    calls, points, histograms = size.pick((500, 2_000, 20), (5_000, 100_000, 1_000))
    theirs = writers()
    makers: dict[str, Make] = {"tbbridge": SummaryWriter, **theirs}
    values = np.random.default_rng(0).normal(size=VALUES)
    number = count()
    works: dict[str, Callable[[], float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opened = {maker: make(str(folder / f"calls-{maker}")) for maker, make in makers.items()}
        for maker, make in makers.items():
            part = 1 if maker == "tbbridge" else 20  # they are slower; all count by the point

            def closed(make: Make = make, part: int = part) -> float:
                return until_closed_us(make, folder / f"closed-{next(number)}", points // part)

            def histogram(make: Make = make, part: int = part) -> float:
                return histogram_us(make, folder / f"histograms-{next(number)}", values, max(10, histograms // part))

            works[f"{maker} call"] = lambda maker=maker: call_ns(opened[maker], next(number) * calls, calls)  # type: ignore[misc]
            works[f"{maker} closed"] = closed
            works[f"{maker} histogram"] = histogram
        for package in ("tbbridge", "tensorboardX"):
            works[f"{package} import"] = lambda package=package: import_ms(package)  # type: ignore[misc]
        found = in_turns(works, size.pick(1, 3, 7), "summary_writer")
        for writer in opened.values():
            writer.close()
    spread = {what: Spread.of(measured) for what, measured in found.items()}
    rows = [
        Row(title, unit, spread[f"tbbridge {what}"], spread[f"{peer} {what}"], peer, goal=goal)
        for peer in theirs
        for what, title, unit, goal in (
            ("call", "writer.add_scalar(tag, value, step)", "ns", Goal(25.0)),
            ("closed", "writer.add_scalar until closed, a point", "us", Goal(20.0)),
            ("histogram", f"histogram of {VALUES:,} until closed", "us", Goal(3.0) if peer == "tensorboardX" else None),
        )
    ]
    imported = spread["tbbridge import"], spread["tensorboardX import"]
    rows.append(Row("import of SummaryWriter", "ms", *imported, "tensorboardX", goal=Goal(150.0, "ours")))
    return Result(rows)
