"""Invariant 2: whatever byte a process dies at, the next start leaves the files that an undisturbed run would have written."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from folders import Clock, batch, embedding, open_pipeline, points, run_files, scalars
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tbbridge.errors import InvalidBatch
from tbbridge.model import Batch, Buckets, Histogram, Text, tag_name
from tbbridge.pipeline.door import Ack
from tbbridge.pipeline.journal import list_segments

TWO_BUCKETS = Buckets(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
# Batches that between them open files, meet tags first and again, cross a varint's length, go back, and hold every kind.
STORY: tuple[Batch, ...] = (
    batch("a", scalars("loss", [1.0, 0.5], [126, 127]), Text(tag_name("note"), "begin"), writer="w", seq=1),
    batch("a", scalars("loss", [0.25, float("nan")], [128, 129]), scalars("accuracy", [0.1]), writer="w", seq=2),
    batch("b/c", Histogram(tag_name("weights"), buckets=TWO_BUCKETS), writer="w", seq=3),
    batch("a", scalars("loss", [9.0], [3]), Histogram(tag_name("weights"), buckets=TWO_BUCKETS), writer="w", seq=4),
    batch("b/c", scalars("loss", [7.0] * 40), writer="w", seq=5),
)
# Embeddings, which are files beside the event file and a list of them that grows; a run may hold nothing else.
BESIDE: tuple[Batch, ...] = (
    batch("a", embedding("x", 1), writer="w", seq=1),
    batch("a", scalars("loss", [1.0]), embedding("x", 2), writer="w", seq=2),
)
STORIES = pytest.mark.parametrize("story", [STORY, BESIDE], ids=["records", "files beside them"])

# Small, so that copying a folder with its preallocated segment is quick; no story fills one.
SEGMENT_BYTES = 8 * 1024


async def tell(logdir: Path, story: tuple[Batch, ...] = STORY, **settings: object) -> list[bool]:
    """Send the story, one batch a group, each at a time of its own; return which of them were repeats."""
    clock = Clock()
    pipeline = await open_pipeline(logdir, **({"clock": clock, "segment_bytes": SEGMENT_BYTES} | settings))
    repeats = []
    for part in story:
        clock.now = 1_700_000_000.0 + part.seq
        repeats.append((await pipeline.submit(part, ack=Ack.WRITTEN)).duplicate)
    await pipeline.close()
    return repeats


async def tell_and_die(logdir: Path, story: tuple[Batch, ...] = STORY) -> Path:
    """Tell the story, and leave in `logdir` what a SIGKILL right behind it would: journal and files, no last checkpoint."""
    live = logdir.with_name("live")
    clock = Clock()
    pipeline = await open_pipeline(live, clock=clock, segment_bytes=SEGMENT_BYTES)
    for part in story:
        clock.now = 1_700_000_000.0 + part.seq
        await pipeline.submit(part, ack=Ack.WRITTEN)
    shutil.copytree(live, logdir)
    await pipeline.close()
    shutil.rmtree(live)
    return list_segments(logdir / ".tbbridge")[-1][1]


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory where there is one: these tests cut thousands of times, and what fsync costs is not their matter."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine itself went down: what is missing may never have reached the disk, rather than have been deleted."""
    monkeypatch.setattr("tbbridge.pipeline.recovery.boot_id", lambda: "another start of the machine")


@pytest.mark.usefixtures("power_cut")
@STORIES
async def test_replay_at_every_cut_of_the_journal_and_a_retry_give_the_files_of_an_undisturbed_run(
    memory_path: Path, story: tuple[Batch, ...]
) -> None:
    await tell(memory_path / "undisturbed", story)
    expected = run_files(memory_path / "undisturbed")
    segment = await tell_and_die(memory_path / "dead", story)
    journal = segment.read_bytes().rstrip(b"\0") + b"\0" * 64
    for run in ("a", "b"):
        shutil.rmtree(memory_path / "dead" / run, ignore_errors=True)
    survivors = []
    for cut in range(len(journal) + 1):
        logdir = memory_path / "cut"
        shutil.copytree(memory_path / "dead", logdir)
        (logdir / ".tbbridge" / segment.name).write_bytes(journal[:cut])
        repeats = await tell(logdir, story)
        assert run_files(logdir) == expected, f"cut at byte {cut}"
        assert repeats == sorted(repeats, reverse=True), "what survives is a prefix"
        survivors.append(sum(repeats))
        shutil.rmtree(logdir)
    assert survivors == sorted(survivors)
    assert set(survivors) == set(range(len(story) + 1)), "each batch was torn once and whole once"


@STORIES
async def test_event_files_cut_at_every_byte_are_completed_to_the_same_bytes(
    memory_path: Path, story: tuple[Batch, ...]
) -> None:
    await tell_and_die(memory_path / "dead", story)
    expected = run_files(memory_path / "dead")
    state = memory_path / "state"
    (memory_path / "dead" / ".tbbridge").rename(state)
    for name, data in expected.items():
        for cut in range(len(data) + 1):
            shutil.copytree(state, memory_path / "dead" / ".tbbridge")
            (memory_path / "dead" / name).write_bytes(data[:cut])
            await (await open_pipeline(memory_path / "dead", segment_bytes=SEGMENT_BYTES)).close()
            assert run_files(memory_path / "dead") == expected, f"{name} cut at byte {cut}"
            shutil.rmtree(memory_path / "dead" / ".tbbridge")


@STORIES
async def test_event_bytes_that_a_power_cut_left_as_zeros_are_written_again(tmp_path: Path, story: tuple[Batch, ...]) -> None:
    await tell_and_die(tmp_path / "dead", story)
    expected = run_files(tmp_path / "dead")
    for name, data in expected.items():
        kept = data[: min(50, len(data) // 2)]
        (tmp_path / "dead" / name).write_bytes(kept + bytes(len(data) - len(kept)))
    await (await open_pipeline(tmp_path / "dead")).close()
    assert run_files(tmp_path / "dead") == expected


@STORIES
async def test_dying_again_and_again_during_replay_changes_nothing(tmp_path: Path, story: tuple[Batch, ...]) -> None:
    await tell_and_die(tmp_path / "dead", story)
    expected = run_files(tmp_path / "dead")
    for _ in range(3):
        pipeline = await open_pipeline(tmp_path / "dead")
        shutil.copytree(tmp_path / "dead", tmp_path / "again")
        await pipeline.close()
        shutil.rmtree(tmp_path / "dead")
        (tmp_path / "again").rename(tmp_path / "dead")
        assert run_files(tmp_path / "dead") == expected


async def test_many_segments_and_checkpoints_give_the_same_files_and_do_not_pile_up(tmp_path: Path) -> None:
    story = tuple(batch(f"run{n % 3}", scalars("loss", [n] * 5), writer="w", seq=n) for n in range(1, 120))
    await tell(tmp_path / "one", story)
    await tell(tmp_path / "many", story, segment_bytes=400)
    assert run_files(tmp_path / "many") == run_files(tmp_path / "one")
    assert len(list((tmp_path / "many" / ".tbbridge").iterdir())) < 10
    for half in (story[:70], story):
        repeats = await tell(tmp_path / "halves", half, segment_bytes=400)
    assert repeats == [True] * 70 + [False] * 49
    assert run_files(tmp_path / "halves") == run_files(tmp_path / "one")


async def test_a_segment_also_ends_by_its_entries_so_that_a_replay_of_tiny_batches_stays_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tbbridge.limits.SEGMENT_ENTRIES", 7)
    pipeline = await open_pipeline(tmp_path)
    first = pipeline._store.journal.number
    for n in range(60):
        await pipeline.submit(batch("a", scalars("loss", [n])))
    assert pipeline._store.journal.number == first + 59 // 7
    await pipeline.close()
    assert [value for _, value in points(tmp_path)["a", "loss"]] == list(range(60))


async def test_a_checkpoint_knows_how_far_the_list_of_embeddings_goes(tmp_path: Path) -> None:
    await tell(tmp_path / "undisturbed", BESIDE)
    await tell(tmp_path / "stopped", BESIDE[:1])
    assert await tell(tmp_path / "stopped", BESIDE) == [True, False]
    assert run_files(tmp_path / "stopped") == run_files(tmp_path / "undisturbed")


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(bytes(data))


async def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(tmp_path: Path) -> None:
    logdir = tmp_path / "runs"
    await tell(logdir, STORY[:2])
    await tell(logdir, STORY[:3])
    newest = max((logdir / ".tbbridge").glob("checkpoint-*"))
    flip(newest, newest.stat().st_size // 2)
    pipeline = await open_pipeline(logdir)
    assert [str(newest) in line for line in pipeline.stats.lost_entries] == [True]
    await pipeline.close()
    assert await tell(logdir) == [True, True, True, False, False]
    await tell(tmp_path / "undisturbed")
    assert run_files(logdir) == run_files(tmp_path / "undisturbed")


async def test_a_flipped_byte_before_acknowledged_entries_is_reported_and_what_is_before_it_kept(tmp_path: Path) -> None:
    logdir = tmp_path / "dead"
    segment = await tell_and_die(logdir)
    before = run_files(logdir)
    second = segment.read_bytes().find(b"accuracy")
    flip(segment, second)
    pipeline = await open_pipeline(logdir)
    [line] = pipeline.stats.lost_entries
    assert segment.name in line
    assert "was acknowledged" in line
    damaged_at = int(line.split("damaged at byte ")[1].split()[0])
    assert damaged_at < second
    await pipeline.submit(batch("a", scalars("loss", [1.0], [1000])), ack=Ack.WRITTEN)
    await pipeline.close()
    after = run_files(logdir)
    assert all(after[name] == data for name, data in before.items()), "what was in the event files stays"
    assert len(after) == len(before) + 1, "and the run goes on in a later file"
    assert (logdir / ".tbbridge" / (segment.name + ".damaged")).exists()
    pipeline = await open_pipeline(logdir)
    assert pipeline.stats.lost_entries == []
    await pipeline.close()


async def test_a_damaged_header_of_the_last_segment_is_reported_and_the_segment_kept(tmp_path: Path) -> None:
    logdir = tmp_path / "dead"
    segment = await tell_and_die(logdir)
    flip(segment, 14)
    pipeline = await open_pipeline(logdir)
    [line] = pipeline.stats.lost_entries
    assert "header is unreadable" in line
    await pipeline.close()
    assert (logdir / ".tbbridge" / (segment.name + ".damaged")).exists()


async def test_a_run_deleted_by_hand_and_unknown_to_any_checkpoint_stays_deleted_over_a_crash(tmp_path: Path) -> None:
    live, dead = tmp_path / "live", tmp_path / "dead"
    pipeline = await open_pipeline(live)
    await pipeline.submit(batch("gone", scalars("x", [1.0])), ack=Ack.WRITTEN)
    shutil.rmtree(live / "gone")
    await pipeline.submit(batch("kept", scalars("x", [1.0])), ack=Ack.WRITTEN)
    shutil.copytree(live, dead)
    await pipeline.close()
    pipeline = await open_pipeline(dead)
    assert {run for run, _ in points(dead)} == {"kept"}
    await pipeline.submit(batch("gone", scalars("x", [2.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    assert points(dead)["gone", "x"] == [(0, 2.0)]


async def test_a_segment_that_vanished_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logdir = tmp_path / "runs"
    pipeline = await open_pipeline(logdir, segment_bytes=300)
    with monkeypatch.context() as patch:
        patch.setattr("tbbridge.disk.replace_durably", _no_checkpoint)
        for part in STORY:
            await pipeline.submit(part, ack=Ack.WRITTEN)
        await pipeline.close()
    segments = list_segments(logdir / ".tbbridge")
    assert len(segments) > 3
    segments[1][1].unlink()
    pipeline = await open_pipeline(logdir)
    [line] = pipeline.stats.lost_entries
    assert "the segment before it is missing" in line
    await pipeline.close()


def _no_checkpoint(path: Path, data: bytes) -> None:
    raise OSError(errno.ENOSPC, "no room for a checkpoint")


@pytest.mark.parametrize("when", ["before the crash", "while it was down"])
async def test_a_run_deleted_by_hand_stays_deleted_over_a_crash(tmp_path: Path, when: str) -> None:
    live, dead = tmp_path / "live", tmp_path / "dead"
    pipeline = await open_pipeline(live)
    await pipeline.submit(batch("kept", scalars("x", [1.0])), ack=Ack.WRITTEN)
    await pipeline.submit(batch("gone", scalars("x", [1.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    pipeline = await open_pipeline(live)
    await pipeline.submit(batch("gone", scalars("x", [2.0])), ack=Ack.WRITTEN)
    if when == "before the crash":
        shutil.rmtree(live / "gone")
        await pipeline.submit(batch("kept", scalars("x", [2.0])), ack=Ack.WRITTEN)
    shutil.copytree(live, dead)
    await pipeline.close()
    shutil.rmtree(dead / "gone", ignore_errors=True)
    pipeline = await open_pipeline(dead)
    assert {run for run, _ in points(dead)} == {"kept"}
    await pipeline.submit(batch("gone", scalars("x", [3.0])), ack=Ack.WRITTEN)
    assert points(dead)["gone", "x"] == [(0, 3.0)]
    await pipeline.close()


async def test_a_run_deleted_and_begun_again_does_not_come_back_twice_in_replay(tmp_path: Path) -> None:
    live, dead = tmp_path / "live", tmp_path / "dead"
    pipeline = await open_pipeline(live)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    shutil.rmtree(live / "a")
    await pipeline.submit(batch("a", scalars("x", [2.0])), ack=Ack.WRITTEN)
    shutil.copytree(live, dead)
    await pipeline.close()
    await (await open_pipeline(dead)).close()
    assert run_files(dead) == run_files(live)


async def test_a_state_folder_with_nothing_but_a_lock_file_starts(tmp_path: Path) -> None:
    (tmp_path / ".tbbridge").mkdir()
    (tmp_path / ".tbbridge" / "lock").touch()
    await (await open_pipeline(tmp_path)).close()


async def test_embeddings_after_the_list_of_them_was_deleted_are_not_put_over_what_came_later(tmp_path: Path) -> None:
    """The list keeps its name where an event file gets a new one: a replay must not bring back what was deleted."""
    logdir = tmp_path / "runs"
    clock = Clock()
    pipeline = await open_pipeline(logdir, clock=clock, segment_bytes=SEGMENT_BYTES)
    await pipeline.submit(batch("a", embedding("first", 3), embedding("second", 3)), ack=Ack.WRITTEN)
    (logdir / "a" / "projector_config.pbtxt").unlink()
    await pipeline.submit(batch("a", embedding("third", 3)), ack=Ack.WRITTEN)
    expected = run_files(logdir)
    shutil.copytree(logdir, tmp_path / "dead")
    await pipeline.close()
    assert expected["a/projector_config.pbtxt"].count(b"embeddings {") == 1
    await (await open_pipeline(tmp_path / "dead")).close()
    assert run_files(tmp_path / "dead") == expected


async def test_an_embedding_joins_the_list_that_somebody_else_began(tmp_path: Path) -> None:
    theirs = 'embeddings {\n  tensor_name: "theirs"\n}'
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "projector_config.pbtxt").write_text(theirs)
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", embedding("ours", 2)), ack=Ack.WRITTEN)
    await pipeline.close()
    config = text_format.Parse((tmp_path / "a" / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert [one.tensor_name for one in config.embeddings] == ["theirs", "ours:00000"]


async def test_a_repeated_step_does_not_hide_an_embedding_behind_the_first(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    for _ in range(2):
        await pipeline.submit(batch("a", embedding("x", 2, step=5)), ack=Ack.WRITTEN)
    await pipeline.close()
    config = text_format.Parse((tmp_path / "a" / "projector_config.pbtxt").read_text(), ProjectorConfig())
    names = [one.tensor_name for one in config.embeddings]
    assert names[0] == "x:00005"
    assert len(set(names)) == 2
    assert len({one.tensor_path for one in config.embeddings}) == 2


@pytest.mark.parametrize("name", ["projector_config.pbtxt", "embeddings.tbbridge"])
async def test_a_link_in_the_way_of_an_embedding_refuses_it_and_nothing_else(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    logdir = tmp_path / "runs"
    (logdir / "a").mkdir(parents=True)
    (logdir / "a" / name).symlink_to(outside)
    pipeline = await open_pipeline(logdir)
    with pytest.raises(InvalidBatch, match="clear the way"):
        await pipeline.submit(batch("a", embedding("x", 2)), ack=Ack.WRITTEN)
    receipt = await pipeline.submit(batch("a", scalars("loss", [1.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    assert receipt.accepted == 1
    assert list(outside.iterdir()) == []
