"""A day of light load in a few minutes: many small requests must not make anything grow (`--long`: a million).

64 senders, each with a writer, a sequence number and a run of its own, send one point a request, each tenth one a second time,
as after a lost answer; every thousandth request is refused for its content. The journal's segments are small, so that it begins
hundreds of them, and checkpoints as often. Memory, descriptors, threads and files of the bridge are looked at a hundred times,
and drawn; compared is the beginning, when all is warm, with the end.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import closed_loop, post
from benchmarks.measure import Size
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import Server, bridge
from tbbridge.limits import MiB
from tbbridge.model import STATE_FOLDER

SENDERS = 64
SAMPLES = 100
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


def look(server: Server, requests: int, seconds: float, times: list[float]) -> Sample:
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


def soak(server: Server, requests: int) -> list[Sample]:
    senders = [Sender(number) for number in range(SENDERS)]
    samples: list[Sample] = []
    times: list[float] = []
    sent = answered = 0
    started = time.perf_counter()

    def following(number: int) -> bytes:
        nonlocal sent
        sent += 1
        return senders[number].next(sent)

    def keep(_: int, __: int, took: float) -> None:
        nonlocal answered
        answered += 1
        times.append(took)
        if answered % max(1, requests // SAMPLES) == 0:
            samples.append(look(server, answered, time.perf_counter() - started, times))
            times.clear()

    closed_loop(server, following, SENDERS, count=requests, on_answer=keep).check(200, 422)
    return samples


def growth(samples: list[Sample], field: str) -> tuple[float, float]:
    """What there was when all was warm, and at the end: medians of the second tenth and of the last.

    Of files, of which one more or less is there as segments and checkpoints come and go, the means of the second quarter and of
    the second half.
    """
    values = [float(getattr(sample, field)) for sample in samples]
    tenth, half = max(1, len(values) // 10), len(values) // 2
    if field.startswith("state"):
        return statistics.fmean(values[half // 2 : half]), statistics.fmean(values[half:])
    return statistics.median(values[tenth : 2 * tenth]), statistics.median(values[-tenth:])


def run(size: Size) -> Result:
    """Whether memory, descriptors and files at the end are what they were when all was warm."""
    requests = size.pick(2_000, 30_000, 1_000_000)
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs", "--segment-bytes", "256KiB") as server:
        samples = soak(server, requests)
    rate = requests / samples[-1].seconds
    p99_ms = statistics.median(sample.p99_s for sample in samples) * 1e3
    rows = []
    for title, unit, field, scale in (
        ("soak: memory at the end", "MiB", "memory_bytes", MiB),
        ("soak: descriptors", "files", "descriptors", 1),
        ("soak: files of its own", "files", "state_files", 1),
        ("soak: bytes of its own files", "MiB", "state_bytes", MiB),
    ):
        warm, end = growth(samples, field)
        note = f"{requests:,} requests, {rate:,.0f} a second, p99 {p99_ms:.0f} ms" if field == "memory_bytes" else ""
        ours, before = Spread.one(end / scale), Spread.one(warm / scale)
        rows.append(Row(title, unit, ours, before, "the same when all was warm", goal=Goal(1 / SLACK), note=note))
    return Result(rows, {"requests": requests, "samples": [sample._asdict() for sample in samples]})
