"""A day of light load in a few minutes: a million small requests must not make anything grow: `python -m benchmarks soak`.

64 senders, each with a writer, a sequence number and a run of its own, send one point a request, each tenth one a second time,
as after a lost answer; every thousandth request is refused for its content. The journal's segments are small, so that it begins
hundreds of them, and checkpoints as often. Memory, descriptors, threads and files of the bridge are looked at a hundred times,
and drawn in docs/soak.svg; compared is the beginning, when all is warm, with the end.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import Answered, Bridge, Connection, bridge, connect, post, run_loop
from benchmarks.table import Row, print_table
from tbbridge.limits import MiB
from tbbridge.model import STATE_FOLDER

REQUESTS = 1_000_000
SENDERS = 64
SAMPLES = 100
PLOT = Path(__file__).parents[1] / "docs" / "soak.svg"
# What a heap that is used in ever other ways may still grow by when nothing leaks.
SLACK = 1.10


class Sample(NamedTuple):
    """The bridge at one moment."""

    requests: int
    seconds: float
    memory_bytes: int
    descriptors: int
    threads: int
    state_files: int  # in the bridge's own folder: segments, checkpoints, logs
    state_bytes: int
    p99_s: float  # of the requests since the last sample


def look(server: Bridge, requests: int, seconds: float, times: list[float]) -> Sample:
    files = [path for path in (server.logdir / STATE_FOLDER).rglob("*") if path.is_file()]
    size = 0
    for path in files:
        try:
            size += path.stat().st_size
        except FileNotFoundError:  # a segment that a checkpoint has just made unnecessary
            continue
    threads = len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))
    p99_s = sorted(times)[len(times) * 99 // 100] if times else 0.0
    return Sample(requests, seconds, server.memory_bytes, server.descriptors, threads, len(files), size, p99_s)


class Sender:
    """One program that logs a point a request."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._seq = 0
        self._last = b""

    def next(self, turn: int) -> bytes:
        if turn % 1000 == 999:
            return post(b'{"runs":[{"run":"../out","scalars":[]}]}', "application/json")
        if turn % 10 != 9 or not self._last:
            self._seq += 1
            point = f'{{"tag":"loss","steps":[{self._seq}],"values":[{1 / self._seq}]}}'
            body = (
                f'{{"writer":"w{self._number}","seq":{self._seq},"runs":[{{"run":"run-{self._number}","scalars":[{point}]}}]}}'
            )
            self._last = post(body.encode(), "application/json")
        return self._last


async def soak(server: Bridge, requests: int) -> list[Sample]:
    senders: dict[Connection, Sender] = {}
    samples: list[Sample] = []
    times: list[float] = []
    sent = answered = 0
    over = asyncio.Event()
    started = time.perf_counter()

    def done(connection: Connection, answer: Answered) -> None:
        nonlocal sent, answered
        if answer.status not in (200, 422):
            raise RuntimeError(f"a request was answered with {answer.status}")
        answered += 1
        times.append(answer.seconds)
        if answered % max(1, requests // SAMPLES) == 0:
            samples.append(look(server, answered, time.perf_counter() - started, times))
            times.clear()
        if sent < requests:
            sent += 1
            connection.send(senders[connection].next(sent), time.perf_counter())
        elif answered == requests:
            over.set()

    for number in range(SENDERS):
        senders[await connect(server, done)] = Sender(number)
    for connection, sender in senders.items():
        sent += 1
        connection.send(sender.next(sent), time.perf_counter())
    await over.wait()
    for connection in senders:
        connection.transport.close()
    return samples


def draw(samples: list[Sample], path: Path) -> None:
    """Four small pictures, one above the other."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams["svg.fonttype"] = "none"  # letters as letters
    mpl.rcParams["svg.hashsalt"] = "tbbridge"  # the same ids each time: a picture that is drawn again differs by its data
    figure, axes = pyplot.subplots(4, 1, figsize=(8, 9), sharex=True, layout="constrained")
    millions = [sample.requests / 1e6 for sample in samples]
    rates = [
        (now.requests - before.requests) / max(now.seconds - before.seconds, 1e-9)
        for before, now in zip([Sample(0, 0.0, 0, 0, 0, 0, 0, 0.0), *samples], samples, strict=False)
    ]
    panels: tuple[tuple[str, list[tuple[str, Sequence[float]]]], ...] = (
        ("memory held, MiB", [("", [sample.memory_bytes / MiB for sample in samples])]),
        (
            "number of",
            [
                ("descriptors", [sample.descriptors for sample in samples]),
                ("threads", [sample.threads for sample in samples]),
                ("files of its own", [sample.state_files for sample in samples]),
            ],
        ),
        ("files of its own, MiB", [("", [sample.state_bytes / MiB for sample in samples])]),
        ("requests a second", [("", rates)]),
    )
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for label, values in lines:
            axis.plot(millions, values, label=label or None, linewidth=1.2)
        axis.set_ylabel(title)
        axis.set_ylim(0, 1.15 * max(max(values) for _, values in lines))
        axis.grid(visible=True, alpha=0.3)
        if len(lines) > 1:
            axis.legend(loc="center right")
    axes[-1].set_xlabel("millions of requests")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def growth(samples: list[Sample], field: str) -> tuple[float, float]:
    """What there was when all was warm, and at the end: medians of the second tenth and of the last.

    Of files, which come and go with each segment, the most in either half.
    """
    values = [float(getattr(sample, field)) for sample in samples]
    tenth, half = max(1, len(values) // 10), len(values) // 2
    if field.startswith("state"):
        return max(values[:half]), max(values[half:])
    return statistics.median(values[tenth : 2 * tenth]), statistics.median(values[-tenth:])


def run(requests: int = REQUESTS, plot: Path | None = PLOT) -> list[Row]:
    """Whether memory, descriptors and files at the end are what they were when all was warm."""
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs", "--segment-bytes", "256KiB") as server:
        samples = run_loop(soak(server, requests))
    if plot is not None:
        draw(samples, plot)
    rate = requests / samples[-1].seconds
    p99_ms = statistics.median(sample.p99_s for sample in samples) * 1e3
    rows = []
    for title, unit, field, scale in (
        ("soak: memory at the end and when warm", "MiB", "memory_bytes", MiB),
        ("soak: descriptors", "files", "descriptors", 1),
        ("soak: files of its own", "files", "state_files", 1),
        ("soak: bytes of its own files", "MiB", "state_bytes", MiB),
    ):
        warm, end = growth(samples, field)
        note = f"{requests:,} requests, {rate:,.0f} a second, p99 {p99_ms:.0f} ms" if field == "memory_bytes" else ""
        rows.append(Row(title, unit, end / scale, warm / scale, warm / end, 1 / SLACK, note))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, metavar="COUNT")
    parser.add_argument("--plot", type=Path, default=PLOT, metavar="FILE")
    asked = parser.parse_args()
    print_table(run(asked.requests, asked.plot))
