"""Acknowledged bytes that the journal lost: told by file and offset, never passed over, and what is left is kept."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from folders import batch, event_files, open_pipeline, points, scalars

from tbbridge.model import Batch, run_name
from tbbridge.pipeline import acknowledged
from tbbridge.pipeline.acknowledged import read_acknowledged
from tbbridge.pipeline.door import Ack, DeleteRun
from tbbridge.pipeline.journal import JournalReader, list_segments
from tbbridge.pipeline.pipeline import Pipeline

SEGMENT_BYTES = 8 * 1024


def loss(seq: int, run: str = "a") -> Batch:
    return batch(run, scalars("loss", [seq], [seq]), writer="w", seq=seq)


async def leave_as_killed(pipeline: Pipeline, logdir: Path) -> Path:
    """What a SIGKILL would leave of an idle pipeline goes to `logdir`; returns the journal's last segment."""
    while (due_in := pipeline._store.veils.due_in()) is not None and due_in <= 0:
        await asyncio.sleep(0.01)  # a veil is being lifted: files are on their way
    shutil.copytree(pipeline._settings.logdir, logdir)
    await pipeline.close()
    return list_segments(logdir / ".tbbridge")[-1][1]


async def killed_after(tmp_path: Path, *batches: Batch) -> tuple[Path, Path]:
    """A log folder whose bridge was killed once it had written these, and the last segment of its journal."""
    pipeline = await open_pipeline(tmp_path / "live", segment_bytes=SEGMENT_BYTES)
    for one in batches:
        await pipeline.submit(one, ack=Ack.WRITTEN)
    return tmp_path / "dead", await leave_as_killed(pipeline, tmp_path / "dead")


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(bytes(data))


def used_bytes(segment: Path) -> int:
    noted = read_acknowledged(segment.parent)
    assert noted is not None
    assert segment.name == f"{noted.number:08d}.journal"
    return noted.length


def offset_in(line: str) -> int:
    return int(line.split("damaged at byte ")[1].split(maxsplit=1)[0])


@pytest.mark.parametrize("damage", ["flipped", "cut", "zeros"])
@pytest.mark.parametrize("proof", ["the mark", "the event file"])
async def test_damage_to_the_very_last_entry_is_no_torn_write(tmp_path: Path, damage: str, proof: str) -> None:
    logdir, segment = await killed_after(tmp_path, loss(1), loss(2), loss(3))
    used = used_bytes(segment)
    before = event_files(logdir)
    data = segment.read_bytes()
    if damage == "flipped":
        flip(segment, used - 20)
    else:
        segment.write_bytes(data[: used - 20] + (bytes(100) if damage == "zeros" else b""))
    if proof == "the event file":
        (logdir / ".tbbridge" / acknowledged.NAME).unlink()
    pipeline = await open_pipeline(logdir, segment_bytes=SEGMENT_BYTES)
    [line] = pipeline.stats.lost_entries
    assert str(segment) in line
    assert 0 < offset_in(line) < used - 20
    assert pipeline.health.ready
    assert {name: event_files(logdir)[name] for name in before} == before, "what is in the event files stays"
    await pipeline.submit(loss(4), ack=Ack.WRITTEN)
    await pipeline.close()
    assert points(logdir)["a", "loss"] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert segment.with_name(segment.name + ".damaged").exists()
    again = await open_pipeline(logdir, segment_bytes=SEGMENT_BYTES)
    assert again.stats.lost_entries == [], "told once"
    await again.close()


async def test_an_entry_lost_before_its_event_file_was_written_is_told_all_the_same(tmp_path: Path) -> None:
    logdir, segment = await killed_after(tmp_path, loss(1), loss(2, "new"))
    shutil.rmtree(logdir / "new")
    flip(segment, used_bytes(segment) - 20)
    pipeline = await open_pipeline(logdir)
    assert [str(segment) in line for line in pipeline.stats.lost_entries] == [True]
    await pipeline.close()


async def test_half_an_entry_that_nobody_was_told_of_is_no_loss(tmp_path: Path) -> None:
    logdir, segment = await killed_after(tmp_path, loss(1), loss(2))
    used = used_bytes(segment)
    data = segment.read_bytes()
    segment.write_bytes(data[:used] + data[used // 2 : used - 20] + data[used:])
    pipeline = await open_pipeline(logdir)
    assert pipeline.stats.lost_entries == []
    await pipeline.close()


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "of another kind"])
async def test_damage_to_the_mark_alone_loses_nothing_and_alarms_nobody(tmp_path: Path, damage: str) -> None:
    logdir, _ = await killed_after(tmp_path, loss(1), loss(2))
    mark = logdir / ".tbbridge" / acknowledged.NAME
    match damage:
        case "missing":
            mark.unlink()
        case "cut":
            mark.write_bytes(mark.read_bytes()[:9])
        case "flipped":
            flip(mark, 12)
        case _:
            mark.write_bytes(b"x" * 400)
    pipeline = await open_pipeline(logdir)
    assert pipeline.stats.lost_entries == []
    await pipeline.submit(loss(3), ack=Ack.WRITTEN)
    await pipeline.close()
    assert points(logdir)["a", "loss"] == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert read_acknowledged(logdir / ".tbbridge") is not None


async def test_the_last_segment_gone_is_told(tmp_path: Path) -> None:
    logdir, segment = await killed_after(tmp_path, loss(1), loss(2))
    segment.unlink()
    pipeline = await open_pipeline(logdir)
    [line] = pipeline.stats.lost_entries
    assert segment.name in line
    assert "missing" in line
    await pipeline.close()
    again = await open_pipeline(logdir)
    assert again.stats.lost_entries == []
    await again.close()


async def test_points_that_came_after_a_deletion_are_not_deleted_again_when_the_journal_lost_them(tmp_path: Path) -> None:
    """The last entry that can be read is a deletion; it was made, and what came behind it is in the files only."""
    pipeline = await open_pipeline(tmp_path / "live", segment_bytes=SEGMENT_BYTES)
    await pipeline.submit(loss(1), ack=Ack.WRITTEN)
    await pipeline.change(DeleteRun(run_name("a")))
    await pipeline.submit(loss(2), ack=Ack.WRITTEN)
    segment = await leave_as_killed(pipeline, tmp_path / "dead")
    flip(segment, used_bytes(segment) - 20)
    again = await open_pipeline(tmp_path / "dead")
    assert len(again.stats.lost_entries) == 1
    await again.close()
    assert points(tmp_path / "dead") == {("a", "loss"): [(2, 2.0)]}


async def test_a_retry_of_what_is_in_the_event_files_is_no_second_copy_when_the_journal_lost_it(tmp_path: Path) -> None:
    logdir, segment = await killed_after(tmp_path, *map(loss, range(1, 6)))
    flip(segment, used_bytes(segment) // 2)
    pipeline = await open_pipeline(logdir)
    assert len(pipeline.stats.lost_entries) == 1
    assert (await pipeline.submit(loss(4))).duplicate
    await pipeline.submit(loss(6), ack=Ack.WRITTEN)
    await pipeline.close()
    assert points(logdir)["a", "loss"] == [(seq, float(seq)) for seq in range(1, 7)]


async def test_numbers_of_lost_entries_are_not_given_again(tmp_path: Path) -> None:
    """A file's name holds its entry's number: a reader may remember a deleted file of the same name as dead."""
    runs = [f"run{number}" for number in range(5)]
    logdir, segment = await killed_after(tmp_path, *(loss(seq, run) for seq, run in enumerate(runs, 1)))
    names = {path.name.rpartition(".")[2] for path in logdir.rglob("*tfevents*")}
    flip(segment, used_bytes(segment) // 2)
    pipeline = await open_pipeline(logdir)
    await pipeline.submit(loss(9, "another"), ack=Ack.WRITTEN)
    await pipeline.close()
    [new] = (logdir / "another").iterdir()
    assert new.name.rpartition(".")[2] not in names


async def test_a_second_crash_before_the_checkpoint_finds_what_the_first_salvage_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logdir, segment = await killed_after(tmp_path, *map(loss, range(1, 6)))
    flip(segment, used_bytes(segment) - 20)
    monkeypatch.setattr("tbbridge.pipeline.pipeline._Checkpoint.write", lambda self: None)
    for _ in range(3):
        pipeline = await open_pipeline(logdir)
        shutil.copytree(logdir, tmp_path / "again")
        await pipeline.close()
        shutil.rmtree(logdir)
        (tmp_path / "again").rename(logdir)
    monkeypatch.undo()
    pipeline = await open_pipeline(logdir)
    assert (await pipeline.submit(loss(4))).duplicate
    await pipeline.submit(loss(6), ack=Ack.WRITTEN)
    await pipeline.close()
    assert points(logdir)["a", "loss"] == [(seq, float(seq)) for seq in range(1, 7)]


async def test_a_segment_cut_while_a_stranger_reads_it_does_not_end_him(tmp_path: Path) -> None:
    """A bridge gives back what it preallocated when it stops; a page that is mapped and gone would be a SIGBUS."""
    logdir, segment = await killed_after(tmp_path, *(loss(seq, "a" * seq) for seq in range(1, 21)))
    entries = iter(JournalReader(logdir / ".tbbridge", None, 1, is_owner=False))
    next(entries)
    segment.write_bytes(b"")
    assert len(list(entries)) == 19
