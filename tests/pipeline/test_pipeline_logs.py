"""Logs go through the journal like all else: every record once, in order, and the same bytes after any death of the process."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import Clock, event_files, events, open_pipeline, run_files, scalars

from tbbridge import disk
from tbbridge.errors import InvalidBatch, StorageFailed
from tbbridge.logs.lines import decode_record, encode_record, split_records
from tbbridge.model import Batch, LogRecord, RunBatch, ScalarColumns, Text, run_name, tag_name
from tbbridge.pipeline.door import Ack, DeleteRun
from tbbridge.pipeline.journal import list_segments
from tbbridge.pipeline.logbook import LogSettings
from tbbridge.pipeline.pipeline import Pipeline
from tbbridge.store.log_files import LogFiles, Tail, Wanted

SEGMENT_BYTES = 8 * 1024


def logs(run: str, *records: LogRecord | str, writer: str = "", seq: int = 0, columns: tuple[ScalarColumns, ...] = ()) -> Batch:
    made = tuple(record if isinstance(record, LogRecord) else LogRecord(record) for record in records)
    return Batch((RunBatch(run_name(run), columns, logs=made),), writer, seq)


def log_files(logdir: Path) -> dict[str, bytes]:
    folder = logdir / ".tbbridge" / "logs"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def messages(data: bytes) -> list[str]:
    found = [decode_record(lines) for lines in split_records(data)]
    return [record.message for record in found if record is not None]


async def send(pipeline: Pipeline, *batches: Batch, ack: Ack = Ack.WRITTEN) -> None:
    for batch in batches:
        await pipeline.submit(batch, ack=ack)


# --- what is stored -----------------------------------------------------------------------------------------------------


async def test_records_are_appended_with_their_time_or_that_of_receipt(tmp_path) -> None:
    clock = Clock(1_700_000_000.25)
    pipeline = await open_pipeline(tmp_path, clock=clock)
    receipt = await pipeline.submit(logs("a/b", "first", LogRecord("second", 40, "x", 12.5)), ack=Ack.WRITTEN)
    assert receipt.accepted == 2
    clock.now += 1
    await send(pipeline, logs("a/b", "third"))
    await pipeline.close()
    expected = [
        LogRecord("first", 20, "", 1_700_000_000.25),
        LogRecord("second", 40, "x", 12.5),
        LogRecord("third", 20, "", 1_700_000_001.25),
    ]
    assert log_files(tmp_path) == {"a/b.log": b"".join(map(encode_record, expected))}


async def test_a_batch_of_logs_alone_makes_no_run(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await send(pipeline, logs("a", "hello"))
    assert (run_files(tmp_path), pipeline.stats.runs, pipeline.take_touched()) == ({}, 0, set())
    await send(pipeline, logs("a", "more", columns=(scalars("loss", [1.0]),)))
    await pipeline.close()
    assert list(event_files(tmp_path)) != []
    assert messages(log_files(tmp_path)["a.log"]) == ["hello", "more"]


async def test_a_repeat_adds_nothing(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path)
    for _ in range(3):
        await send(pipeline, logs("a", "once", writer="w", seq=1))
    await pipeline.close()
    pipeline = await open_pipeline(tmp_path)
    await send(pipeline, logs("a", "once", writer="w", seq=1), logs("a", "twice", writer="w", seq=2))
    await pipeline.close()
    assert messages(log_files(tmp_path)["a.log"]) == ["once", "twice"]


async def test_a_batch_that_is_refused_leaves_no_record(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path)
    text = Batch((RunBatch(run_name("a"), (), (Text(tag_name("t"), "x"),)),))
    await send(pipeline, text)
    wrong = logs("a", "no", columns=(scalars("t", [1.0]),))
    with pytest.raises(InvalidBatch):
        await pipeline.submit(wrong)
    assert log_files(tmp_path) == {}
    receipt = await pipeline.submit(wrong, partial=True, ack=Ack.WRITTEN)
    assert (receipt.accepted, len(receipt.rejected)) == (1, 1)
    await pipeline.close()
    assert messages(log_files(tmp_path)["a.log"]) == ["no"]


async def test_records_below_the_level_are_taken_and_left_out(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(level=30))
    receipt = await pipeline.submit(logs("a", LogRecord("quiet", 29), LogRecord("loud", 30)), ack=Ack.WRITTEN)
    assert receipt.accepted == 2
    assert (await pipeline.submit(logs("b", LogRecord("quiet", 10)), ack=Ack.WRITTEN)).accepted == 1
    await pipeline.close()
    assert {name: messages(data) for name, data in log_files(tmp_path).items()} == {"a.log": ["loud"]}


async def test_no_level_is_info_in_the_journal_too(memory_path) -> None:
    pipeline = await open_pipeline(memory_path / "live", segment_bytes=SEGMENT_BYTES)
    await send(pipeline, logs("a", LogRecord("m", 0), LogRecord("n", 1)))
    shutil.copytree(memory_path / "live", memory_path / "dead")
    await pipeline.close()
    shutil.rmtree(memory_path / "dead" / ".tbbridge" / "logs")
    pipeline = await open_pipeline(memory_path / "dead", segment_bytes=SEGMENT_BYTES)
    assert log_files(memory_path / "dead") == log_files(memory_path / "live")
    assert b" INFO     - m\n" in log_files(memory_path / "dead")["a.log"]
    await pipeline.close()


async def test_a_deleted_run_keeps_its_log(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await send(pipeline, logs("a", "before", columns=(scalars("loss", [1.0]),)))
    await pipeline.change(DeleteRun(run_name("a")))
    await send(pipeline, logs("a", "after"))
    await pipeline.close()
    assert messages(log_files(tmp_path)["a.log"]) == ["before", "after"]


# --- files --------------------------------------------------------------------------------------------------------------


async def test_a_full_file_is_followed_by_the_next_and_never_renamed(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(file_max_bytes=200))
    for number in range(10):
        await send(pipeline, logs("a", f"record {number}"))  # 48 bytes each
    await pipeline.close()
    files = log_files(tmp_path)
    assert list(files) == ["a.log", "a.log.2", "a.log.3"]
    assert [messages(data)[0] for data in files.values()] == ["record 0", "record 4", "record 8"]
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(file_max_bytes=200))
    await send(pipeline, logs("a", "record 10"))
    await pipeline.close()
    assert messages(log_files(tmp_path)["a.log.3"]) == ["record 8", "record 9", "record 10"]


async def test_one_batch_stays_together_however_long(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(file_max_bytes=100))
    await send(pipeline, logs("a", *[f"record {number}" for number in range(20)]), logs("a", "next"))
    await pipeline.close()
    assert [len(messages(data)) for data in log_files(tmp_path).values()] == [20, 1]


async def test_beyond_the_bound_the_oldest_full_files_go_then_silent_logs(tmp_path) -> None:
    settings = LogSettings(file_max_bytes=100, max_bytes=4 * 4096)  # a file counts as a block at least
    pipeline = await open_pipeline(tmp_path, logs=settings)
    await send(pipeline, logs("silent", "long ago"), logs("other", "some time ago"))
    await send(pipeline, *[logs("busy", f"record {number}" + "x" * 80) for number in range(6)])
    assert list(log_files(tmp_path)) == ["busy.log.5", "busy.log.6", "other.log", "silent.log"]
    await send(pipeline, logs("new", "a"), logs("newer", "b"))
    assert list(log_files(tmp_path)) == ["busy.log.6", "new.log", "newer.log", "other.log"]
    await send(pipeline, logs("silent", "back"))
    assert messages(log_files(tmp_path)["silent.log.2"]) == ["back"]  # no number is used twice
    await pipeline.close()
    # After a start it is known again what there is: the bound holds
    pipeline = await open_pipeline(tmp_path, logs=settings)
    await send(pipeline, logs("last", "c"))
    await pipeline.close()
    assert len(log_files(tmp_path)) == 4


async def test_files_that_nobody_knows_are_not_written_over_and_go_first(tmp_path) -> None:
    """A user removed the journal, or put a folder together from two."""
    folder = tmp_path / ".tbbridge" / "logs"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "a.log").write_text("somebody's\n")
    (folder / "x" / "a.log.4").write_text("somebody's\n")
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(max_bytes=3 * 4096))
    await send(pipeline, logs("x/a", "mine"))
    assert list(log_files(tmp_path)) == ["x/a.log", "x/a.log.4", "x/a.log.5"]
    await send(pipeline, logs("b", "mine"), logs("c", "mine"))
    await pipeline.close()
    assert list(log_files(tmp_path)) == ["b.log", "c.log", "x/a.log.5"]


@pytest.mark.parametrize("run", ["a", "a/b"])
async def test_records_that_have_no_place_are_told_once_in_a_while(tmp_path, caplog, run) -> None:
    (tmp_path / ".tbbridge").mkdir()
    (tmp_path / ".tbbridge" / "logs").touch()
    pipeline = await open_pipeline(tmp_path)
    await send(pipeline, *(logs(run, f"record {number}") for number in range(5)))
    (line,) = [record.getMessage() for record in caplog.records if "not written" in record.getMessage()]
    assert line.startswith(f"the log of run {run!r}: ")
    assert line.endswith(("/logs); clear the way", "/logs/a); clear the way"))
    (tmp_path / ".tbbridge" / "logs").unlink()
    await send(pipeline, logs(run, "after"))
    await pipeline.close()
    assert [messages(data) for data in log_files(tmp_path).values()] == [["after"]]


@pytest.mark.parametrize("harm", ["deleted", "cut", "grown"])
async def test_a_file_that_somebody_changed_is_left_and_the_next_begins(tmp_path, harm) -> None:
    pipeline = await open_pipeline(tmp_path)
    await send(pipeline, logs("a", "first"))
    path = tmp_path / ".tbbridge" / "logs" / "a.log"
    if harm == "deleted":
        path.unlink()
    elif harm == "cut":
        os.truncate(path, 10)
    else:
        with path.open("ab") as file:
            file.write(b"by hand\n")
    before = path.read_bytes() if path.exists() else None
    await send(pipeline, logs("a", "second"), logs("a", "third"))
    await pipeline.close()
    files = log_files(tmp_path)
    assert files.get("a.log") == before
    assert messages(files["a.log.2"]) == ["second", "third"]


async def test_overwrite_begins_each_log_anew_at_a_start(tmp_path) -> None:
    settings = LogSettings(overwrite=True, file_max_bytes=100)
    pipeline = await open_pipeline(tmp_path, logs=settings)
    await send(pipeline, *[logs("a", f"old {number}" + "x" * 50) for number in range(3)], logs("b", "old"))
    assert list(log_files(tmp_path)) == ["a.log", "a.log.2", "a.log.3", "b.log"]
    await pipeline.close()
    pipeline = await open_pipeline(tmp_path, logs=settings)
    await send(pipeline, logs("a", "new"), logs("a", "newer"))
    await pipeline.close()
    assert {name: messages(data) for name, data in log_files(tmp_path).items()} == {
        "a.log.4": ["new", "newer"],
        "b.log": ["old"],
    }


def read_on(tail: Tail) -> list[str]:
    """All that there is behind the tail's place; the last record is given out at the second look."""
    found: list[str] = []
    quiet = 0
    while quiet < 2:
        taken = tail.take()
        quiet = quiet + 1 if taken is None else 0
        found += [record.message for _, record in taken or ()]
    return found


@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_reader_goes_on_behind_its_cursor_when_a_start_begins_the_log_anew(memory_path, *, is_killed: bool) -> None:
    """The new file had the number of the old one, so a cursor pointed into the middle of other records."""
    settings = LogSettings(overwrite=True)
    live = memory_path / "live"
    pipeline = await open_pipeline(live, logs=settings)
    await send(pipeline, logs("a", "old 1", "old 2"))
    tail = Tail(LogFiles(live, run_name("a")), Wanted())
    assert read_on(tail) == ["old 1", "old 2"]
    for start in range(3):
        if is_killed:
            dead = memory_path / f"dead {start}"
            shutil.copytree(live, dead)
            await pipeline.close()
            live = dead
            tail = Tail(LogFiles(live, run_name("a")), Wanted(), tail.place)
        else:
            await pipeline.close()
        pipeline = await open_pipeline(live, logs=settings)
        new = [f"new 1 of start {start}, which is a little longer", "new 2", "new 3"]
        await send(pipeline, logs("a", *new))
        assert read_on(tail) == new
    await pipeline.close()


async def test_a_log_that_went_to_make_room_comes_back_under_other_numbers(tmp_path, monkeypatch) -> None:
    """Also after a start, and when too many logs ended for each to be remembered."""
    monkeypatch.setattr("tbbridge.limits.LOGS_ENDED_MAX", 2)
    settings = LogSettings(file_max_bytes=100, max_bytes=2 * 4096)
    pipeline = await open_pipeline(tmp_path, logs=settings, segment_bytes=SEGMENT_BYTES)
    tail = Tail(LogFiles(tmp_path, run_name("a")), Wanted())
    for turn in range(4):
        await send(pipeline, logs("a", f"turn {turn}" + "x" * 80), logs("a", f"and {turn}"))
        assert read_on(tail) == [f"turn {turn}" + "x" * 80, f"and {turn}"]
        await send(pipeline, *[logs(f"{name} {turn}", "y" * 3000) for name in "bcde"])
        assert not any(name.startswith("a.log") for name in log_files(tmp_path))
        if turn % 2:
            await pipeline.close()
            pipeline = await open_pipeline(tmp_path, logs=settings, segment_bytes=SEGMENT_BYTES)
    await pipeline.close()


async def test_overwriting_goes_on_where_somebody_removed_the_old_log(tmp_path) -> None:
    settings = LogSettings(overwrite=True)
    pipeline = await open_pipeline(tmp_path, logs=settings)
    await send(pipeline, logs("a", "old"))
    await pipeline.close()
    (tmp_path / ".tbbridge" / "logs" / "a.log").unlink()
    pipeline = await open_pipeline(tmp_path, logs=settings)
    await send(pipeline, logs("a", "new"), logs("a", "newer"))
    await pipeline.close()
    assert [messages(data) for data in log_files(tmp_path).values()] == [["new", "newer"]]


@pytest.mark.parametrize("overwrite", [False, True])
async def test_the_first_records_of_many_clients_do_not_list_the_folder_each(tmp_path, monkeypatch, overwrite) -> None:
    """With n logs in one folder, that was n listings of up to n names."""
    listed: list[object] = []
    listing = os.listdir
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(overwrite=overwrite))
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(folder) or listing(folder))
    for number in range(50):
        await send(pipeline, logs(f"node-{number}", "hello"))
    assert len(listed) == 1
    by_hand = tmp_path / ".tbbridge" / "logs" / "node-50.log"
    by_hand.write_text("somebody's\n")
    await send(pipeline, logs("node-50", "hello"))
    await pipeline.close()
    assert by_hand.exists() is not overwrite
    assert messages(log_files(tmp_path)["node-50.log.2"]) == ["hello"]


async def test_few_files_are_kept_open(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tbbridge.limits.LOGS_OPEN_FILES_MAX", 2)
    pipeline = await open_pipeline(tmp_path)
    pipeline._store.logs._open_files_max = 2
    for turn in range(2):
        await send(pipeline, *[logs(f"node/{number}", f"turn {turn}") for number in range(5)])
    assert len(pipeline._store.logs._open) == 2
    await pipeline.close()
    assert [messages(data) for data in log_files(tmp_path).values()] == [["turn 0", "turn 1"]] * 5


# --- as texts -----------------------------------------------------------------------------------------------------------


async def test_as_texts_too_if_asked_for(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(to_text=True), clock=Clock(100.0))
    receipt = await pipeline.submit(logs("a", LogRecord("one\n*two*", 30, "x.y", 7.0), "three"), ack=Ack.WRITTEN)
    assert receipt.accepted == 2
    await send(pipeline, logs("a", LogRecord("four", 20, "x.y")))
    await pipeline.close()
    (data,) = event_files(tmp_path).values()
    shown = [
        (value.tag, event.step, event.wall_time, value.tensor.string_val[0].decode())
        for event in events(data)
        for value in event.summary.value
    ]
    assert shown == [
        ("logs/x.y", 0, 7.0, "    WARNING one\n    *two*"),
        ("logs", 0, 100.0, "    INFO three"),
        ("logs/x.y", 1, 100.0, "    INFO four"),
    ]
    assert messages(log_files(tmp_path)["a.log"]) == ["one\n*two*", "three", "four"]


async def test_texts_keep_out_of_the_way_of_other_values(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(to_text=True))
    await send(pipeline, logs("a", "one", columns=(scalars("logs", [1.0]),)), logs("a", "two"))
    await pipeline.close()
    (data,) = event_files(tmp_path).values()
    assert [value.tag for event in events(data) for value in event.summary.value] == ["logs"]
    assert messages(log_files(tmp_path)["a.log"]) == ["one", "two"]


async def test_a_long_record_is_cut_in_its_text_only(tmp_path) -> None:
    pipeline = await open_pipeline(tmp_path, logs=LogSettings(to_text=True))
    await send(pipeline, logs("a", "\n" * 1_000_000))
    await pipeline.close()
    assert messages(log_files(tmp_path)["a.log"]) == ["\n" * 1_000_000]
    (data,) = event_files(tmp_path).values()
    assert b"[cut here; the log has all of it]" in data


# --- death at any byte --------------------------------------------------------------------------------------------------

SETTINGS = LogSettings(file_max_bytes=150, max_bytes=3 * 4096)
STORY = (
    logs("a", "first", LogRecord("of\nmany lines", 40, "x"), writer="w", seq=1),
    logs("a", "second", writer="w", seq=2, columns=(scalars("loss", [1.0]),)),
    logs("b.log/c", "x" * 60, writer="w", seq=3),
    logs("a", "third", writer="w", seq=4),
    logs("b.log/c", "y" * 60, writer="w", seq=5),
    logs("d", "makes room", writer="w", seq=6),
    logs("a", "fourth", writer="w", seq=7),
)


async def tell(logdir: Path, settings: LogSettings = SETTINGS) -> Pipeline:
    clock = Clock()
    pipeline = await open_pipeline(logdir, clock=clock, segment_bytes=SEGMENT_BYTES, logs=settings)
    for part in STORY:
        clock.now = 1_700_000_000.0 + part.seq
        await pipeline.submit(part, ack=Ack.WRITTEN)
    return pipeline


@pytest.fixture
def memory_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


async def test_killed_at_any_byte_of_the_journal_the_story_ends_the_same(memory_path) -> None:
    pipeline = await tell(memory_path / "live")
    shutil.copytree(memory_path / "live", memory_path / "dead")
    await pipeline.close()
    expected = log_files(memory_path / "live")
    assert list(expected) == ["a.log.2", "b.log~/c.log.2", "d.log"]  # full files went on the way
    dead = memory_path / "dead"
    shutil.rmtree(dead / ".tbbridge" / "logs")  # what the entries that are left mean is made anew, and no more
    written = list_segments(dead / ".tbbridge")[-1][1].read_bytes().rstrip(b"\0")
    for cut in range(0, len(written) + 1, 7):
        again = memory_path / "again"
        shutil.copytree(dead, again)
        os.truncate(list_segments(again / ".tbbridge")[-1][1], cut)
        pipeline = await tell(again)
        await pipeline.close()
        assert log_files(again) == expected, f"cut at {cut}"
        shutil.rmtree(again)


async def test_after_a_crash_too_overwriting_ends_the_old_log_first(memory_path) -> None:
    settings = LogSettings(overwrite=True)
    pipeline = await open_pipeline(memory_path / "live", logs=settings, segment_bytes=SEGMENT_BYTES)
    await send(pipeline, logs("a", "old", "older"), logs("b", "old"))
    shutil.copytree(memory_path / "live", memory_path / "dead")
    await pipeline.close()
    again = memory_path / "dead"
    os.truncate(again / ".tbbridge" / "logs" / "b.log", 10)
    pipeline = await open_pipeline(again, logs=settings, segment_bytes=SEGMENT_BYTES)
    await send(pipeline, logs("a", "new"))
    shutil.copytree(again, memory_path / "dead again")
    await pipeline.close()
    for folder in (again, memory_path / "dead again"):
        pipeline = await open_pipeline(folder, logs=settings, segment_bytes=SEGMENT_BYTES)
        assert {name: messages(data) for name, data in log_files(folder).items()} == {"a.log.2": ["new"], "b.log": ["old"]}
        await pipeline.close()


async def test_zeros_that_a_power_cut_left_are_written_over(memory_path) -> None:
    pipeline = await tell(memory_path / "live")
    shutil.copytree(memory_path / "live", memory_path / "dead")
    await pipeline.close()
    expected = log_files(memory_path / "live")
    for name, data in expected.items():
        (memory_path / "dead" / ".tbbridge" / "logs" / name).write_bytes(bytes(len(data)))
    pipeline = await open_pipeline(memory_path / "dead", segment_bytes=SEGMENT_BYTES)
    assert log_files(memory_path / "dead") == expected
    await pipeline.close()


@pytest.mark.parametrize("keep", range(0, 400, 23))
async def test_a_log_cut_at_any_byte_is_completed_byte_for_byte(memory_path, keep) -> None:
    pipeline = await tell(memory_path / "live", LogSettings())
    shutil.copytree(memory_path / "live", memory_path / "dead")
    await pipeline.close()
    expected = log_files(memory_path / "live")
    folder = memory_path / "dead" / ".tbbridge" / "logs"
    for name, data in expected.items():
        (folder / name).write_bytes(data[: max(0, len(data) - keep)])
    pipeline = await open_pipeline(memory_path / "dead", segment_bytes=SEGMENT_BYTES)
    assert log_files(memory_path / "dead") == expected
    await pipeline.close()


async def test_replay_follows_the_journal_and_not_todays_settings(memory_path) -> None:
    pipeline = await tell(memory_path / "live")
    shutil.copytree(memory_path / "live", memory_path / "dead")
    await pipeline.close()
    shutil.rmtree(memory_path / "dead" / ".tbbridge" / "logs")
    pipeline = await open_pipeline(memory_path / "dead", segment_bytes=SEGMENT_BYTES, logs=LogSettings(level=50))
    await pipeline.close()
    assert log_files(memory_path / "dead") == log_files(memory_path / "live")


async def test_a_full_disk_refuses_and_then_completes_what_was_acknowledged(tmp_path, monkeypatch) -> None:
    pipeline = await open_pipeline(tmp_path)
    await send(pipeline, logs("a", "before"))
    write_all = disk.write_all
    full = True

    def write(fd: int, data: bytes, offset: int) -> None:
        if full and b"after" in bytes(data) and b" INFO " in bytes(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(fd, data, offset)

    monkeypatch.setattr(disk, "write_all", write)
    with pytest.raises(StorageFailed, match="safe in the journal"):
        await pipeline.submit(logs("a", "after", writer="w", seq=1), ack=Ack.WRITTEN)
    full = False
    while not pipeline.health.ready:
        await asyncio.sleep(0.01)
    await send(pipeline, logs("a", "after", writer="w", seq=1), logs("a", "more", writer="w", seq=2))
    await pipeline.close()
    assert messages(log_files(tmp_path)["a.log"]) == ["before", "after", "more"]
