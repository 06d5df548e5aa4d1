"""How fast a start gets through its journal: `python -m benchmarks replay`.

A bridge that was killed with a journal of a gigabyte, all in one segment sixteen times as long as usual, is opened again: every
entry is read twice (once for what became of files, once to play it), encoded, and compared with the event files, which it finds
whole, as after a kill -9, or half, as a machine that went down may leave them. What a column costs hardly depends on its
length, so batches of long columns (20 tags with 500 points each) replay faster than those of short ones (20 tags with 50).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Row, print_table
from tbbridge.limits import MiB
from tbbridge.model import STATE_FOLDER, Batch, RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.pipeline.door import Ack
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings

JOURNAL_BYTES = int(os.environ.get("REPLAY_MIB", "1024")) * MiB
TARGET_MIB_PER_S = 100.0
RUNS, TAGS = 50, 20


def settings(logdir: Path) -> PipelineSettings:
    return PipelineSettings(logdir=logdir, segment_bytes=JOURNAL_BYTES + 32 * MiB)


async def fill(logdir: Path, points: int) -> None:
    """Write the journal and its event files, and die without a checkpoint, as by kill -9."""
    import numpy as np

    pipeline = await Pipeline.open(settings(logdir))
    tags = [tag_name(f"train/metric-{tag}") for tag in range(TAGS)]
    values = np.random.default_rng(1).random(points)
    turn = 0
    while pipeline.stats.journal_bytes < JOURNAL_BYTES:
        steps = np.arange(turn * points, (turn + 1) * points)
        columns = tuple(ScalarColumns(tag, values, steps, np.full(points, 1.7e9 + turn)) for tag in tags)
        batches = [Batch((RunBatch(run_name(f"run-{run}"), columns),), f"writer-{run}", turn + 1) for run in range(RUNS)]
        await asyncio.gather(*(pipeline.submit(batch, ack=Ack.WRITTEN) for batch in batches))
        turn += 1
    os._exit(0)


async def start(logdir: Path) -> None:
    """Open the folder and say how long it took and how many batches it replayed."""
    started = time.perf_counter()
    pipeline = await Pipeline.open(settings(logdir))
    took = time.perf_counter() - started
    print(took, pipeline.stats.replayed_batches, flush=True)
    os._exit(0)


def child(work: str, logdir: Path, *more: str) -> str:
    command = [sys.executable, "-m", "benchmarks.replay", work, str(logdir), *more]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(logdir: Path, points: int, target: float | None) -> list[Row]:
    child("fill", logdir, str(points))
    events = sum(path.stat().st_size for path in logdir.rglob("*tfevents*"))
    kept = logdir.with_name("kept")
    shutil.copytree(logdir / STATE_FOLDER, kept)
    whole_s, replayed = map(float, child("start", logdir).split())
    shutil.rmtree(logdir / STATE_FOLDER)
    kept.rename(logdir / STATE_FOLDER)
    for path in logdir.rglob("*tfevents*"):
        os.truncate(path, path.stat().st_size // 2)
    half_s = float(child("start", logdir).split()[0])
    note = f"{whole_s:.1f} s for {replayed:,.0f} batches and {events / MiB:,.0f} MiB of event files; half gone: {half_s:.1f} s"
    rate = JOURNAL_BYTES / MiB / whole_s
    ratio = rate / TARGET_MIB_PER_S
    return [Row(f"replay, columns of {points} points", "MiB/s", rate, TARGET_MIB_PER_S, ratio, target, note)]


def run() -> list[Row]:
    """MiB of journal a second."""
    rows = []
    for points, target in ((500, 1.0), (50, None)):
        with tempfile.TemporaryDirectory() as name:
            rows += measure(Path(name) / "runs", points, target)
    return rows


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", where, points]:
            asyncio.run(fill(Path(where), int(points)))
        case ["start", where]:
            asyncio.run(start(Path(where)))
        case _:
            print_table(run())
