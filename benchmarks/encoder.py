"""The columnar encoder against tensorboardX, in one run: `python -m benchmarks.encoder`.

Ours is the time from columns to framed bytes; theirs from the first `add_scalar` to the closed file. Rounds of both alternate,
so that whatever else the machine does falls on both; the medians are compared.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
from tensorboardX import SummaryWriter

from benchmarks.table import Row, print_table
from tbbridge.events.scalars import encode_scalars
from tbbridge.model import ScalarColumns, TagName

POINTS = 10_000
ROUNDS = 7
REPEATS = 20  # of ours within a round, where one takes less than a millisecond; their median counts


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


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_with_tensorboardx(given: list[ScalarColumns]) -> None:
    """Point after point, tags taking turns, as a training loop logs them."""
    rows = [(column.tag, column.values.tolist()) for column in given]
    with tempfile.TemporaryDirectory() as folder:
        writer = SummaryWriter(folder)
        for step in range(len(rows[0][1])):
            for tag, values in rows:
                writer.add_scalar(tag, values[step], step)
        writer.close()


def encode_point_by_point(given: list[ScalarColumns]) -> None:
    described = {column.tag for column in given}
    for column in given:
        encode_scalars([column], described)


def compare(name: str, given: list[ScalarColumns], ours: Callable[[list[ScalarColumns]], object], target: float | None) -> Row:
    points = sum(len(column.values) for column in given)
    ours(given)  # tables and caches are filled once in a process
    our_times, peer_times = [], []
    for _ in range(ROUNDS):
        peer_times.append(seconds(lambda: write_with_tensorboardx(given)))
        our_times.append(statistics.median(seconds(lambda: ours(given)) for _ in range(REPEATS)))
    our_rate = points / statistics.median(our_times)
    peer_rate = points / statistics.median(peer_times)
    return Row(name, "points/s", our_rate, peer_rate, our_rate / peer_rate, target)


def one_by_one() -> list[ScalarColumns]:
    """One-point batches of one tag, as one-point requests bring them."""
    (column,) = columns(1, POINTS)
    assert column.steps is not None
    assert column.wall_times is not None
    return [
        ScalarColumns(column.tag, column.values[i : i + 1], column.steps[i : i + 1], column.wall_times[i : i + 1])
        for i in range(POINTS)
    ]


def run() -> list[Row]:
    """Everything measured, for this table and for the one of all benchmarks."""

    def encode(given: list[ScalarColumns]) -> object:
        return encode_scalars(given, ())

    return [
        compare("encode 10,000 points of 1 tag", columns(1, POINTS), encode, 300),
        compare("encode 100 tags of 100 points", columns(100, POINTS // 100), encode, 100),
        compare("encode 10,000 tags of 1 point", columns(POINTS, 1), encode, None),
        compare("encode 1 point, 10,000 times", one_by_one(), encode_point_by_point, None),
    ]


if __name__ == "__main__":
    print_table(run())
