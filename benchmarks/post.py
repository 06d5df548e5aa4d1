"""One journalled point over HTTP against its floors.

The floor is what nobody can do without who promises that a 200 is on disk: a FastAPI route that does nothing, under the same
uvicorn with the same loop and parser, and twice a write of the same size with fdatasync into a preallocated file on the same
file system. A route that does that write itself shows what a sync takes between requests: a disk, and a processor, that are
asked without pause answer sooner. A bare ASGI app shows what FastAPI itself costs. One connection, and 64.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.bodies import ONE_POINT
from benchmarks.load import Loaded, closed_loop, post
from benchmarks.measure import Size, in_turns
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import BARE, NO_OP, SYNCED, Server, bridge, floor

ENTRY_BYTES = 70  # of the journal for that body
FILE_BYTES = 4 << 20
WRITE = post(ONE_POINT)
EMPTY = post(b"{}", path="/no-op")


def syncs_s(folder: Path, count: int) -> list[float]:
    """Seconds of each of `count` writes with fdatasync."""
    times = []
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(descriptor, bytes(FILE_BYTES))
        os.fsync(descriptor)
        os.lseek(descriptor, 0, os.SEEK_SET)
        for _ in range(count):
            start = time.perf_counter()
            os.write(descriptor, b"x" * ENTRY_BYTES)
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - start)
    finally:
        os.close(descriptor)
    return times


def measured(size: Size) -> dict[str, list[Loaded]]:
    """Rounds of each, in turns."""
    rounds, seconds = size.pick((2, 0.2), (4, 0.35), (9, 2.0))

    def load(server: Server, request: bytes, connections: int) -> Loaded:
        loaded = closed_loop(server, lambda _: request, connections, seconds=seconds)
        loaded.check(200)
        return loaded

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            bridge(folder / "runs") as ours,
            floor(NO_OP, folder) as no_op,
            floor(SYNCED, folder) as synced,
            floor(BARE, folder) as bare,
        ):
            for server, request in ((ours, WRITE), (no_op, EMPTY), (synced, EMPTY), (bare, EMPTY)):
                closed_loop(server, lambda _, request=request: request, 1, count=100)  # type: ignore[misc] # warm
            works = {
                "no-op 1": lambda: load(no_op, EMPTY, 1),
                "ours 1": lambda: load(ours, WRITE, 1),
                "synced 1": lambda: load(synced, EMPTY, 1),
                "bare 1": lambda: load(bare, EMPTY, 1),
                "no-op 64": lambda: load(no_op, EMPTY, 64),
                "ours 64": lambda: load(ours, WRITE, 64),
                "bare 64": lambda: load(bare, EMPTY, 64),
                "sync": lambda: Loaded({200: syncs_s(folder, size.pick(100, 500))}, 1.0),
            }
            return in_turns(works, rounds, "post")


def run(size: Size) -> Result:
    """p50 and p99 of one connection, and requests a second of 64."""
    found = measured(size)
    p50 = {name: Spread.of([loaded.percentile(50) for loaded in all_]).times(1e6) for name, all_ in found.items()}
    p99 = {name: Spread.of([loaded.percentile(99) for loaded in all_]).times(1e6) for name, all_ in found.items()}
    rate = {name: Spread.of([loaded.rate() for loaded in all_]) for name, all_ in found.items()}
    sync = p50["sync"]

    def floor_of(syncs: float) -> Spread:
        at = p50["no-op 1"]
        return Spread(at.median + syncs * sync.median, at.low + syncs * sync.low, at.high + syncs * sync.high, at.rounds)

    says = f"no-op route {p50['no-op 1'].median:.0f} us, fdatasync {sync.median:.0f} us"
    in_route = p50["synced 1"].median - p50["no-op 1"].median
    above = (p50["ours 1"].median - p50["no-op 1"].median) / sync.median
    return Result(
        [
            Row(
                "one point, one connection: p50",
                "us",
                p50["ours 1"],
                floor_of(2),
                "no-op FastAPI route + 2 fdatasyncs",
                goal=Goal(1.0),
                note=f"{says}: it costs {above:.2f} fdatasyncs more than the no-op",
            ),
            Row(
                "one point, one connection: p50, the aim",
                "us",
                p50["ours 1"],
                floor_of(1.5),
                "no-op FastAPI route + 1.5 fdatasyncs",
                goal=Goal(1.0),
            ),
            Row(
                "one point, one connection: p99",
                "us",
                p99["ours 1"],
                floor_of(2),
                "p50 of the same floor, of which it may take four times",
                goal=Goal(0.25),
                note=f"p99 of the no-op route {p99['no-op 1'].median:.0f} us, of fdatasync {p99['sync'].median:.0f} us",
            ),
            Row(
                "one point, one connection: p50",
                "us",
                p50["ours 1"],
                p50["synced 1"],
                "FastAPI route that does a write and an fdatasync",
                note=f"in it a sync takes {in_route:.0f} us, in a loop of nothing else {sync.median:.0f} us",
            ),
            Row("one point, one connection: p50", "us", p50["ours 1"], p50["bare 1"], "bare ASGI app, no disk"),
            Row(
                "one point, 64 connections",
                "requests/s",
                rate["ours 64"],
                rate["no-op 64"],
                "no-op FastAPI route, no disk",
                "more",
                Goal(5000, "ours"),
            ),
            Row("one point, 64 connections", "requests/s", rate["ours 64"], rate["bare 64"], "bare ASGI app, no disk", "more"),
        ],
        {"p50_us": {name: spread.median for name, spread in p50.items()}},
    )
