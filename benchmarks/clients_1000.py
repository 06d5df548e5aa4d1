"""A thousand clients that flush once a second, 20 tags each.

Each has a connection, a run and a writer of its own, and sends a numbered batch of 20 tags in protobuf at a moment of its own
within the second: a step each, and, beyond what is asked for, what a training of ten steps a second makes. The runs are there
before it begins. The connections are of several addresses. Times are from when a flush was due; every batch's answer says that
it is on disk.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.bodies import PROTOBUF
from benchmarks.load import closed_loop, evenly, open_loop, post
from benchmarks.measure import Size, percentile
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import bridge
from tbbridge.limits import MiB
from tbbridge.v1 import write_pb2

TAGS = 20
POINTS = (1, 10)  # of each tag in a flush
P99_S = 0.25
MEMORY_BYTES = 300 * MiB


class Training:
    """One client's run."""

    def __init__(self, number: int, points: int) -> None:
        self._number = number
        self._points = points
        self.flushes = 0

    def flush(self) -> bytes:
        """The next second's batch."""
        self.flushes += 1
        message = write_pb2.WriteRequest(writer=f"client-{self._number}", seq=self.flushes)
        run = message.runs.add(run=f"fleet/client-{self._number}")
        steps = range((self.flushes - 1) * self._points, self.flushes * self._points)
        for tag in range(TAGS):
            run.scalars.add(tag=f"train/metric-{tag}", steps=steps, values=[self.flushes / (tag + 1)] * self._points)
        return post(message.SerializeToString(), PROTOBUF)


def measure(points: int, size: Size) -> list[Row]:
    """One row of times and one of memory."""
    clients, seconds = size.pick((50, 2), (1000, 5), (1000, 30))
    trainings = [Training(number, points) for number in range(clients)]
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs") as server:
        # On several connections, of which each begins the runs whose turn it is.
        begun = iter(trainings)
        closed_loop(server, lambda _: next(begun).flush(), min(8, clients), count=clients).check(200)
        before = server.cpu_seconds
        loaded = open_loop(
            server,
            lambda number: trainings[number].flush(),
            evenly(clients, seconds),
            clients,
            grace_s=10.0,  # a flush that takes longer is one that failed
            in_turn=True,
        )
        cpu = (server.cpu_seconds - before) / seconds
        held = server.most_memory_bytes
    loaded.check(200)
    times = loaded.answered[200]
    late = loaded.counts[200] - len(loaded.late_s)
    note = (
        f"p50 {percentile(times, 50) * 1e3:.1f} ms, {loaded.counts[200]:,} flushes, {late} waited for the last one's answer; "
        f"{cpu:.0%} of a core"
    )
    p99, memory = Spread.one(percentile(times, 99) * 1e3), Spread.one(held / MiB)
    title = f"{clients:,} clients, 20 tags, a flush a second" + (f" of {points} points each" if points > 1 else "")
    return [
        Row(f"{title}: p99", "ms", p99, goal=Goal(P99_S * 1e3, "ours"), note=note),
        Row(f"{title}: memory", "MiB", memory, goal=Goal(MEMORY_BYTES / MiB, "ours")),
    ]


def run(size: Size) -> Result:
    """p99 of a flush, and memory."""
    return Result([row for points in POINTS for row in measure(points, size)])
