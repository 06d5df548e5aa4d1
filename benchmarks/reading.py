"""Reading back, against TensorBoard's own readers and a route that does nothing.

One event file of a million points of one tag. Ours is the time from a new `Catalog` to numpy arrays, every CRC checked.
TensorBoard's Python reader is `EventAccumulator` told to keep all scalars, from `Reload` on; it is measured once, as it takes
long. Its data server is the stock binary with `--reload once`, in its fastest settings (it keeps 1,000 points a tag and checks
no CRC); what counts is the load cycle as it logs it itself, without the start of the process. Medians of rounds that alternate.

The list is `GET /api/v1/runs` with 10,000 runs, beside the no-op route of `post.py`, with the same client over one connection.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorboard_data_server
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.load import closed_loop, get, post
from benchmarks.measure import Size, in_turns, seconds
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import NO_OP, Server, bridge, floor
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.model import RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.store.candles import candlesticks
from tbbridge.store.catalog import Catalog
from tbbridge.store.series import Series

BINS = 500
TAG = tag_name("train/loss")
NAME = "events.out.tfevents.1700000000.benchmark.1.0"
_UNITS_S = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def event_file(points: int) -> bytes:
    """A file as the bridge writes it."""
    random = np.random.default_rng(0)
    parts: list[bytes | bytearray] = [encode_file_start(1.7e9, session_start=True)]
    described: set[str] = set()
    for first in range(0, points, 100_000):
        steps = np.arange(first, min(points, first + 100_000))
        column = ScalarColumns(TAG, random.normal(size=len(steps)), steps, 1.7e9 + steps / 8)
        parts.append(encode_run(RunBatch(run_name("r"), (column,)), described))
        described.add(TAG)
    return b"".join(parts)


def data_server_load_s(logdir: Path) -> float:
    """What TensorBoard's data server says its first load cycle took."""
    command = [tensorboard_data_server.server_binary(), "--logdir", str(logdir), "--reload", "once", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--die-after-stdin", "-v", "-v"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            found = re.search(r"Finished load cycle \(([\d.]+)(\D+)\)", line)
            if found:
                return float(found[1]) * _UNITS_S[found[2]]
        raise RuntimeError("the data server ended without having loaded anything")
    finally:
        process.communicate()  # closes its stdin, which ends it


def with_event_accumulator(folder: Path, points: int) -> None:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    assert len(accumulator.Scalars(TAG)) == points


def with_catalog(logdir: Path, points: int) -> Series:
    series = Catalog(logdir).series("r", TAG)
    assert len(series) == points
    return series


def one_tag(folder: Path, size: Size) -> list[Row]:
    points, few = size.pick((20_000, 5_000), (1_000_000, 200_000), (1_000_000, 1_000_000))
    logdir, small = folder / "one", folder / "few"
    for place, count in ((logdir, points), (small, few)):
        (place / "r").mkdir(parents=True)
        (place / "r" / NAME).write_bytes(event_file(count))
    series = with_catalog(logdir, points)
    candlesticks(series, BINS)
    rounds = size.pick(1, 4)
    works: dict[str, Callable[[], float]] = {
        "server": lambda: data_server_load_s(logdir),
        "ours": lambda: seconds(lambda: with_catalog(logdir, points)),
        "candles": lambda: seconds(lambda: candlesticks(series, BINS)),
        "both": lambda: seconds(lambda: candlesticks(with_catalog(logdir, points), BINS)),
    }
    found = {name: Spread.of(times) for name, times in in_turns(works, rounds, "reading a series").items()}
    ours, server, candles, both = (found[name] for name in ("ours", "server", "candles", "both"))
    theirs: dict[str, Callable[[], float]] = {
        "python": lambda: seconds(lambda: with_event_accumulator(small / "r", few)),
        "ours": lambda: seconds(lambda: with_catalog(small, few)),
    }
    # It takes ten seconds for a million, and as long for each point of a part: both read the smaller file here.
    slow = {name: Spread.of(times) for name, times in in_turns(theirs, size.pick(1, 2), "reading with Python").items()}
    whole = slow["python"].times(points / few)
    million = f"{points:,} points"
    return [
        Row(f"{few:,} points, file to arrays", "s", slow["ours"], slow["python"], "EventAccumulator", goal=Goal(10.0)),
        Row(f"{million}, file to arrays", "s", ours, server, "the Rust data server", goal=Goal(1.0)),
        Row(f"{million} to {BINS} candlesticks", "s", candles, server, "the Rust data server's load", goal=Goal(10.0)),
        Row(
            f"file of {million} to {BINS} candlesticks",
            "s",
            both,
            whole,
            "EventAccumulator's load, by the point",
            goal=Goal(10.0),
        ),
    ]


def list_of_runs(folder: Path, size: Size) -> list[Row]:
    logdir, runs = folder / "many", size.pick(100, 10_000)
    content = event_file(3)
    for number in range(runs):
        run = logdir / f"group{number // 100}" / f"run{number}"
        run.mkdir(parents=True)
        (run / NAME).write_bytes(content)

    def p50_us(server: Server, request: bytes) -> float:
        loaded = closed_loop(server, lambda _: request, 1, seconds=size.pick(0.1, 0.5))
        loaded.check(200)
        return loaded.percentile(50) * 1e6

    with bridge(logdir) as server, floor(NO_OP, folder) as no_op:
        with urllib.request.urlopen(f"{server.url}/api/v1/runs") as answer:  # the first one reads all files
            length = len(answer.read())
        works = {
            "no-op": lambda: p50_us(no_op, post(b"{}", path="/no-op")),
            "list": lambda: p50_us(server, get("/api/v1/runs")),
            "packed": lambda: p50_us(server, get("/api/v1/runs", "Accept-Encoding: gzip")),
        }
        found = {name: Spread.of(times) for name, times in in_turns(works, size.pick(1, 3), "listing runs").items()}
    ten, against = found["no-op"].times(10), "10 requests to a no-op FastAPI route"
    title = f"list of {runs:,} runs, warm: p50"
    note = f"{length / 1e6:.1f} MB of JSON"
    return [
        Row(title, "us", found["list"], ten, against, goal=Goal(1.0), note=note),
        Row(f"{title}, for a client that takes gzip", "us", found["packed"], ten, against, goal=Goal(1.0)),
    ]


def run(size: Size) -> Result:
    """Everything measured here."""
    with tempfile.TemporaryDirectory() as name:
        return Result([*one_tag(Path(name), size), *list_of_runs(Path(name), size)])
