"""Links never lead out of the log folder, not even one put in a folder's place while we write; and what we make is ours."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from folders import batch, embedding, open_pipeline, points, scalars

from tbbridge import disk
from tbbridge.errors import InvalidBatch, StorageFailed
from tbbridge.model import LogRecord, RunBatch, run_name
from tbbridge.pipeline import eventfile
from tbbridge.pipeline.door import Ack
from tbbridge.pipeline.veils import Veils


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Somebody else's folder, which must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def swap(folder: Path, outside: Path) -> None:
    folder.rename(folder.with_name(folder.name + " was here"))
    folder.symlink_to(outside)


@pytest.mark.parametrize("run", ["a", "a/b", "a/b/c"])
async def test_a_folder_that_becomes_a_link_between_check_and_use_is_not_followed(tmp_path, outside, monkeypatch, run) -> None:
    """The moment is the worst there is: after the run was judged, before its folder is made."""
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir)
    await pipeline.submit(batch("a/b/c/d", scalars("x", [1.0])), ack=Ack.WRITTEN)
    judge = eventfile.EventFiles._check_inside

    def judge_and_swap(self: eventfile.EventFiles, folder: Path, name: str) -> None:
        judge(self, folder, name)
        swap(logdir / "a", outside)

    monkeypatch.setattr(eventfile.EventFiles, "_check_inside", judge_and_swap)
    with pytest.raises(InvalidBatch, match=r"run-folder|cannot be made"):
        await pipeline.submit(batch(run + "/new", scalars("x", [1.0])))
    await pipeline.close()
    assert list(outside.iterdir()) == []


async def test_a_folder_that_becomes_a_link_after_its_batch_was_settled_is_not_followed(tmp_path, outside, monkeypatch) -> None:
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir)
    write = eventfile.EventFiles.write
    swapped = []

    def swap_and_write(self: eventfile.EventFiles, run, offset, data) -> None:
        if not swapped:
            swapped.append(run.name)
            swap(logdir / "a", outside)
        write(self, run, offset, data)

    monkeypatch.setattr(eventfile.EventFiles, "write", swap_and_write)
    await pipeline.submit(batch("a", scalars("x", [1.0])))
    with pytest.raises(InvalidBatch, match="leads out of the log folder"):
        await pipeline.submit(batch("a", scalars("x", [2.0])))
    (logdir / "a").unlink()  # as the answer says
    await pipeline.submit(batch("a", scalars("x", [3.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    assert swapped == ["a"]
    assert list(outside.iterdir()) == []
    assert [value for _, value in points(logdir)["a", "x"]] == [3.0]


@pytest.mark.parametrize("why_closed", ["restart", "others"])
async def test_a_run_moved_out_behind_a_link_is_refused_while_its_file_is_closed(tmp_path, outside, why_closed) -> None:
    """The file that the link leads to is ours, of the right length, and just as it was left: only its place is wrong."""
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir, open_files_max=1)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    if why_closed == "others":
        await pipeline.submit(batch("b", scalars("x", [1.0])), ack=Ack.WRITTEN)
    else:
        await pipeline.close()
    (logdir / "a").rename(outside / "a")
    (logdir / "a").symlink_to(outside / "a")
    if why_closed == "restart":
        pipeline = await open_pipeline(logdir)
    before = [path.read_bytes() for path in (outside / "a").iterdir()]
    with pytest.raises(InvalidBatch, match="leads out of the log folder; remove the link"):
        await pipeline.submit(batch("a", scalars("x", [2.0]), writer="w", seq=1))
    assert [path.read_bytes() for path in (outside / "a").iterdir()] == before
    (logdir / "a").unlink()
    (outside / "a").rename(logdir / "a")
    await pipeline.submit(batch("a", scalars("x", [2.0]), writer="w", seq=1), ack=Ack.WRITTEN)  # no repeat: it was not taken
    await pipeline.close()
    assert [value for _, value in points(logdir)["a", "x"]] == [1.0, 2.0]


async def test_what_was_veiled_is_not_moved_through_a_link(tmp_path, outside) -> None:
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir, veil_s=0)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    veils = Veils(logdir, 0)
    veils.begin(run_name("a"), vanish_at=None)
    files = veils.files(run_name("a"))
    assert files is not None
    (logdir / "a").rename(files)
    for path in files.iterdir():
        path.rename(path.with_name(path.name.replace("tfevents", "tf~vents")))
    (logdir / "a").symlink_to(outside)
    with pytest.raises(OSError, match="leads out"):
        veils.lift("a")
    assert list(outside.iterdir()) == []
    (logdir / "a").unlink()
    assert len(veils.lift("a")) == 1
    assert len(points(logdir)["a", "x"]) == 1


async def test_links_that_stay_in_the_log_folder_are_followed_as_before(tmp_path) -> None:
    logdir = tmp_path / "runs"
    (logdir / "real").mkdir(parents=True)
    (logdir / "link").symlink_to("real")
    pipeline = await open_pipeline(logdir)
    await pipeline.submit(batch("link/a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    assert len(list((logdir / "real" / "a").iterdir())) == 1


async def test_a_log_folder_that_is_itself_a_link_is_used(tmp_path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to("disk")
    pipeline = await open_pipeline(tmp_path / "runs")
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    assert len(points(tmp_path / "disk")) == 1


async def test_our_own_folder_is_never_a_link(tmp_path, outside) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".tbbridge").symlink_to(outside)
    with pytest.raises(StorageFailed, match="remove the link"):
        await open_pipeline(tmp_path / "runs")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
async def test_what_we_keep_is_for_us_alone_and_what_we_show_is_as_the_umask_says(tmp_path, umask) -> None:
    logdir = tmp_path / "runs"
    before = os.umask(umask)
    try:
        pipeline = await open_pipeline(logdir)
        log = RunBatch(run_name("a/b"), logs=(LogRecord("secret"),))
        for sent in (batch("a/b", scalars("x", [1.0]), embedding("e", 3)), type(batch("a"))((log,))):
            await pipeline.submit(sent, ack=Ack.WRITTEN)
        await pipeline.close()
    finally:
        os.umask(before)
    modes = {path.relative_to(logdir): stat.S_IMODE(path.stat().st_mode) for path in logdir.rglob("*")}
    ours = {path: mode for path, mode in modes.items() if path.parts[0] == ".tbbridge"}
    assert ours[Path(".tbbridge")] == 0o700
    assert {oct(mode) for path, mode in ours.items() if (logdir / path).is_file()} == {oct(0o600)}
    shown = {path: mode for path, mode in modes.items() if path not in ours}
    assert len(shown) >= 4
    for path, mode in shown.items():
        assert mode == (0o777 if (logdir / path).is_dir() else 0o644) & ~umask, path


def test_a_folder_is_made_where_its_parents_are_and_only_if_asked(tmp_path) -> None:
    for _ in range(2):
        os.close(disk.open_folder_below(tmp_path, tmp_path.resolve(), tmp_path / "a" / "b", create=True))
    with pytest.raises(FileNotFoundError):
        disk.open_folder_below(tmp_path, tmp_path.resolve(), tmp_path / "c", create=False)
    (tmp_path / "up").symlink_to("..")
    with pytest.raises(OSError, match="leads out") as refused:
        disk.open_folder_below(tmp_path, tmp_path.resolve(), tmp_path / "up" / "d", create=True)
    assert refused.value.errno == errno.ELOOP
    assert not (tmp_path.parent / "d").exists()
