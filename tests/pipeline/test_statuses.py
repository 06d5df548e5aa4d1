"""How runs are: the last word counts, restarts keep it, a word alone makes no run, and silence is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from folders import batch, event_files, open_pipeline, scalars

from tbbridge import limits
from tbbridge.model import Batch, RunBatch, RunStatus, run_name
from tbbridge.pipeline.door import Ack, DeleteRun, RenameRun
from tbbridge.pipeline.heartbeats import Heartbeats


def said(run: str, status: RunStatus, *items: object) -> Batch:
    """A batch that says how `run` is."""
    made = batch(run, *items)  # type: ignore[arg-type]
    return Batch(tuple(replace(one, status=status) for one in made.runs))


async def test_the_last_word_counts_and_survives_replay_and_checkpoint(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    for run, status in (("a", RunStatus.FINISHED), ("b", RunStatus.FAILED), ("c", RunStatus.RUNNING)):
        await pipeline.submit(said(run, RunStatus.RUNNING, scalars("x", [1.0])))
        await pipeline.submit(said(run, status))
    await pipeline.submit(batch("d", scalars("x", [1.0])))
    wanted = {"a": "finished", "b": "failed", "c": "running", "d": None, "none": None}
    assert {run: pipeline.status_of(run) for run in wanted} == wanted
    pipeline._lock.release()  # as if it was killed: a second start replays the journal
    replayed = await open_pipeline(tmp_path)
    assert {run: replayed.status_of(run) for run in wanted} == wanted
    await replayed.close()
    from_checkpoint = await open_pipeline(tmp_path)
    assert {run: from_checkpoint.status_of(run) for run in wanted} == wanted
    await from_checkpoint.close()


async def test_a_word_alone_makes_no_run_and_no_bytes(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(said("nothing", RunStatus.RUNNING))
    assert (event_files(tmp_path), pipeline.status_of("nothing")) == ({}, None)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    before = event_files(tmp_path)
    await pipeline.submit(said("a", RunStatus.FINISHED), ack=Ack.WRITTEN)
    assert event_files(tmp_path) == before
    assert pipeline.status_of("a") == "finished"
    await pipeline.close()


async def test_a_heartbeat_changes_nothing_that_is_stored(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(said("a", RunStatus.RUNNING, scalars("x", [1.0])), ack=Ack.WRITTEN)
    pipeline.take_touched()
    size = pipeline.stats.event_bytes
    await pipeline.submit(said("a", RunStatus.RUNNING), ack=Ack.WRITTEN)
    assert pipeline.take_touched() == set()
    assert pipeline.stats.event_bytes == size
    await pipeline.close()


async def test_a_status_goes_where_its_run_goes(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=0)
    await pipeline.submit(said("a", RunStatus.FAILED, scalars("x", [1.0])))
    await pipeline.change(RenameRun(run_name("a"), run_name("b")))
    assert (pipeline.status_of("a"), pipeline.status_of("b")) == (None, "failed")
    await pipeline.change(DeleteRun(run_name("b")))
    assert pipeline.status_of("b") is None
    await pipeline.close()


def test_a_run_that_is_silent_is_lost_until_it_is_heard_again() -> None:
    now = 0.0
    beats = Heartbeats([run_name("old")], lambda: now)
    beats.hear(Batch((RunBatch(run_name("new"), status=RunStatus.RUNNING),)))
    now = limits.RUN_LOST_AFTER_S - 1
    assert (beats.is_lost("old"), beats.is_lost("new"), beats.take_turned()) == (False, False, set())
    beats.hear(Batch((RunBatch(run_name("new"), status=RunStatus.RUNNING),)))
    now = limits.RUN_LOST_AFTER_S + 1
    assert (beats.is_lost("old"), beats.is_lost("new")) == (True, False)
    assert (beats.take_turned(), beats.take_turned()) == ({"old"}, set())
    beats.hear(Batch((RunBatch(run_name("old"), status=RunStatus.RUNNING),)))
    assert (beats.is_lost("old"), beats.take_turned()) == (False, {"old"})


def test_a_run_that_ended_is_not_waited_for() -> None:
    now = 0.0
    beats = Heartbeats([run_name("a")], lambda: now)
    beats.hear(Batch((RunBatch(run_name("a"), status=RunStatus.FINISHED),)))
    now = 10 * limits.RUN_LOST_AFTER_S
    assert beats.take_turned() == set()


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_status_has_the_number_of_the_public_message(status: RunStatus) -> None:
    from tbbridge.v1 import write_pb2

    assert write_pb2.RunStatus.Value(f"RUN_STATUS_{status.name}") == status.number
    assert RunStatus.of_number(status.number) is status
