"""Runs deleted, renamed, installed and rid of a tag: in order, once, wherever the process dies, and so that readers follow."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from folders import Clock, batch, embedding, event_files, events, open_pipeline, points, run_files, scalars

from tbbridge import disk, layout, limits
from tbbridge.errors import Conflict, InvalidBatch, NotFound, StorageFailed, TBBridgeError
from tbbridge.model import Batch, Mesh, RunBatch, Text, run_name, tag_name
from tbbridge.pipeline.door import Ack, Change, DeleteRun, DeleteTag, InstallRun, RenameRun
from tbbridge.pipeline.pipeline import Pipeline

GOLDEN = Path(__file__).parents[1] / "golden" / "tensorboardx.tfevents"


async def put(pipeline: Pipeline, run: str, *items: Any) -> None:
    await pipeline.submit(batch(run, *items), ack=Ack.WRITTEN)


async def fill(pipeline: Pipeline) -> None:
    """Runs `a` (two tags), `a/x` below it, and `b`."""
    await put(pipeline, "a", scalars("loss", [1, 2]), scalars("kept", [3]), Text(tag_name("note"), "hello"))
    await put(pipeline, "a/x", scalars("loss", [4]))
    await put(pipeline, "b", scalars("loss", [5]))


async def staged(pipeline: Pipeline, *names: str) -> Path:
    """A folder with an event file of tensorboardX under each of the names."""
    folder = await pipeline.stage()
    for name in names:
        shutil.copy(GOLDEN, folder / layout.veiled_name(name))
    return folder


FILLED = {
    ("a", "loss"): [(0, 1.0), (1, 2.0)],
    ("a", "kept"): [(0, 3.0)],
    ("a/x", "loss"): [(0, 4.0)],
    ("b", "loss"): [(0, 5.0)],
}


def without(*gone: tuple[str, str]) -> dict[tuple[str, str], list[tuple[int, float]]]:
    return {key: value for key, value in FILLED.items() if key not in gone}


# No veil is lifted while a test looks: a copy of the folder made meanwhile would be of no moment that there was.
STILL: dict[str, object] = {"veil_s": 600.0, "emptied_s": 60.0, "emptied_max_s": 60.0, "close_timeout_s": 0.1}
DELETE = DeleteRun(run_name("a"))
DELETE_BELOW = DeleteRun(run_name("a"), below=True)
DELETE_TAG = DeleteTag(run_name("a"), tag_name("loss"))
RENAME = RenameRun(run_name("a"), run_name("new/name"))
RENAMED = {
    ("new/name", "loss"): FILLED["a", "loss"],
    ("new/name", "kept"): FILLED["a", "kept"],
    ("new/name/x", "loss"): FILLED["a/x", "loss"],
    ("b", "loss"): FILLED["b", "loss"],
}
AFTER: dict[Change, dict[tuple[str, str], list[tuple[int, float]]]] = {
    DELETE: without(("a", "loss"), ("a", "kept")),
    DELETE_BELOW: without(("a", "loss"), ("a", "kept"), ("a/x", "loss")),
    DELETE_TAG: without(("a", "loss")),
    RENAME: RENAMED,
}
CHANGES = pytest.mark.parametrize("change", AFTER, ids=["delete", "delete below", "delete tag", "rename"])


@CHANGES
async def test_a_change_is_done_when_it_is_answered_and_stays_over_a_restart(tmp_path: Path, change: Change) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    await pipeline.change(change)
    assert "a" not in {run for run, _ in points(tmp_path)}, "no reader sees it now"
    await pipeline.close()
    assert points(tmp_path) == AFTER[change]
    again = await open_pipeline(tmp_path)
    await again.close()
    assert points(tmp_path) == AFTER[change]
    assert not list((tmp_path / ".tbbridge" / "staged").glob("*"))
    assert not list((tmp_path / ".tbbridge" / "veils").glob("*"))


@CHANGES
async def test_what_a_run_gets_after_a_change_is_veiled_until_readers_have_noticed(tmp_path: Path, change: Change) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=0.3)
    await fill(pipeline)
    began = time.monotonic()
    await pipeline.change(change)
    await put(pipeline, "a", scalars("loss", [7, 8]))
    assert not [name for name in event_files(tmp_path) if name.startswith(".tbbridge")]
    async with asyncio.timeout(20):
        while not {("a", "loss"), *AFTER[change]} <= {*points(tmp_path)}:  # each run has a veil of its own
            await asyncio.sleep(0.02)
    assert time.monotonic() - began >= 0.3, "TensorBoard has to find the run gone"
    await put(pipeline, "a", scalars("loss", [9]))
    expected = AFTER[change] | {("a", "loss"): [(0, 7.0), (1, 8.0), (2, 9.0)]}
    assert {key: value for key, value in points(tmp_path).items() if value} == expected
    await pipeline.close()
    assert points(tmp_path) == expected


async def test_a_deleted_tag_leaves_every_other_record_as_it_was(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    shutil.copytree(_golden_run(tmp_path / "source"), tmp_path / "a")
    await put(pipeline, "a", scalars("train/loss", [1, 2, 3]), scalars("other", [4]), Text(tag_name("note"), "x"))
    await put(pipeline, "a", embedding("points", 2))
    before = [event for data in event_files(tmp_path).values() for event in events(data)][:]
    tag = next(value.tag for event in before for value in event.summary.value if value.HasField("simple_value"))
    before = [event for name, data in event_files(tmp_path).items() if name.startswith("a/") for event in events(data)]
    beside = {name: data for name, data in run_files(tmp_path).items() if "tfevents" not in name}
    await pipeline.change(DeleteTag(run_name("a"), tag_name(tag)))
    await pipeline.close()
    after = [event for name, data in event_files(tmp_path).items() if name.startswith("a/") for event in events(data)]
    assert any(value.tag == tag for event in before for value in event.summary.value)
    assert after == [event for event in before if not any(value.tag == tag for value in event.summary.value)]
    assert {name: data for name, data in run_files(tmp_path).items() if "tfevents" not in name} == beside
    assert len([name for name in event_files(tmp_path) if name.startswith("a/")]) == 1


def _golden_run(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(GOLDEN, folder / "events.out.tfevents.1500000000.host")
    return folder


async def test_a_tag_is_found_right_after_its_first_point_was_acknowledged(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    for turn in range(20):
        await pipeline.submit(batch(f"run{turn}", scalars("loss", [1]), scalars("kept", [2])))
        await pipeline.change(DeleteTag(run_name(f"run{turn}"), tag_name("loss")))
    await pipeline.close()
    assert {tag for _, tag in points(tmp_path)} == {"kept"}


async def test_a_tag_is_left_out_of_what_came_while_it_was_being_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    prepare = pipeline._store.changes.prepare

    def prepare_and_go_on(change: Change) -> Any:
        prepared = prepare(change)
        asyncio.run_coroutine_threadsafe(put(pipeline, "a", scalars("loss", [8]), scalars("kept", [9])), loop).result(20)
        return prepared

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(pipeline._store.changes, "prepare", prepare_and_go_on)
    await pipeline.change(DELETE_TAG)
    await pipeline.close()
    assert points(tmp_path) == AFTER[DELETE_TAG] | {("a", "kept"): [(0, 3.0), (1, 9.0)]}


async def test_a_tag_is_deleted_from_a_run_whose_veil_is_lifted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=0.1)
    await fill(pipeline)
    await pipeline.change(DELETE)
    await put(pipeline, "a", scalars("loss", [6]), scalars("kept", [7]))
    prepare = pipeline._store.changes.prepare

    def prepare_until_lifted(change: Change) -> Any:
        prepared = prepare(change)
        asyncio.run_coroutine_threadsafe(pipeline._until_lifted(run_name("a")), loop).result(20)
        return prepared

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(pipeline._store.changes, "prepare", prepare_until_lifted)
    await pipeline.change(DELETE_TAG)
    await pipeline.close()
    assert points(tmp_path)["a", "kept"] == [(0, 7.0)]
    assert ("a", "loss") not in points(tmp_path)


async def test_the_parts_of_a_mesh_go_with_it(tmp_path: Path) -> None:
    import numpy as np

    pipeline = await open_pipeline(tmp_path)
    corners = np.zeros((1, 3, 3), np.float32)
    mesh = Mesh(tag_name("m"), corners, np.zeros((1, 3, 3), np.uint8), np.array([[[0, 1, 2]]], np.int32))
    await put(pipeline, "a", mesh, scalars("m_VERTEX_count", [1]))
    await pipeline.change(DeleteTag(run_name("a"), tag_name("m")))
    await pipeline.close()
    left = {value.tag for data in event_files(tmp_path).values() for event in events(data) for value in event.summary.value}
    assert left == {"m_VERTEX_count"}


async def test_a_tag_that_was_deleted_may_hold_another_kind(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    with pytest.raises(InvalidBatch, match="holds scalar values"):
        await put(pipeline, "a", Text(tag_name("loss"), "words"))
    await pipeline.change(DELETE_TAG)
    await put(pipeline, "a", Text(tag_name("loss"), "words"))
    await pipeline.close()


async def test_steps_of_a_renamed_run_go_on_and_those_of_a_deleted_tag_start_afresh(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    await pipeline.change(RENAME)
    await put(pipeline, "new/name", scalars("loss", [6]))
    await pipeline.change(DeleteTag(run_name("new/name"), tag_name("kept")))
    await put(pipeline, "new/name", scalars("kept", [7]), scalars("loss", [8]))
    await pipeline.close()
    found = points(tmp_path)
    assert found["new/name", "loss"] == [(0, 1.0), (1, 2.0), (2, 6.0), (3, 8.0)]
    assert found["new/name", "kept"] == [(0, 7.0)]


async def test_an_installed_run_has_exactly_the_files_that_were_staged(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    names = ("events.out.tfevents.1.a", "events.out.tfevents.2.b")
    with pytest.raises(Conflict, match="exists"):
        await pipeline.change(InstallRun(run_name("a"), await staged(pipeline, *names)))
    await pipeline.change(InstallRun(run_name("a"), await staged(pipeline, *names), replace=True))
    await pipeline.change(InstallRun(run_name("never seen"), await staged(pipeline, *names)))
    async with asyncio.timeout(20):
        while not (tmp_path / "never seen" / names[1]).exists():  # nobody has to notice anything first
            await asyncio.sleep(0.02)
    await pipeline.close()
    for run in ("a", "never seen"):
        assert sorted(path.name for path in (tmp_path / run).iterdir() if path.is_file()) == list(names)
        assert (tmp_path / run / names[0]).read_bytes() == GOLDEN.read_bytes()
    assert points(tmp_path)["a/x", "loss"] == [(0, 4.0)], "what is below a run is another run"


async def archived(pipeline: Pipeline, folder: Path) -> Path:
    """What is in a run's folder as a staged one, as an archive of it would be unpacked."""
    stage = await pipeline.stage()
    for path in folder.iterdir():
        shutil.copy(path, stage / layout.veiled_name(path.name))
    return stage


async def test_a_run_that_was_put_back_goes_on_behind_its_last_steps(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, **STILL)
    await put(pipeline, "a", scalars("loss", [1, 2, 3]), Text(tag_name("note"), "x"))
    stage = await archived(pipeline, tmp_path / "a")
    await pipeline.change(DELETE)
    await pipeline.change(InstallRun(run_name("a"), stage))
    await put(pipeline, "a", scalars("loss", [4]))
    with pytest.raises(InvalidBatch, match="holds text values"):
        await put(pipeline, "a", scalars("note", [4]))
    shutil.copytree(tmp_path, tmp_path.with_name("dead"))
    await pipeline.close()
    assert points(tmp_path)["a", "loss"] == [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]
    again = await open_pipeline(tmp_path.with_name("dead"))
    await put(again, "a", scalars("loss", [5]))
    await again.close()
    assert [step for step, _ in points(tmp_path.with_name("dead"))["a", "loss"]] == [0, 1, 2, 3, 4]


async def test_a_run_that_was_put_back_with_a_torn_file_goes_on_in_another(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    stage = await pipeline.stage()
    name = "events.out.tfevents.9999999998.x"
    (stage / layout.veiled_name(name)).write_bytes(GOLDEN.read_bytes()[:-3])
    changed = await pipeline.change(InstallRun(run_name("a"), stage))
    assert [warning.code for warning in changed.warnings] == ["torn-file"]
    await put(pipeline, "a", scalars("mine", [1]))
    await pipeline.close()
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names[0] == name
    assert len(names) == 2


@pytest.mark.parametrize("how", ["replaced", "deleted first"])
async def test_what_a_restore_removed_does_not_come_back_by_a_replay_of_a_file_of_the_same_name(
    tmp_path: Path, how: str
) -> None:
    pipeline = await open_pipeline(tmp_path / "live", **STILL)
    await put(pipeline, "a", scalars("loss", [1, 2, 3]))
    stage = await archived(pipeline, tmp_path / "live" / "a")
    await put(pipeline, "a", scalars("loss", [40, 50]))
    if how == "deleted first":
        await pipeline.change(DELETE)
    await pipeline.change(InstallRun(run_name("a"), stage, replace=True))
    shutil.copytree(tmp_path / "live", tmp_path / "right behind")
    await put(pipeline, "b", scalars("loss", [9]))
    shutil.copytree(tmp_path / "live", tmp_path / "later")
    await pipeline.close()
    for cut in ("right behind", "later"):
        await (await open_pipeline(tmp_path / cut)).close()
        assert [value for _, value in points(tmp_path / cut)["a", "loss"]] == [1, 2, 3], cut


async def test_two_tags_deleted_at_once_from_a_run_veiled_already(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=1.0)
    await put(pipeline, "a", *(scalars(tag, [1, 2, 3]) for tag in ("x", "y", "z", "kept")))
    await pipeline.change(DeleteTag(run_name("a"), tag_name("x")))
    await asyncio.gather(*(pipeline.change(DeleteTag(run_name("a"), tag_name(tag))) for tag in "yz"))
    await pipeline.close()
    assert points(tmp_path) == {("a", "kept"): [(0, 1.0), (1, 2.0), (2, 3.0)]}


@pytest.mark.parametrize("below", [False, True])
async def test_a_folder_whose_name_is_no_text_is_somebody_elses(tmp_path: Path, below: bool) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    odd = os.fsencode(tmp_path / "a") + b"/caf\xe9"
    os.mkdir(odd)
    shutil.copy(GOLDEN, odd + b"/events.out.tfevents.1")
    changed = await pipeline.change(DeleteRun(run_name("a"), below=below))
    assert [warning.code for warning in changed.warnings][:1] == ["folder-stays"]
    await put(pipeline, "b", scalars("loss", [6]))
    await pipeline.close()
    await (await open_pipeline(tmp_path)).close()
    assert os.listdir(odd) == [b"events.out.tfevents.1"]


async def test_a_file_where_a_folder_would_have_to_be_refuses_the_change_and_nothing_else(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Conflict, match=r"notes\.txt.* is a file"):
        await pipeline.change(RenameRun(run_name("a"), run_name("notes.txt/x")))
    with pytest.raises(Conflict, match=r"notes\.txt.* is a file"):
        await pipeline.change(InstallRun(run_name("notes.txt/x"), await staged(pipeline, "events.out.tfevents.1")))
    await put(pipeline, "b", scalars("loss", [6]))
    await pipeline.close()
    assert points(tmp_path)["b", "loss"] == [(0, 5.0), (1, 6.0)]


async def test_a_change_that_fails_in_a_way_nobody_foresaw_takes_no_other_run_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline._store.changes, "_settle_removal", lambda *_, **__: 1 / 0)
        with pytest.raises(TBBridgeError, match="nothing was changed"):
            await pipeline.change(DELETE)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline._store.changes, "_do", lambda *_: 1 / 0)
        await pipeline.change(DELETE)
        assert "a change to runs is incomplete" in caplog.text
    await put(pipeline, "b", scalars("loss", [6]))
    assert pipeline.health.ready
    await pipeline.close()


async def test_a_stop_right_after_a_change_waits_until_readers_have_noticed(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=0.5, close_timeout_s=20.0)
    await fill(pipeline)
    began = time.monotonic()
    await pipeline.change(DELETE)
    await put(pipeline, "a", scalars("loss", [7]))
    await pipeline.close()
    assert time.monotonic() - began >= 0.5
    assert points(tmp_path)["a", "loss"] == [(0, 7.0)]


async def test_a_run_begun_below_a_veiled_one_does_not_bring_its_folder_back(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=0.5)
    await fill(pipeline)
    began = time.monotonic()
    await pipeline.change(DELETE)
    await put(pipeline, "a/new", scalars("loss", [7]))
    await pipeline.change(InstallRun(run_name("a/installed"), await staged(pipeline, "events.out.tfevents.1")))
    await pipeline.change(RenameRun(run_name("b"), run_name("a/b")))
    assert time.monotonic() - began >= 0.5, "renaming waits"
    await pipeline.close()
    found = points(tmp_path)
    assert found["a/new", "loss"] == [(0, 7.0)]
    assert found["a/b", "loss"] == [(0, 5.0)]
    assert any(run == "a/installed" for run, _ in found)


@pytest.mark.parametrize(
    ("change", "can_exchange"), [(DELETE, True), (DELETE_BELOW, True), (DELETE_TAG, True), (RENAME, True), (RENAME, False)]
)
async def test_a_removed_runs_folder_outlives_its_files_by_a_moment(
    tmp_path: Path, change: Change, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    """Readers in the midst of the files look for the folder; see veils.py."""
    if not can_exchange:
        monkeypatch.setattr(disk, "exchange", lambda *_: False)
    pipeline = await open_pipeline(tmp_path, veil_s=1.5)
    await fill(pipeline)
    began = time.monotonic()
    await pipeline.change(change)
    assert (tmp_path / "a").is_dir()
    assert points(tmp_path) == AFTER[change] if change == RENAME else not event_files(tmp_path / "a")
    if change == RENAME:
        assert (tmp_path / "a" / "x").is_dir()
    async with asyncio.timeout(20):
        while (tmp_path / "a").exists():
            await asyncio.sleep(0.02)
    assert time.monotonic() - began >= limits.EMPTIED_S
    await put(pipeline, "b", scalars("loss", [6]))
    await pipeline.close()
    assert points(tmp_path) == AFTER[change] | {("b", "loss"): [(0, 5.0), (1, 6.0)]}


async def test_a_folder_that_was_to_vanish_when_the_bridge_was_killed_vanishes_after_the_next_start(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path / "live", **STILL)
    await fill(pipeline)
    await pipeline.change(DELETE_BELOW)
    await pipeline.change(RenameRun(run_name("b"), run_name("c")))
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    await pipeline.close()
    assert {path.name for path in (tmp_path / "killed").iterdir()} == {".tbbridge", "a", "b", "c"}
    again = await open_pipeline(tmp_path / "killed", veil_s=0.1)
    async with asyncio.timeout(20):
        while {path.name for path in (tmp_path / "killed").iterdir()} != {".tbbridge", "c"}:
            await asyncio.sleep(0.02)
    await again.close()
    assert points(tmp_path / "killed") == {("c", "loss"): [(0, 5.0)]}


async def test_a_folder_stays_away_while_runs_begin_below_it(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, **STILL | {"emptied_max_s": 0.0})
    await fill(pipeline)
    await pipeline.change(DELETE)
    await put(pipeline, "a/new", scalars("loss", [7]))
    await pipeline.change(InstallRun(run_name("a/installed"), await staged(pipeline, "events.out.tfevents.1")))
    await pipeline._errand(pipeline._store.changes.lift_due)
    assert not (tmp_path / "a").exists()
    await pipeline.close()


async def test_a_full_disk_while_a_veiled_run_is_renamed_leaves_its_points_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = await open_pipeline(tmp_path, **STILL)
    await fill(pipeline)
    await pipeline.change(DELETE)
    await put(pipeline, "a", scalars("loss", [7, 8]))
    replace = disk.replace_durably
    failures = [OSError(errno.ENOSPC, "full")]

    def refuse(path: Path, data: bytes) -> None:
        if path.name == layout.RUN_FILE and failures:
            raise failures.pop()
        replace(path, data)

    monkeypatch.setattr(disk, "replace_durably", refuse)
    with pytest.raises(StorageFailed, match="safe in the journal"):
        await pipeline.change(RenameRun(run_name("a"), run_name("c")))
    async with asyncio.timeout(20):
        while not pipeline.health.ready:
            await asyncio.sleep(0.02)
    await put(pipeline, "c", scalars("loss", [9]))
    await pipeline.close()
    assert points(tmp_path)["c", "loss"] == [(0, 7.0), (1, 8.0), (2, 9.0)]
    assert ("a", "loss") not in points(tmp_path)


async def test_a_deletion_is_not_done_again_to_what_others_put_there_later(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path / "live")
    await fill(pipeline)
    await pipeline.change(DELETE_BELOW)
    async with asyncio.timeout(20):
        while pipeline._store.veils.runs():
            await asyncio.sleep(0.02)
    shutil.copytree(_golden_run(tmp_path / "source"), tmp_path / "live" / "a")
    shutil.copytree(tmp_path / "live", tmp_path / "dead")
    await pipeline.close()
    await (await open_pipeline(tmp_path / "dead")).close()
    assert [path.read_bytes() for path in (tmp_path / "dead" / "a").iterdir()] == [GOLDEN.read_bytes()]


async def test_a_change_is_made_though_its_number_was_given_before_the_journal_went(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    await pipeline.change(DELETE)
    await pipeline.close()
    for path in (tmp_path / ".tbbridge").iterdir():
        if path.name.endswith(".journal") or path.name.startswith("checkpoint"):
            path.unlink()
    (tmp_path / ".tbbridge" / "acknowledged").unlink(missing_ok=True)
    again = await open_pipeline(tmp_path)
    await again.change(DeleteRun(run_name("b")))
    assert "b" not in {run for run, _ in points(tmp_path)}
    await again.close()


async def test_a_run_can_be_deleted_from_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    full = True
    sync = disk.sync_data

    def refuse(fd: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, "no space left on device")
        sync(fd)

    monkeypatch.setattr(disk, "sync_data", refuse)
    with pytest.raises(StorageFailed, match="the disk is full"):
        await put(pipeline, "b", scalars("loss", [6]))
    assert (await pipeline.change(DELETE)).runs == ("a",)
    assert not list((tmp_path / "a").glob("*tfevents*"))
    with pytest.raises(StorageFailed, match="the disk is full"):
        await pipeline.change(RENAME)
    full = False
    async with asyncio.timeout(20):
        while not pipeline.health.ready:
            await asyncio.sleep(0.02)
    await put(pipeline, "a", scalars("loss", [7]))
    await put(pipeline, "b", scalars("loss", [6]))
    await pipeline.close()
    assert points(tmp_path) == {
        ("a", "loss"): [(0, 7.0)],
        ("a/x", "loss"): [(0, 4.0)],
        ("b", "loss"): [(0, 5.0), (1, 6.0)],
    }


async def test_a_file_that_cannot_be_removed_under_a_veil_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = await open_pipeline(tmp_path, **STILL)
    await fill(pipeline)
    await pipeline.change(DELETE)
    await put(pipeline, "a", scalars("loss", [7]))

    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, "denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refuse)
        await pipeline.change(DELETE)
    assert "a change to runs is incomplete" in caplog.text
    await pipeline.close()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (DeleteRun(run_name("nobody")), NotFound, "no run 'nobody'"),
        (DeleteRun(run_name("only")), NotFound, "there are runs below its folder"),
        (DeleteTag(run_name("a"), tag_name("nothing")), NotFound, "no values of tag 'nothing'"),
        (DeleteTag(run_name("nobody"), tag_name("loss")), NotFound, "no run 'nobody'"),
        (RenameRun(run_name("nobody"), run_name("c")), NotFound, "no run 'nobody'"),
        (RenameRun(run_name("a"), run_name("b")), Conflict, "'b' already"),
        (RenameRun(run_name("a"), run_name("a/x/y")), Conflict, "in its own folder"),
        (RenameRun(run_name("a"), run_name("a")), Conflict, "itself"),
        (DeleteRun(run_name("link")), Conflict, "symbolic link"),
        (RenameRun(run_name("b"), run_name("link/c")), Conflict, "symbolic link"),
        (RenameRun(run_name("a"), run_name("/".join(["n" * 200] * 2) + "/" + "m" * 110)), Exception, "at most|has 1 to"),
        (DeleteTag(run_name("damaged"), tag_name("loss")), Conflict, "damaged at byte"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    tmp_path: Path, change: Change, error: type[Exception], says: str
) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    await put(pipeline, "only/below", scalars("loss", [1]))
    await put(pipeline, "damaged", scalars("loss", [1, 2, 3]))
    (tmp_path / "link").symlink_to(tmp_path / "b")
    path = next((tmp_path / "damaged").iterdir())
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    if isinstance(change, RenameRun) and len(change.to) > 400:
        await put(pipeline, "a/" + "x" * 100, scalars("loss", [1]))  # which no longer fits behind the longer name
    before = run_files(tmp_path)
    with pytest.raises(error, match=says):
        await pipeline.change(change)
    assert run_files(tmp_path) == before
    assert pipeline.health.ready
    await pipeline.close()


async def test_other_peoples_files_stay_and_the_answer_says_what_that_means(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, **STILL | {"emptied_max_s": 0.0})
    await fill(pipeline)
    (tmp_path / "a" / "model.pt").write_bytes(b"weights")
    (tmp_path / "a" / "plugins").mkdir()
    (tmp_path / "a" / "plugins" / "profile").mkdir()
    (tmp_path / "a" / "plugins" / "profile" / "trace.pb").write_bytes(b"trace")
    changed = await pipeline.change(DELETE)
    assert [(warning.code, "a/model.pt" in warning.message) for warning in changed.warnings] == [("folder-stays", True)]
    assert changed.runs == ("a",)
    await pipeline._errand(pipeline._store.changes.lift_due)
    assert sorted(path.relative_to(tmp_path / "a").as_posix() for path in (tmp_path / "a").rglob("*")) == ["model.pt"]
    await pipeline.close()


async def test_runs_below_a_deleted_one_leave_for_a_moment_so_that_its_folder_can_vanish(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=1.5)
    await fill(pipeline)
    await pipeline.change(DELETE)
    await put(pipeline, "a/x", scalars("loss", [6]))
    for is_there in (False, True):
        async with asyncio.timeout(20):
            while (tmp_path / "a").exists() != is_there:
                await asyncio.sleep(0.02)
    await put(pipeline, "a/x", scalars("loss", [7]))
    await pipeline.close()
    assert points(tmp_path)["a/x", "loss"] == [(0, 4.0), (1, 6.0), (2, 7.0)]
    assert len(event_files(tmp_path)) == 2, "it goes on in the file it had"


async def test_changes_stand_in_order_among_the_batches(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    calls: list[Awaitable[object]] = []
    for turn in range(4):
        calls.append(pipeline.submit(batch("a", scalars("loss", [10 * turn, 10 * turn + 1]))))
        await asyncio.sleep(0)
        calls.append(pipeline.change(DELETE))
        calls.append(pipeline.submit(batch("b", scalars("loss", [turn]))))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results if isinstance(result, Exception)] in (
        [],
        [NotFound] * 3,
        [NotFound] * 2,
        [NotFound],
    )
    await pipeline.close()
    assert points(tmp_path)["b", "loss"] == [(n, float(n)) for n in range(4)]


async def test_a_run_renamed_onto_a_name_just_freed_waits_until_readers_have_noticed(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, veil_s=0.2)
    await fill(pipeline)
    await pipeline.change(DeleteRun(run_name("b")))
    await pipeline.change(RenameRun(run_name("a"), run_name("b")))
    assert points(tmp_path)["b", "loss"] == FILLED["a", "loss"]
    await pipeline.close()


async def test_touched_runs_are_told_once(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    assert pipeline.take_touched() == {"a", "a/x", "b"}
    assert pipeline.take_touched() == set()
    await pipeline.change(RENAME)
    assert pipeline.take_touched() == {"a", "a/x", "new/name", "new/name/x"}
    await pipeline.close()


async def test_a_run_can_be_made_before_anything_is_written_to_it(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    empty = Batch((RunBatch(run_name("empty"), create=True),))
    await pipeline.submit(empty, ack=Ack.WRITTEN)
    await pipeline.submit(empty, ack=Ack.WRITTEN)
    (data,) = event_files(tmp_path).values()
    assert [event.WhichOneof("what") for event in events(data)] == ["file_version", "session_log"]
    await pipeline.close()
    (kept,) = event_files(tmp_path).values()
    assert kept == data


# --- dying ------------------------------------------------------------------------------------------------------------

# The last: Python looks up renameat2, which it has no function for, each time right before the call.
_MUTATING = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree", "ctypes.dlsym"}
_watching: list[Callable[[], None]] = []
_looking = threading.Lock()
_lookers: set[int] = set()  # the thread that looks


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event in _MUTATING or (event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        if threading.get_ident() in _lookers:
            return  # what the look itself does
        with _looking:  # other threads wait with what they are about to do, until the copy is complete
            _lookers.add(threading.get_ident())
            try:
                for look in _watching:
                    look()
            finally:
                _lookers.clear()


sys.addaudithook(_hook)


@pytest.fixture
def memory_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


async def snapshots(live: Path, target: Path, change: Callable[[Pipeline], Awaitable[object]], **settings: object) -> int:
    """Fill `live` and change it; leave in target/0, 1, 2 ... what a SIGKILL before each file operation of that would."""
    count = 0

    def look() -> None:
        nonlocal count
        copy = target / str(count)
        for _ in range(100):
            try:
                shutil.copytree(live, copy, symlinks=True)
                if contents(copy) == contents(live):  # else another thread wrote during the copy: no moment was like that
                    break
            except OSError:  # ... or removed what the copy was about to read
                pass
            shutil.rmtree(copy, ignore_errors=True)
        count += 1

    pipeline = await open_pipeline(live, clock=Clock(), segment_bytes=8 * 1024, **settings)
    await fill(pipeline)
    look()
    _watching.append(look)
    try:
        await change(pipeline)
    finally:
        _watching.clear()
    with _looking:  # another thread may still be at it
        look()
    await pipeline.close()
    return count


async def after_a_start(logdir: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    pipeline = await open_pipeline(logdir, segment_bytes=8 * 1024)
    assert pipeline.stats.lost_entries == []
    shown = points(logdir)
    assert not [run for run, _ in shown if run.startswith(".")], "TensorBoard must never see our own folder"
    await pipeline.close()
    return points(logdir)


@pytest.mark.parametrize("cut", ["killed", "power cut"])
@CHANGES
async def test_a_change_cut_off_at_any_file_operation_is_done_wholly_or_not_at_all(
    memory_path: Path, change: Change, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cut_everywhere(memory_path, change, cut, monkeypatch)


async def test_so_is_a_renaming_on_a_file_system_where_folders_cannot_trade_places(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("tbbridge.disk.exchange", lambda *folders: bool(asked.append(folders)))
    await cut_everywhere(memory_path, RENAME, "killed", monkeypatch)
    assert asked


async def cut_everywhere(memory_path: Path, change: Change, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def change_and_write(pipeline: Pipeline) -> None:
        await pipeline.change(change)
        await put(pipeline, "b", scalars("loss", [6]))
        await put(pipeline, "a", scalars("more", [7]))

    (memory_path / "cuts").mkdir()
    count = await snapshots(memory_path / "live", memory_path / "cuts", change_and_write)
    if cut == "power cut":
        monkeypatch.setattr("tbbridge.pipeline.recovery.boot_id", lambda: "another start of the machine")
    done = AFTER[change]
    more_b = {("b", "loss"): [(0, 5.0), (1, 6.0)]}
    stories = [FILLED, done, done | more_b, done | more_b | {("a", "more"): [(0, 7.0)]}]
    seen = []
    for number in range(count):
        found = await after_a_start(memory_path / "cuts" / str(number))
        assert found in stories, f"cut before file operation {number}"
        seen.append(stories.index(found))
        assert await after_a_start(memory_path / "cuts" / str(number)) == found, "and it stays so"
    assert seen == sorted(seen)
    assert {0, 1, 3} <= set(seen)


async def test_an_installation_cut_off_at_any_file_operation_is_done_wholly_or_not_at_all(memory_path: Path) -> None:
    async def install(pipeline: Pipeline) -> None:
        folder = await staged(pipeline, "events.out.tfevents.1.x", "events.out.tfevents.2.x")
        await pipeline.change(InstallRun(run_name("a"), folder, replace=True))

    (memory_path / "cuts").mkdir()
    count = await snapshots(memory_path / "live", memory_path / "cuts", install)
    kinds = set()
    for number in range(count):
        logdir = memory_path / "cuts" / str(number)
        found = await after_a_start(logdir)
        names = sorted(path.name for path in (logdir / "a").glob("*tfevents*"))
        is_new = names == ["events.out.tfevents.1.x", "events.out.tfevents.2.x"]
        assert is_new or found == FILLED, f"cut before file operation {number}"
        assert found["a/x", "loss"] == FILLED["a/x", "loss"]
        kinds.add(is_new)
        assert not list((logdir / ".tbbridge" / "staged").glob("*"))
    assert kinds == {True, False}


async def test_lifting_a_veil_cut_off_at_any_file_operation_loses_nothing(memory_path: Path) -> None:
    async def delete_and_write(pipeline: Pipeline) -> None:
        await pipeline.change(DELETE)
        await put(pipeline, "a", scalars("loss", [6]), embedding("e", 2))
        async with asyncio.timeout(60):
            while not (memory_path / "live" / "a" / "projector_config.pbtxt").exists() or pipeline._store.veils.runs():
                await asyncio.sleep(0.01)
        await put(pipeline, "a", scalars("loss", [7]))

    (memory_path / "cuts").mkdir()
    count = await snapshots(memory_path / "live", memory_path / "cuts", delete_and_write, veil_s=0.5)
    shown = []
    for number in range(count):
        found = await after_a_start(memory_path / "cuts" / str(number))
        assert found["a/x", "loss"] == FILLED["a/x", "loss"], f"cut before file operation {number}"
        shown.append([value for _, value in found.get(("a", "loss"), [])])
    order = [[1.0, 2.0], [], [6.0], [6.0, 7.0]]
    assert [order.index(one) for one in shown] == sorted(order.index(one) for one in shown)
    assert [6.0, 7.0] in shown


async def test_renames_back_and_forth_and_begun_again_are_replayed_to_the_same(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path / "live", veil_s=0.0)
    await fill(pipeline)
    there, back = RenameRun(run_name("a"), run_name("c")), RenameRun(run_name("c"), run_name("a"))
    for turn in range(3):
        await pipeline.change(there)
        await put(pipeline, "c", scalars("loss", [10 + turn]))
        await put(pipeline, "a", scalars("again", [turn]))
        await pipeline.change(DELETE)
        await pipeline.change(back)
        await put(pipeline, "a", scalars("loss", [20 + turn]))
    async with asyncio.timeout(20):
        while pipeline._store.veils:  # else folders come and go while they are copied
            await asyncio.sleep(0.02)
    shutil.copytree(tmp_path / "live", tmp_path / "dead")
    await pipeline.close()
    expected = points(tmp_path / "live")
    assert [value for _, value in expected["a", "loss"]] == [1, 2, 10, 20, 11, 21, 12, 22]
    again = await open_pipeline(tmp_path / "dead", veil_s=0.0)
    await put(again, "a", scalars("loss", [30]))
    await again.close()
    assert [value for _, value in points(tmp_path / "dead")["a", "loss"]] == [1, 2, 10, 20, 11, 21, 12, 22, 30]
    assert [step for step, _ in points(tmp_path / "dead")["a", "loss"]] == list(range(9))


async def test_a_disk_that_refuses_during_a_change_finishes_it_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = await open_pipeline(tmp_path)
    await fill(pipeline)
    broken = True
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if broken and "tfevents" in path.name:
            raise OSError(errno.EIO, "broken", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageFailed, match="safe in the journal"):
        await pipeline.change(DELETE)
    broken = False
    async with asyncio.timeout(20):
        while not pipeline.health.ready:
            await asyncio.sleep(0.02)
    await put(pipeline, "b", scalars("loss", [6]))
    await pipeline.close()
    assert points(tmp_path) == AFTER[DELETE] | {("b", "loss"): [(0, 5.0), (1, 6.0)]}
