"""A disk that refuses: nothing acknowledged is lost, nothing is taken by halves, and it goes on by itself afterwards."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from folders import batch, event_files, open_pipeline, points, scalars

from tbbridge import disk
from tbbridge.errors import InvalidBatch, LogFolderBusy, StorageFailed
from tbbridge.model import Histogram, run_name, tag_name
from tbbridge.pipeline import writer
from tbbridge.pipeline.door import Ack
from tbbridge.pipeline.pipeline import Pipeline


class FailingDisk:
    """Stands before os.pwrite and os.fdatasync: lets `allowed` bytes through to paths that `concerns`, then refuses.

    It does not check that the pipeline writes by these calls only; the e2e tests fill a real file system.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.allowed = 0
        self.sync_fails = False
        self.concerns: Callable[[str], bool] = lambda path: True
        self._pwrite, self._sync = os.pwrite, disk.sync_data
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        monkeypatch.setattr(disk, "sync_data", self.sync_data)
        monkeypatch.setattr(writer, "RETRY_S", 0.01)

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        if self.error is None or not self.concerns(os.readlink(f"/proc/self/fd/{fd}")):
            return self._pwrite(fd, data, offset)
        if self.allowed == 0:
            raise OSError(self.error, os.strerror(self.error))
        part = min(self.allowed, len(data))
        self.allowed -= part
        return self._pwrite(fd, data[:part], offset)

    def sync_data(self, fd: int) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._sync(fd)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> FailingDisk:
    return FailingDisk(monkeypatch)


async def until_ready(pipeline: Pipeline) -> None:
    async with asyncio.timeout(20):
        while not pipeline.health.ready:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("allowed", [0, 1, 40])
@pytest.mark.parametrize(("code", "status"), [(errno.ENOSPC, 507), (errno.EIO, 503)])
async def test_a_journal_that_cannot_be_written_refuses_and_takes_the_retry_later(
    tmp_path: Path, failing: FailingDisk, allowed: int, code: int, status: int
) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", [1.0]), writer="w", seq=1))
    failing.error, failing.allowed, failing.concerns = code, allowed, lambda path: path.endswith(".journal")
    second = batch("a", scalars("x", [2.0]), scalars("y", [1.0]), writer="w", seq=2)
    for _ in range(3):
        with pytest.raises(StorageFailed) as caught:
            await pipeline.submit(second)
        assert caught.value.status == status
    assert not pipeline.health.ready
    failing.error = None
    await until_ready(pipeline)
    assert not (await pipeline.submit(second, ack=Ack.WRITTEN)).duplicate
    await pipeline.close()
    assert points(tmp_path) == {("a", "x"): [(0, 1.0), (1, 2.0)], ("a", "y"): [(0, 1.0)]}


@pytest.mark.parametrize("repaired", [True, False])
async def test_a_batch_refused_by_a_failed_sync_does_not_come_back_after_a_crash(
    tmp_path: Path, failing: FailingDisk, monkeypatch: pytest.MonkeyPatch, repaired: bool
) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    if not repaired:
        monkeypatch.setattr(writer, "RETRY_S", 1000.0)
    failing.sync_fails = True
    with pytest.raises(StorageFailed):
        await pipeline.submit(batch("a", scalars("x", [2.0])))
    failing.sync_fails = False
    expected = [(0, 1.0)]
    if repaired:
        await until_ready(pipeline)
        await pipeline.submit(batch("a", scalars("x", [3.0])), ack=Ack.WRITTEN)
        expected.append((1, 3.0))
    kill(pipeline)
    again = await open_pipeline(tmp_path)
    assert points(tmp_path) == {("a", "x"): expected}
    await again.close()


def kill(pipeline: Pipeline) -> None:
    """Let go of everything as a SIGKILL would: no drain, no checkpoint."""
    pipeline._task.cancel()
    pipeline._store.files.close()
    pipeline._lock.release()


async def test_batches_acknowledged_as_queued_wait_for_a_disk_that_refuses_for_a_moment(
    tmp_path: Path, failing: FailingDisk
) -> None:
    pipeline = await open_pipeline(tmp_path)
    failing.sync_fails = True
    for step in range(5):
        await pipeline.submit(batch("a", scalars("x", [step], [step])), ack=Ack.QUEUED)
    async with asyncio.timeout(20):
        while pipeline.health.ready:
            await asyncio.sleep(0.01)
    failing.sync_fails = False
    await until_ready(pipeline)
    await pipeline.submit(batch("a", scalars("x", [5], [5])), ack=Ack.WRITTEN)
    assert points(tmp_path)["a", "x"] == [(step, float(step)) for step in range(6)]
    await pipeline.close()


async def test_batches_acknowledged_as_queued_that_a_stop_cuts_off_are_told(
    tmp_path: Path, failing: FailingDisk, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = await open_pipeline(tmp_path, close_timeout_s=0.05)
    failing.sync_fails = True
    await pipeline.submit(batch("a", scalars("x", [1.0, 2.0])), ack=Ack.QUEUED)
    await pipeline.close()
    assert "2 points in 1 batches acknowledged with ack=queued are lost" in caplog.text


async def test_who_waits_for_the_event_file_is_told_at_once_that_the_disk_refuses(tmp_path: Path, failing: FailingDisk) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    failing.error, failing.concerns = errno.ENOSPC, lambda path: "tfevents" in path
    with pytest.raises(StorageFailed, match="safe in the journal") as caught:
        await pipeline.submit(batch("a", scalars("x", [2.0]), writer="w", seq=1), ack=Ack.WRITTEN)
    assert caught.value.status == 507
    failing.error = None
    await until_ready(pipeline)
    assert (await pipeline.submit(batch("a", scalars("x", [2.0]), writer="w", seq=1), ack=Ack.WRITTEN)).duplicate
    assert points(tmp_path)["a", "x"] == [(0, 1.0), (1, 2.0)]
    await pipeline.close()


@pytest.mark.parametrize("allowed", [0, 1, 60])
async def test_an_event_file_that_cannot_be_written_gets_the_same_bytes_later(
    tmp_path: Path, failing: FailingDisk, allowed: int
) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    failing.error, failing.allowed, failing.concerns = errno.ENOSPC, allowed, lambda path: "tfevents" in path
    receipt = await pipeline.submit(batch("a", scalars("x", [2.0, 3.0])))
    assert receipt.accepted == 2, "the journal has it"
    waiting = asyncio.create_task(pipeline.settled())
    with pytest.raises(StorageFailed, match="free some space"):
        await waiting
    with pytest.raises(StorageFailed):
        await pipeline.submit(batch("a", scalars("x", [4.0])))
    assert "disk is full" in pipeline.health.reason
    failing.error = None
    await until_ready(pipeline)
    await pipeline.submit(batch("a", scalars("x", [5.0])), ack=Ack.WRITTEN)
    assert points(tmp_path) == {("a", "x"): [(0, 1.0), (1, 2.0), (2, 3.0), (3, 5.0)]}
    assert len(event_files(tmp_path)) == 1
    await pipeline.close()


async def test_stopping_while_the_disk_refuses_leaves_the_rest_to_the_next_start(tmp_path: Path, failing: FailingDisk) -> None:
    pipeline = await open_pipeline(tmp_path, close_timeout_s=0.05)
    failing.error, failing.concerns = errno.ENOSPC, lambda path: "tfevents" in path
    await pipeline.submit(batch("a", scalars("x", [1.0, 2.0])))
    await pipeline.close()
    failing.error = None
    again = await open_pipeline(tmp_path)
    assert points(tmp_path) == {("a", "x"): [(0, 1.0), (1, 2.0)]}
    await again.close()


async def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[: max(1, len(data) // 3)], offset))
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", range(100))), ack=Ack.WRITTEN)
    await pipeline.close()
    assert [value for _, value in points(tmp_path)["a", "x"]] == list(range(100))


async def test_a_start_on_a_full_disk_says_to_start_again_since_it_does_not_go_on_by_itself(
    tmp_path: Path, failing: FailingDisk
) -> None:
    failing.error, failing.concerns = errno.ENOSPC, lambda path: path.endswith(".journal")
    with pytest.raises(StorageFailed, match="free some space; then start the bridge again") as refused:
        await open_pipeline(tmp_path)
    assert refused.value.status == 507


async def test_a_checkpoint_that_fails_keeps_the_journal_it_was_to_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = await open_pipeline(tmp_path, segment_bytes=300)

    def refuse(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk, "replace_durably", refuse)
    for step in range(30):
        await pipeline.submit(batch("a", scalars("x", [step], [step])), ack=Ack.WRITTEN)
    await pipeline.close()
    monkeypatch.undo()
    for name in event_files(tmp_path):
        (tmp_path / name).write_bytes(b"")
    await (await open_pipeline(tmp_path)).close()
    assert len(points(tmp_path)["a", "x"]) == 30


async def test_an_unexpected_error_in_the_writer_answers_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = await open_pipeline(tmp_path)

    def broken(entries: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline._store, "publish", broken)
    sends = [pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN) for _ in range(3)]
    outcomes = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 3
    assert not pipeline.health.ready
    with pytest.raises(StorageFailed, match="internal error"):
        await pipeline.submit(batch("a", scalars("x", [1.0])))
    assert "the writer stopped" in caplog.text
    monkeypatch.undo()
    await pipeline.close()
    again = await open_pipeline(tmp_path)
    assert len(points(tmp_path)["a", "x"]) == 3, "the journal had them"
    await again.close()


async def test_the_whole_log_folder_deleted_under_us_is_begun_anew_and_repeats_are_still_known(tmp_path: Path) -> None:
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir)
    await pipeline.submit(batch("a", scalars("x", [1.0], [1]), writer="w", seq=1), ack=Ack.WRITTEN)
    shutil.rmtree(logdir)
    with pytest.raises(StorageFailed, match="deleted or moved"):  # not acknowledged into a file without a name
        await pipeline.submit(batch("a", scalars("x", [2.0], [2]), writer="w", seq=2))
    await until_ready(pipeline)
    await pipeline.submit(batch("a", scalars("x", [2.0], [2]), writer="w", seq=2), ack=Ack.WRITTEN)
    with pytest.raises(LogFolderBusy):
        await open_pipeline(logdir)
    kill(pipeline)
    again = await open_pipeline(logdir)
    assert (await again.submit(batch("a", scalars("x", [2.0], [2]), writer="w", seq=2))).duplicate
    assert points(logdir) == {("a", "x"): [(2, 2.0)]}
    await again.close()


def swap_for_link(logdir: Path) -> None:
    [file] = (logdir / "a").iterdir()
    file.rename(logdir.parent / "moved")
    file.symlink_to(logdir.parent / "moved")


def put_long_name(logdir: Path) -> None:
    (logdir / "a" / ("model.tfevents." + "x" * 239)).touch()


def put_name_that_is_no_text(logdir: Path) -> None:
    Path(os.fsdecode(os.fsencode(logdir / "a") + b"/z\xff.tfevents")).touch()


@pytest.mark.parametrize(
    ("oddity", "goes_on"), [(swap_for_link, True), (put_long_name, False), (put_name_that_is_no_text, False)]
)
async def test_an_odd_file_in_a_runs_folder_concerns_that_run_alone(
    tmp_path: Path, oddity: Callable[[Path], None], goes_on: bool
) -> None:
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir, open_files_max=1)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    await pipeline.submit(batch("b", scalars("x", [1.0])), ack=Ack.WRITTEN)  # the file of `a` is closed now
    if not goes_on:
        shutil.rmtree(logdir / "a")
        (logdir / "a").mkdir()
    oddity(logdir)
    if goes_on:
        await pipeline.submit(batch("a", scalars("x", [2.0])), ack=Ack.WRITTEN)
    else:
        with pytest.raises(InvalidBatch, match="rename that file"):
            await pipeline.submit(batch("a", scalars("x", [2.0])))
    assert pipeline.health.ready
    await pipeline.submit(batch("b", scalars("x", [2.0])), ack=Ack.WRITTEN)
    kill(pipeline)
    again = await open_pipeline(logdir)
    assert points(logdir)["b", "x"] == [(0, 1.0), (1, 2.0)]
    await again.close()


async def test_a_refused_batch_leaves_no_folder_inside_or_outside_the_log_folder(tmp_path: Path) -> None:
    logdir, outside = tmp_path / "runs", tmp_path / "outside"
    outside.mkdir()
    pipeline = await open_pipeline(logdir)
    (logdir / "link").symlink_to(outside)
    with pytest.raises(InvalidBatch, match="leads out of the log folder"):
        await pipeline.submit(batch("link/x/y", scalars("x", [1.0])))
    conflict = Histogram(tag_name("x"), np.ones(3))
    with pytest.raises(InvalidBatch, match="another tag"):
        await pipeline.submit(batch("new", scalars("x", [1.0]), conflict))
    assert list(outside.iterdir()) == []
    assert sorted(path.name for path in logdir.iterdir()) == [".tbbridge", "link"]
    await pipeline.close()


async def test_a_stop_during_replay_lets_the_folder_go_and_loses_nothing(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    for step in range(300):
        await pipeline.submit(batch("a", scalars("x", [step], [step])))
    await pipeline.settled()
    kill(pipeline)
    opening = asyncio.create_task(open_pipeline(tmp_path))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(20):
        while True:
            try:
                again = await open_pipeline(tmp_path)
                break
            except LogFolderBusy:
                await asyncio.sleep(0.01)
    assert len(points(tmp_path)["a", "x"]) == 300
    await again.close()


async def test_a_run_name_is_the_only_way_to_a_path(tmp_path: Path) -> None:
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir)
    for name in ("lr=1e-3,λ=1e-1", "a b/c;d'e\"f$(g)`h`", "-rf", "ünï", "x" * 255):
        await pipeline.submit(batch(run_name(name), scalars("x", [1.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    assert len(points(logdir)) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
