"""Where the time goes: one point's way from the log call to TensorBoard's HTTP interface, by the clocks of those it passes.

The client is in the process of the benchmark, and keeps times of itself (`client.stats.times`). The bridge is a process of
its own; its stages are the histograms of its /metrics. Percentiles out of histograms are read as Prometheus does, evenly
within a bucket, and the bridge's largest is the bound of its last bucket: buckets double, so they are exact to a factor of
two. TensorBoard is stock, once with its data server and once with its Python reader, reloading every second, and asked over
HTTP until it shows the point.

First points that are flushed one by one, where nothing waits on purpose; then a training that logs now and then with default
settings, where a point waits for its batch.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.measure import Size, in_turns, percentile, summary_of
from benchmarks.post import syncs_s
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import HOST, NO_OP, Server, bridge, floor, free_port, running
from tbbridge import Client, limits
from tbbridge.client.stats import ClientTimes
from tbbridge.measures import Histogram

RELOAD_S = 1
TAG = "train/loss"
STAGES = "tbbridge_stage_seconds"
READERS = {"data server": "true", "Python reader": "false"}

Summary = dict[str, float]


# --- histograms of /metrics -------------------------------------------------------------------------------------------


def histogram_of(before: Mapping[str, float], after: Mapping[str, float], start: str) -> list[tuple[float, float]]:
    """(bound, how many between the one below and it) of what was observed in between, of the series that begin so."""
    rising = []
    for key, value in after.items():
        if key.startswith(start) and 'le="' in key:
            bound = key.partition('le="')[2].partition('"')[0]
            rising.append((float("inf") if bound == "+Inf" else float(bound), value - before.get(key, 0.0)))
    rising.sort()
    return [(bound, count - below) for (bound, count), (_, below) in zip(rising, [(0.0, 0.0), *rising], strict=False)]


def quantile(buckets: list[tuple[float, float]], part: float) -> float:
    """Prometheus's histogram_quantile: where in its bucket the value would be if the bucket were filled evenly."""
    wanted, below, low = part * sum(count for _, count in buckets), 0.0, 0.0
    for bound, count in buckets:
        if count and below + count >= wanted:
            return low if bound == float("inf") else low + (bound - low) * (wanted - below) / count
        below += count
        low = low if bound == float("inf") else bound
    return low


def summary_of_buckets(buckets: list[tuple[float, float]]) -> Summary:
    """As `summary_of`; the largest is the bound of the last bucket in which there is something."""
    count = sum(count for _, count in buckets)
    parts = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {**{name: quantile(buckets, part) for name, part in parts.items()}, "count": count}


def bridge_stages(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Summary]:
    """The bridge's own stages, in the order in which its /metrics lists them."""
    found: dict[str, Summary] = {}
    for key in after:
        if key.startswith(f"{STAGES}_bucket{{"):
            stage = key.partition('stage="')[2].partition('"')[0]
            if stage not in found:
                of_stage = [{name: value for name, value in at.items() if f'stage="{stage}"' in name} for at in (before, after)]
                found[stage] = summary_of_buckets(histogram_of(of_stage[0], of_stage[1], f"{STAGES}_bucket"))
    return {stage: times for stage, times in found.items() if times["count"]}


# --- points that are flushed one by one -------------------------------------------------------------------------------


class Flushes:
    """Points that are logged and flushed, one after the other."""

    def __init__(self, client: Client, run: str) -> None:
        self._client = client
        self._run = client.run(run)
        self._step = 0
        self.calls: list[float] = []

    def once(self) -> float:
        """Seconds from before the call until `flush` has returned."""
        self._step += 1
        start = time.perf_counter()
        self._run.add_scalar(TAG, 0.5, self._step)
        self.calls.append(time.perf_counter() - start)
        self._client.flush()
        return time.perf_counter() - start


def client_stages(times: ClientTimes) -> list[dict[str, Any]]:
    """What a client says of itself; the bridge's stages happen within the last of them."""
    named = {"wait for the sender": times.wait, "pack": times.serialize, "connect, send, be answered": times.send}
    return [_stage("client", stage, summary_of_histogram(histogram)) for stage, histogram in named.items()]


def summary_of_histogram(histogram: Histogram) -> Summary:
    marks = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
    found = {name: histogram.percentile(percent) for name, percent in marks.items()}
    return {**found, "max": histogram.most, "count": histogram.count}


def flushed(server: Server, folder: Path, size: Size) -> tuple[list[Row], list[dict[str, Any]]]:
    each, rounds = size.pick((10, 2), (100, 8), (500, 10))
    with floor(NO_OP, folder) as no_op, httpx.Client() as plain:

        def no_op_s() -> float:
            start = time.perf_counter()
            plain.post(f"{no_op.url}/no-op", content=b"{}")
            return time.perf_counter() - start

        with Client(server.url) as client:  # both servers are warm
            first = Flushes(client, "first")
            for _ in range(50):
                first.once()
                no_op_s()
        with Client(server.url) as client:
            flushes = Flushes(client, "flushed")
            before = server.metrics()
            works: dict[str, Callable[[], list[float]]] = {
                "flush": lambda: [flushes.once() for _ in range(each)],
                "no-op": lambda: [no_op_s() for _ in range(each)],
                "sync": lambda: syncs_s(folder, each),
            }
            found = in_turns(works, rounds, "flushed points")
            after = server.metrics()
            times = client.stats.times
    spread = {name: Spread.of([percentile(times, 50) * 1e3 for times in all_]) for name, all_ in found.items()}
    empty, sync = spread["no-op"], spread["sync"]
    peer = Spread(empty.median + sync.median, empty.low + sync.low, empty.high + sync.high, rounds)
    all_ = [took for round_ in found["flush"] for took in round_]
    whole = summary_of(all_)
    note = f"p99 {whole['p99'] * 1e3:.2f}, p99.9 {whole['p99.9'] * 1e3:.2f}, worst {whole['max'] * 1e3:.2f} ms of {len(all_):,}"
    against = "httpx to a no-op FastAPI route, and a raw write with fdatasync"
    rows = [Row("flush() of one point: p50", "ms", spread["flush"], peer, against, goal=Goal(3.0, "ours"), note=note)]
    stages = [_stage("client", "log call", summary_of(flushes.calls)), *client_stages(times)]
    stages += [_stage("bridge", stage, found_) for stage, found_ in bridge_stages(before, after).items()]
    stages.append(_stage("in all", "log call and flush()", whole))
    return rows, [{"name": "flushed", "stages": stages}]


def _stage(where: str, stage: str, times: Mapping[str, float]) -> dict[str, Any]:
    return {"where": where, "stage": stage, "ms": {k: v if k == "count" else v * 1e3 for k, v in times.items()}}


# --- a training with default settings ---------------------------------------------------------------------------------


@contextmanager
def tensorboard(logdir: Path, load_fast: str) -> Iterator[str]:
    """Stock TensorBoard's address."""
    port = free_port()
    flags = ["--logdir", str(logdir), "--host", HOST, "--port", str(port), "--reload_interval", str(RELOAD_S)]
    flags += ["--load_fast", load_fast, "--samples_per_plugin", "scalars=100000"]
    with running([sys.executable, "-m", "tensorboard.main", *flags], f"http://{HOST}:{port}/data/environment"):
        yield f"http://{HOST}:{port}"


def steps_shown(address: str, run: str) -> int:
    """The last step that TensorBoard shows; -1 while it knows nothing."""
    try:
        with urllib.request.urlopen(f"{address}/data/plugin/scalars/scalars?run={run}&tag={TAG}", timeout=30) as answer:
            points = json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        return -1
    return int(points[-1][1]) if points else -1


class Arrivals:
    """When each step was first seen at one place, by somebody who looks again and again."""

    def __init__(self, look: Callable[[], int], pause_s: float) -> None:
        self._look, self._pause_s = look, pause_s
        self.at: dict[int, float] = {}
        self._last = -1
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.is_set():
            last = self._look()
            now = time.perf_counter()
            for step in range(self._last + 1, last + 1):
                self.at[step] = now
            self._last = max(self._last, last)
            self._over.wait(self._pause_s)

    def wait_for(self, step: int, patience_s: float = 30.0) -> None:
        until = time.monotonic() + patience_s
        while self._last < step:
            if time.monotonic() > until:
                raise RuntimeError(f"step {step} was not seen within {patience_s:g} s")
            time.sleep(0.01)

    def end(self) -> None:
        self._over.set()
        self._thread.join()


class EventFile:
    """How many scalar records the run's event file holds; what is new is walked frame by frame."""

    def __init__(self, folder: Path) -> None:
        self._path = next(folder.glob("*tfevents*"))
        self._position = self._records = 0
        self._first: int | None = None

    def last_step(self) -> int:
        """Steps count from 0, one record each; the records before step 0 are told apart at the first look."""
        with self._path.open("rb") as file:
            while True:
                file.seek(self._position)
                head = file.read(8)
                if len(head) < 8:
                    break
                self._position += 16 + int.from_bytes(head, "little")
                self._records += 1
        if self._first is None:
            self._first = self._records - 1
        return self._records - self._first - 1


def training(server: Server, size: Size) -> tuple[list[Row], list[dict[str, Any]]]:
    """Points now and then with default settings, looked for in the event file and at both TensorBoards."""
    points, run_name = size.pick(4, 32, 300), "training"
    moments = random.Random(1)
    with (
        tensorboard(server.logdir, "true") as fast,
        tensorboard(server.logdir, "false") as python,
        Client(server.url) as client,
    ):
        run = client.run(run_name)
        logged: dict[int, float] = {0: 0.0}
        run.add_scalar(TAG, 0.5, 0)
        client.flush()
        time.sleep(0.05)  # it is in the journal: the event file follows at once
        file = EventFile(server.logdir / run_name)
        watched = {
            "event file": Arrivals(file.last_step, 0.001),
            "data server": Arrivals(lambda: steps_shown(fast, run_name), 0.02),
            "Python reader": Arrivals(lambda: steps_shown(python, run_name), 0.02),
        }
        try:
            for arrivals in watched.values():
                arrivals.wait_for(0)
            for step in range(1, points + 1):
                logged[step] = time.perf_counter()
                run.add_scalar(TAG, 0.5, step)
                time.sleep(moments.uniform(0.1, 0.5))
            for arrivals in watched.values():
                arrivals.wait_for(points)
            said = client.stats.times
        finally:
            for arrivals in watched.values():
                arrivals.end()
    steps = range(1, points + 1)
    since_call = {place: [arrivals.at[step] - logged[step] for step in steps] for place, arrivals in watched.items()}
    in_file = watched["event file"].at
    after_file = {name: [max(0.0, watched[name].at[step] - in_file[step]) for step in steps] for name in READERS}
    interval_ms = limits.CLIENT_FLUSH_INTERVAL_S * 1e3

    def row(name: str, times: list[float], goal_ms: float | None, note: str) -> Row:
        p50 = Spread(percentile(times, 50) * 1e3, min(times) * 1e3, max(times) * 1e3, len(times))
        goal = None if goal_ms is None else Goal(goal_ms, "ours")
        return Row(name, "ms", p50, goal=goal, note=f"{note}; p90 {percentile(times, 90) * 1e3:,.0f} ms")

    rows = [
        row(
            "call to the event file: p50",
            since_call["event file"],
            interval_ms + 5,
            f"default settings: the sender goes every {interval_ms:,.0f} ms",
        )
    ]
    for name in READERS:
        behind = percentile(after_file[name], 50) * 1e3
        note = f"default settings, reload interval {RELOAD_S} s; {behind:,.0f} ms after the event file"
        rows.append(row(f"call to TensorBoard ({name}): p50", since_call[name], 1000.0, note))
    stages = [*client_stages(said), _stage("in all", "log call to the event file", summary_of(since_call["event file"]))]
    for name, times in after_file.items():
        stages.append(_stage("TensorBoard", f"seen by its HTTP interface, {name}", summary_of(times)))
    stages += [_stage("in all", f"log call to {name}", summary_of(since_call[name])) for name in READERS]
    return rows, [{"name": "training", "stages": stages}]


def run(size: Size) -> Result:
    """Both journeys."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bridge(folder / "runs") as server:
            flush_rows, flush_data = flushed(server, folder, size)
        with bridge(folder / "training") as server:
            rows, data = training(server, size)
    return Result([*flush_rows, *rows], {"journeys": [*flush_data, *data]})
