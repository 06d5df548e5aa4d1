"""Where the time goes: one point's way from the log call to TensorBoard's HTTP interface, by the clocks of those it passes.

The client is this process; its stages are stamped as the point passes through its sender. The bridge is a process of its own;
its stages are the histograms of its /metrics, from which percentiles are read as Prometheus does (within a bucket, evenly).
TensorBoard is stock, once with its data server and once with its Python reader, reloading every second, and asked over HTTP
until it shows the point.

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
from unittest.mock import patch

import httpx

from benchmarks.measure import Size, in_turns, percentile, summary_of
from benchmarks.post import syncs_s
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import HOST, NO_OP, Server, bridge, floor, free_port, running
from tbbridge import Client, limits
from tbbridge.client import thread_sender
from tbbridge.client.backlog import Backlog, Load, Mark
from tbbridge.client.outbox import Outbox, Pause

RELOAD_S = 1
TAG = "train/loss"
STAGES = "tbbridge_stage_seconds"
READERS = {"data server": "true", "Python reader": "false"}

Summary = dict[str, float]


class Stamps:
    """When the sender of this process's client took, posted and was answered, as it passes there."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.points: list[int] = []  # how many were taken each time
        self.posted: list[float] = []
        self.answered: list[float] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        take, post = Backlog.take, thread_sender.post

        def stamped_take(backlog: Backlog, due: Mark) -> Load | None:
            load = take(backlog, due)
            if load is not None:
                self.taken.append(time.perf_counter())
                self.points.append(len(load.points))
            return load

        def stamped_post(outbox: Outbox, *arguments: Any) -> Pause:
            self.posted.append(time.perf_counter())
            pause = post(outbox, *arguments)
            self.answered.append(time.perf_counter())
            return pause

        with patch.object(Backlog, "take", stamped_take), patch.object(thread_sender, "post", stamped_post):
            yield


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
    if not found:
        found["journal write and fdatasync"] = summary_of_buckets(
            histogram_of(before, after, "tbbridge_journal_sync_seconds_bucket")
        )
        found["receipt to event file, in all"] = summary_of_buckets(
            histogram_of(before, after, "tbbridge_latency_seconds_bucket")
        )
    return {stage: times for stage, times in found.items() if times["count"]}


# --- points that are flushed one by one -------------------------------------------------------------------------------


class Flushes:
    """Points that are logged and flushed, and what each part of it took."""

    def __init__(self, client: Client, stamps: Stamps) -> None:
        self._client, self._stamps = client, stamps
        self._run = client.run("flushed")
        self._step = 0
        self.stages: dict[str, list[float]] = {
            stage: [] for stage in ("log call", "sender wakes", "pack", "request and answer", "caller wakes")
        }

    def once(self) -> float:
        """Seconds from before the call until `flush` has returned."""
        stamps = self._stamps
        seen = len(stamps.answered)
        self._step += 1
        start = time.perf_counter()
        self._run.add_scalar(TAG, 0.5, self._step)
        logged = time.perf_counter()
        self._client.flush()
        over = time.perf_counter()
        if len(stamps.answered) == seen + 1:  # not when a heartbeat came between
            taken, posted, answered = stamps.taken[-1], stamps.posted[-1], stamps.answered[-1]
            for stage, took in zip(
                self.stages, (logged - start, taken - logged, posted - taken, answered - posted, over - answered), strict=True
            ):
                self.stages[stage].append(took)
        return over - start


def flushed(server: Server, folder: Path, size: Size) -> tuple[list[Row], list[dict[str, Any]]]:
    stamps = Stamps()
    each, rounds = size.pick((10, 2), (100, 8), (500, 10))
    with stamps.watching(), Client(server.url) as client, floor(NO_OP, folder) as no_op, httpx.Client() as plain:
        flushes = Flushes(client, stamps)
        for _ in range(20):
            flushes.once()
            plain.post(f"{no_op.url}/no-op", content=b"{}")
        for times in flushes.stages.values():
            times.clear()
        before = server.metrics()

        def median(work: Callable[[], float]) -> Callable[[], list[float]]:
            return lambda: [work() for _ in range(each)]

        def no_op_s() -> float:
            start = time.perf_counter()
            plain.post(f"{no_op.url}/no-op", content=b"{}")
            return time.perf_counter() - start

        works = {"flush": median(flushes.once), "no-op": median(no_op_s), "sync": lambda: syncs_s(folder, each)}
        found = in_turns(works, rounds, "flushed points")
        after = server.metrics()
    spread = {name: Spread.of([percentile(times, 50) * 1e3 for times in all_]) for name, all_ in found.items()}
    empty, sync = spread["no-op"], spread["sync"]
    peer = Spread(empty.median + sync.median, empty.low + sync.low, empty.high + sync.high, rounds)
    all_ = [took * 1e3 for times in found["flush"] for took in times]
    note = f"p99 {percentile(all_, 99):.2f}, p99.9 {percentile(all_, 99.9):.2f}, worst {max(all_):.2f} ms of {len(all_):,}"
    against = "httpx to a no-op FastAPI route, and a raw write with fdatasync"
    rows = [Row("flush() of one point: p50", "ms", spread["flush"], peer, against, goal=Goal(3.0, "ours"), note=note)]
    stages = [_stage("client", stage, summary_of(times)) for stage, times in flushes.stages.items()]
    stages += [_stage("bridge", stage, times) for stage, times in bridge_stages(before, after).items()]
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
    points, run_name = size.pick(4, 48, 300), "training"
    moments = random.Random(1)
    stamps = Stamps()
    with (
        tensorboard(server.logdir, "true") as fast,
        tensorboard(server.logdir, "false") as python,
        stamps.watching(),
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
    taken = [at for at, count in zip(stamps.taken, stamps.points, strict=True) for _ in range(count)]
    waits = [taken[step] - logged[step] for step in steps]
    sent = [in_file[step] - taken[step] for step in steps]
    stages = [
        _stage("client", "wait for the batch", summary_of(waits)),
        _stage("client", "pack, send, journal, into the event file", summary_of(sent)),
    ]
    for name, times in after_file.items():
        stages.append(_stage("TensorBoard", f"seen by its HTTP interface, {name}", summary_of(times)))
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
