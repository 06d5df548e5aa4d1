"""How fast a start gets through its journal.

A bridge that was killed with a long journal (`--long`: a gigabyte), all in one segment, is opened again: every
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

from benchmarks.measure import Size
from benchmarks.results import Goal, Result, Row, Spread
from tbbridge.limits import MiB
from tbbridge.model import STATE_FOLDER, Batch, RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.pipeline.door import Ack
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings

GOAL_MIB_PER_S = 100.0
RUNS, TAGS = 50, 20


def settings(logdir: Path, journal_bytes: int) -> PipelineSettings:
    return PipelineSettings(logdir=logdir, segment_bytes=journal_bytes + 32 * MiB)


async def fill(logdir: Path, journal_bytes: int, points: int) -> None:
    """Write the journal and its event files, and die without a checkpoint, as by kill -9."""
    import numpy as np

    pipeline = await Pipeline.open(settings(logdir, journal_bytes))
    tags = [tag_name(f"train/metric-{tag}") for tag in range(TAGS)]
    values = np.random.default_rng(1).random(points)
    turn = 0
    while pipeline.stats.journal_bytes < journal_bytes:
        steps = np.arange(turn * points, (turn + 1) * points)
        columns = tuple(ScalarColumns(tag, values, steps, np.full(points, 1.7e9 + turn)) for tag in tags)
        batches = [Batch((RunBatch(run_name(f"run-{run}"), columns),), f"writer-{run}", turn + 1) for run in range(RUNS)]
        await asyncio.gather(*(pipeline.submit(batch, ack=Ack.WRITTEN) for batch in batches))
        turn += 1
    os._exit(0)


async def start(logdir: Path, journal_bytes: int) -> None:
    """Open the folder and say how long it took and how many batches it replayed."""
    started = time.perf_counter()
    pipeline = await Pipeline.open(settings(logdir, journal_bytes))
    took = time.perf_counter() - started
    print(took, pipeline.stats.replayed_batches, flush=True)
    os._exit(0)


def child(work: str, logdir: Path, journal_bytes: int, *more: str) -> str:
    command = [sys.executable, "-m", "benchmarks.replay", work, str(logdir), str(journal_bytes), *more]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(logdir: Path, journal_bytes: int, points: int, goal: Goal | None) -> Row:
    child("fill", logdir, journal_bytes, str(points))
    events = sum(path.stat().st_size for path in logdir.rglob("*tfevents*"))
    kept = logdir.with_name("kept")
    shutil.copytree(logdir / STATE_FOLDER, kept)
    whole_s, replayed = map(float, child("start", logdir, journal_bytes).split())
    shutil.rmtree(logdir / STATE_FOLDER)
    kept.rename(logdir / STATE_FOLDER)
    for path in logdir.rglob("*tfevents*"):
        os.truncate(path, path.stat().st_size // 2)
    half_s = float(child("start", logdir, journal_bytes).split()[0])
    note = (
        f"{journal_bytes / MiB:,.0f} MiB of journal, {replayed:,.0f} batches, {events / MiB:,.0f} MiB of event files: "
        f"{whole_s:.1f} s; with half of their bytes gone {half_s:.1f} s"
    )
    rate = Spread.one(journal_bytes / MiB / whole_s)
    return Row(f"replay, columns of {points} points", "MiB/s", rate, better="more", goal=goal, note=note)


def run(size: Size) -> Result:
    """MiB of journal a second."""
    journal_bytes = size.pick(8, 64, 1024) * MiB
    rows = []
    for points, goal in ((500, Goal(GOAL_MIB_PER_S, "ours")), (50, None)):
        with tempfile.TemporaryDirectory() as name:
            rows.append(measure(Path(name) / "runs", journal_bytes, points, goal))
    return Result(rows)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", where, bytes_, points]:
            asyncio.run(fill(Path(where), int(bytes_), int(points)))
        case ["start", where, bytes_]:
            asyncio.run(start(Path(where), int(bytes_)))
        case _:
            sys.exit("these are steps of `python -m benchmarks replay`")
