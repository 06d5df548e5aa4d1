"""Memory and size: bytes of a point on disk, in the journal and in memory; and what a bridge that does nothing costs.

Sizes are counted, not timed. In memory: a point that waits in a client for the sender, a run and a tag that a bridge knows. An
idle bridge is looked at for seconds after it has worked, which is when there would be something left to do.
"""

from __future__ import annotations

import gc
import logging
import tempfile
import time
import tracemalloc
from pathlib import Path

from tensorboardX import SummaryWriter

from benchmarks.bodies import PROTOBUF, protobuf_columns
from benchmarks.load import closed_loop, post
from benchmarks.measure import Size
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.scale import TAGS, Case
from benchmarks.servers import Server, bridge
from tbbridge import Client
from tbbridge.limits import MiB

WRITTEN = "/api/v1/write?ack=written"
JOURNAL, EVENTS = "tbbridge_journal_bytes_total", "tbbridge_event_bytes_total"


def stored(server: Server, requests: list[bytes], points: int) -> tuple[float, float]:
    """Bytes a point in the journal and in the event files."""
    before = server.metrics()
    waiting = iter(requests)
    closed_loop(server, lambda _: next(waiting), 1, count=len(requests)).check(200)
    after = server.metrics()
    return (after[JOURNAL] - before[JOURNAL]) / points, (after[EVENTS] - before[EVENTS]) / points


def peer_bytes(folder: Path, points: int) -> float:
    writer = SummaryWriter(str(folder))
    for step in range(points):
        writer.add_scalar("train/loss", 0.5, step)
    writer.close()
    return sum(path.stat().st_size for path in folder.iterdir()) / points


def waiting_bytes(points: int) -> float:
    """Of one point in a client that cannot send."""
    with tempfile.TemporaryDirectory() as spool:
        client = Client("127.0.0.1:9", flush_interval_s=3600, spool_dir=spool, queue_max_points=2 * points)
        run = client.run("waiting")
        run.add_scalar("loss", 0.5, 0)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for step in range(points):
            run.add_scalar("loss", step / 7, 1000 + step)
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        logger = logging.getLogger("tbbridge.client")
        before_, logger.disabled = logger.disabled, True  # it would say that the points did not arrive, which they should not
        client.close(timeout_s=0.0)
        logger.disabled = before_
    return held / points


def idle(server: Server, seconds: float) -> tuple[float, float]:
    """The part of a core and the MiB that it takes while nobody asks anything of it."""
    cpu, start = server.cpu_seconds, time.perf_counter()
    time.sleep(seconds)
    return (server.cpu_seconds - cpu) / (time.perf_counter() - start), server.memory_bytes / MiB


def growth(folder: Path, runs: int, tags: int) -> float:
    """KiB that a bridge's memory grows by for each run, or each tag of one run."""
    with bridge(folder) as server:
        Case(server, 1, TAGS).prepare()
        before = server.memory_bytes
        Case(server, runs, tags).prepare()
        return (server.memory_bytes - before) / max(runs, tags) / 1024


def run(size: Size) -> Result:
    """Everything counted."""
    points, seconds = size.pick((2_000, 1.0), (50_000, 2.5), (50_000, 30.0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = Spread.one(peer_bytes(folder / "peer", 2_000))
        with bridge(folder / "runs") as server:
            fresh_cpu, fresh_mib = idle(server, seconds)
            bodies = max(1, points // 10_000)
            columns = [
                post(protobuf_columns("columns", number * 10_000, 10_000), PROTOBUF, WRITTEN) for number in range(bodies)
            ]
            many_journal, many_events = stored(server, columns, bodies * 10_000)
            one_journal, one_events = stored(
                server, [post(protobuf_columns("single", step, 1), PROTOBUF, WRITTEN) for step in range(500)], 500
            )
            time.sleep(1.0)
            cpu, mib = idle(server, seconds)
        runs, tags = size.pick((50, 200), (2_000, 10_000))
        kib_a_run, kib_a_tag = growth(folder / "many-runs", runs, TAGS), growth(folder / "many-tags", 1, tags)
    numbers = Spread.one(24.0), "step, value and time as numbers"
    one = Spread.one
    busy = f"after {bodies * 10_000:,} points in bodies of 10,000"
    return Result(
        [
            Row("a point in an event file, columns", "bytes", one(many_events), peer, "tensorboardX"),
            Row("a point in an event file, one a request", "bytes", one(one_events), peer, "tensorboardX"),
            Row("a point in the journal, columns of 10,000", "bytes", one(many_journal), *numbers),
            Row("a point in the journal, one a request", "bytes", one(one_journal), *numbers),
            Row("a point that waits in a client's memory", "bytes", one(waiting_bytes(points)), *numbers),
            Row("a run of ten tags in a bridge's memory", "KiB", one(kib_a_run)),
            Row("a tag in a bridge's memory", "KiB", one(kib_a_tag)),
            Row("idle bridge, just started: processor", "% of a core", one(100 * fresh_cpu), goal=Goal(0.5, "ours")),
            Row("idle bridge, after work: processor", "% of a core", one(100 * cpu), goal=Goal(0.5, "ours"), note=busy),
            Row("idle bridge, just started: memory", "MiB", one(fresh_mib), goal=Goal(90.0, "ours")),
            Row("idle bridge, after work: memory", "MiB", one(mib), note=busy),
        ]
    )
