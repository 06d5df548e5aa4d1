"""Reading back, against TensorBoard's own readers and a route that does nothing: `python -m benchmarks.reading`.

One event file of a million points of one tag. Ours is the time from a new `Catalog` to numpy arrays, every CRC checked.
TensorBoard's Python reader is `EventAccumulator` told to keep all scalars, from `Reload` on; it is measured once, as it takes
long. Its data server is the stock binary with `--reload once`, in its fastest settings (it keeps 1,000 points a tag and checks
no CRC); what counts is the load cycle as it logs it itself, without the start of the process. Medians of rounds that alternate.

The list is `GET /api/v1/runs` with 10,000 runs, beside the no-op route of `post.py`, with the same client: wrk, one connection.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np
import tensorboard_data_server
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.encoder import seconds
from benchmarks.post import NO_OP, SCRIPT, free_port, running, wrk
from benchmarks.table import Row, print_table
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.model import RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.store.candles import candlesticks
from tbbridge.store.catalog import Catalog
from tbbridge.store.series import Series

POINTS = 1_000_000
BINS = 500
RUNS = 10_000
ROUNDS = 5
TAG = tag_name("train/loss")
NAME = "events.out.tfevents.1700000000.benchmark.1.0"
GET = SCRIPT.replace('wrk.method = "POST"', 'wrk.method = "GET"')
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


def with_event_accumulator(folder: Path) -> None:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    assert len(accumulator.Scalars(TAG)) == POINTS


def with_catalog(logdir: Path) -> Series:
    series = Catalog(logdir).series("r", TAG)
    assert len(series) == POINTS
    return series


def one_tag(logdir: Path) -> list[Row]:
    run = logdir / "r"
    run.mkdir(parents=True)
    (run / NAME).write_bytes(event_file(POINTS))
    series = with_catalog(logdir)
    candlesticks(series, BINS)
    measured: dict[str, list[float]] = {"ours": [], "server": [], "candles": [], "both": []}
    for _ in range(ROUNDS):
        measured["server"].append(data_server_load_s(logdir))
        measured["ours"].append(seconds(lambda: with_catalog(logdir)))
        measured["candles"].append(seconds(lambda: candlesticks(series, BINS)))
        measured["both"].append(seconds(lambda: candlesticks(with_catalog(logdir), BINS)))
    ours, server, candles, both = (statistics.median(measured[key]) for key in ("ours", "server", "candles", "both"))
    python = seconds(lambda: with_event_accumulator(run))
    return [
        Row("1 M points, file to arrays, and EventAccumulator", "s", ours, python, python / ours, 10),
        Row("1 M points, file to arrays, and the data server", "s", ours, server, server / ours, 1.0),
        Row(f"1 M points to {BINS} candlesticks, and the server's load", "s", candles, server, server / candles, 10),
        Row(f"file to {BINS} candlesticks, and EventAccumulator", "s", both, python, python / both, 10),
    ]


def list_of_runs(folder: Path) -> list[Row]:
    logdir = folder / "many"
    content = event_file(3)
    for number in range(RUNS):
        run = logdir / f"group{number // 100}" / f"run{number}"
        run.mkdir(parents=True)
        (run / NAME).write_bytes(content)
    post, get = folder / "post.lua", folder / "get.lua"
    post.write_text(SCRIPT)
    get.write_text(GET)
    packed = folder / "packed.lua"
    packed.write_text('wrk.headers["Accept-Encoding"] = "gzip"\n' + GET)
    no_op, bridge = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    serve = [sys.executable, "-m", "tbbridge.cli", "serve", "--logdir", str(logdir), "--port", bridge.rsplit(":")[-1]]
    measured: dict[str, list[float]] = {"no-op": [], "list": [], "packed": []}
    with running([sys.executable, "-c", NO_OP, no_op.rsplit(":")[-1]], no_op), running(serve, bridge + "/healthz"):
        with urllib.request.urlopen(bridge + "/api/v1/runs") as answer:  # the first one reads all files
            size = len(answer.read())
        for _ in range(ROUNDS):
            measured["no-op"].append(wrk(no_op + "/no-op", post)[0])
            measured["list"].append(wrk(bridge + "/api/v1/runs", get)[0])
            measured["packed"].append(wrk(bridge + "/api/v1/runs", packed)[0])
    listed, small, empty = (statistics.median(measured[key]) for key in ("list", "packed", "no-op"))
    note = f"{size / 1e6:.1f} MB of JSON, which wrk reads 8 KiB at a time; {listed / empty:.1f} no-op requests, 10 are allowed"
    return [
        Row("list of 10,000 runs, warm, p50, and 10 no-ops", "us", listed, 10 * empty, 10 * empty / listed, 1.0, note),
        Row("the same for a client that takes gzip", "us", small, 10 * empty, 10 * empty / small, 1.0),
    ]


def run() -> list[Row]:
    """Everything measured, for this table and for the one of all benchmarks."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs the load generator wrk: apt-get install wrk (or brew install wrk)")
    with tempfile.TemporaryDirectory() as name:
        return [*one_tag(Path(name) / "one"), *list_of_runs(Path(name))]


if __name__ == "__main__":
    print_table(run())
