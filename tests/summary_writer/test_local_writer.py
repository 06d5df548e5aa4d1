"""A `SummaryWriter` that writes a folder: what tensorboardX gets wrong is right here."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from event_folders import event_files, events, scalars

from tbbridge import InvalidItem, SummaryWriter, WriteFailed, disk, limits

POINTS = [(step, float(step)) for step in range(100)]


def program(source: str, *arguments: object) -> str:
    """The output of a Python program that must succeed."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


# --- names and files ------------------------------------------------------------------------------------------------------


def test_flush_means_that_every_point_is_in_the_file(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    for step, value in POINTS:
        writer.add_scalar("loss", value, step)
    writer.flush()
    assert scalars(tmp_path) == {"loss": POINTS}
    writer.close()


def test_flush_and_close_sync_the_file_and_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real_data, real_folder = disk.sync_data, disk.sync_path
    monkeypatch.setattr(disk, "sync_data", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")) or real_data(fd))
    monkeypatch.setattr(disk, "sync_path", lambda folder: synced.append(str(folder)) or real_folder(folder))
    writer = SummaryWriter(tmp_path / "a" / "b")
    writer.add_scalar("loss", 1.0, 0)
    writer.flush()
    file = str(event_files(tmp_path / "a" / "b")[0])
    assert sorted(synced) == sorted([file, str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")])
    synced.clear()
    writer.flush()
    assert synced == []
    writer.add_scalar("loss", 1.0, 1)
    writer.close()
    assert synced == [file]


def test_writers_made_in_the_same_second_never_share_a_file(tmp_path: Path) -> None:
    writers = [SummaryWriter(tmp_path) for _ in range(20)]
    for number, writer in enumerate(writers):
        writer.add_scalar(f"tag{number}", number, 0)
    for writer in writers:
        writer.close()
    assert len(event_files(tmp_path)) == 20
    assert scalars(tmp_path) == {f"tag{number}": [(0, float(number))] for number in range(20)}


def test_processes_that_start_together_never_share_a_file(tmp_path: Path) -> None:
    source = "import sys, tbbridge\nwith tbbridge.SummaryWriter(sys.argv[1]) as w: w.add_scalar(sys.argv[2], 1.0, 0)"
    started = [subprocess.Popen([sys.executable, "-c", source, str(tmp_path), f"tag{n}"]) for n in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    assert sorted(scalars(tmp_path)) == ["tag0", "tag1", "tag2", "tag3"]


def test_a_name_that_is_taken_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another container may have our host name, process id and counter."""
    first = SummaryWriter(tmp_path)
    first.add_scalar("loss", 1.0, 0)
    first.close()
    taken = event_files(tmp_path)[0]
    before = taken.read_bytes()
    number = int(taken.name.rpartition(".")[2])
    monkeypatch.setattr("tbbridge.summary_writer.files._numbers", iter(range(number, number + 10)))
    seconds = int(taken.name.split(".")[3])
    monkeypatch.setattr(time, "time", lambda: float(seconds))
    with SummaryWriter(tmp_path) as second:
        second.add_scalar("loss", 2.0, 1)
    assert taken.read_bytes() == before
    assert scalars(tmp_path) == {"loss": [(0, 1.0), (1, 2.0)]}


def test_a_later_file_sorts_behind_all_that_are_there(tmp_path: Path) -> None:
    """Readers take files in name order and never go back: a clock set back must not hide the new file."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "events.out.tfevents.9000000000.host.1.0").write_bytes(b"")
    for _ in range(12):
        with SummaryWriter(tmp_path) as writer:
            writer.add_scalar("loss", 1.0, 0)
        assert event_files(tmp_path)[-1].read_bytes()
    assert len(event_files(tmp_path)) == 13


def test_the_name_is_what_tensorboard_expects_and_carries_the_suffix(tmp_path: Path) -> None:
    SummaryWriter(tmp_path, filename_suffix=".mine").close()
    assert re.fullmatch(r"events\.out\.tfevents\.\d{10}\.\S+\.\d+\.\d+\.mine", event_files(tmp_path)[0].name)


def test_a_folder_without_a_name_is_called_as_in_tensorboardx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TBBRIDGE_URL", raising=False)
    with SummaryWriter(comment="_lr1") as writer:
        assert re.fullmatch(r"runs/[A-Z][a-z]{2}\d{2}_\d\d-\d\d-\d\d_.+_lr1", writer.logdir)
        assert writer.get_logdir() == writer.logdir == writer.file_writer.get_logdir()
    with SummaryWriter("named", comment="_no_effect") as writer:
        assert writer.logdir == "named"


def test_torchs_name_for_the_folder_works(tmp_path: Path) -> None:
    with SummaryWriter(log_dir=str(tmp_path)) as writer:
        writer.add_scalar("loss", 1.0)
    assert scalars(tmp_path) == {"loss": [(0, 1.0)]}


# --- what is written --------------------------------------------------------------------------------------------------------


VALUES = {
    "int": 3,
    "bool": True,
    "numpy": np.float32(3.0),
    "numpy 0-d": np.array(3),
    "numpy [1]": np.array([3.0]),
    "torch": torch.tensor(3.0, requires_grad=True),
    "torch [1]": torch.tensor([3.0]),
    "bfloat16": torch.tensor(3.0, dtype=torch.bfloat16),
    "half": torch.tensor(3.0, dtype=torch.float16),
}


@pytest.mark.parametrize("name", VALUES)
def test_scalars_of_every_type(tmp_path: Path, name: str) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("v", VALUES[name], np.int64(7))
    assert scalars(tmp_path) == {"v": [(7, 1.0 if name == "bool" else 3.0)]}


STEPS = {"None": (None, 0), "float": (3.0, 3), "fraction": (3.7, 3), "numpy": (np.int32(3), 3), "torch": (torch.tensor(3), 3)}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_every_type(tmp_path: Path, name: str) -> None:
    given, written = STEPS[name]
    with SummaryWriter(tmp_path, "", None, None, None) as writer:
        writer.add_scalar("v", 1.0, given)
        writer.add_text("t", "x", given)
    assert [event.step for event in events(tmp_path) if event.summary.value] == [written, written]


def test_names_come_with_the_first_point(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 0, None, "Shown", "*What it is*")
        writer.add_scalar("a", 1.0, 1)
        writer.add_scalar("b", 1.0, 0, None, True, False)  # torch: new_style, double_precision
    said = {}
    for event in events(tmp_path):
        for value in event.summary.value:
            said.setdefault(value.tag, []).append((value.metadata.display_name, value.metadata.summary_description))
    assert said == {"a": [("Shown", "*What it is*"), ("", "")], "b": [("", "")]}


def test_add_scalars_makes_sub_runs_and_keeps_few_files_open(tmp_path: Path) -> None:
    keys = [f"key{number}" for number in range(limits.LOCAL_OPEN_FILES_MAX * 2)]
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalars("loss", dict.fromkeys(keys, step), step)
            writer.flush()
            held = [link for fd in os.listdir("/proc/self/fd") if (link := _target(fd)).startswith(str(tmp_path))]
            assert len(held) <= limits.LOCAL_OPEN_FILES_MAX
    for key in keys:
        assert scalars(tmp_path / "loss" / key) == {"loss": [(0, 0.0), (1, 1.0), (2, 2.0)]}
        assert len(event_files(tmp_path / "loss" / key)) == 1


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def test_add_scalars_stays_inside_the_folder(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "runs") as writer:
        with pytest.raises(InvalidItem, match=r"'\.\.'"):
            writer.add_scalars("..", {"x": 1.0})
        writer.add_scalars("/abs", {"x/": 1.0})
    assert scalars(tmp_path / "runs" / "abs" / "x") == {"/abs": [(0, 1.0)]}


def test_add_scalars_exports_what_it_logged_once(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "runs") as writer:
        writer.add_scalar("not exported", 1.0)
        writer.add_scalars("loss", {"a": 1.0, "b": 2.0}, 3, walltime=5.0)
        writer.export_scalars_to_json(tmp_path / "all.json")
        writer.export_scalars_to_json(tmp_path / "rest.json")
    folder = tmp_path / "runs" / "loss"
    assert json.loads((tmp_path / "all.json").read_text()) == {f"{folder}/a": [[5.0, 3, 1.0]], f"{folder}/b": [[5.0, 3, 2.0]]}
    assert json.loads((tmp_path / "rest.json").read_text()) == {}


def test_export_keeps_the_newest_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOCAL_EXPORT_MAX_POINTS", 10)
    with SummaryWriter(tmp_path / "runs", write_to_disk=False) as writer:
        for step in range(25):
            writer.add_scalars("loss", {"a": step}, step, walltime=0.0)
        writer.export_scalars_to_json(tmp_path / "all.json")
    (points,) = json.loads((tmp_path / "all.json").read_text()).values()
    assert 5 <= len(points) <= 10
    assert points[-1] == [0.0, 24, 24.0]


def test_use_metadata_gives_step_and_time_where_a_call_gives_none(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        with writer.use_metadata(global_step=5, walltime=7.0):
            writer.add_scalar("a", 1.0)
            writer.add_text("t", "x")
            writer.add_scalar("a", 1.0, 6, 8.0)
        with contextlib.suppress(ZeroDivisionError), writer.use_metadata(global_step=9):
            _ = 1 / 0
        writer.add_scalar("b", 1.0)
        with pytest.raises(InvalidItem, match="global_step or walltime"), writer.use_metadata():
            pass
    found = [(v.tag, event.step, event.wall_time) for event in events(tmp_path) for v in event.summary.value]
    assert [point for point in found if point[0] != "b"] == [("a", 5, 7.0), ("a", 6, 8.0), ("t", 5, 7.0)]
    (after,) = (point for point in found if point[0] == "b")
    assert after[1] == 0
    assert after[2] > 1e9


def test_write_to_disk_false_checks_and_writes_nothing(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "runs", write_to_disk=False) as writer:
        writer.add_scalar("a", 1.0, 0)
        writer.add_text("t", "x")
        with pytest.raises(InvalidItem):
            writer.add_scalar("", 1.0)
        writer.flush()
    assert not (tmp_path / "runs").exists()


def test_what_was_logged_is_in_the_file_without_flush(tmp_path: Path) -> None:
    """flush_secs at the latest, however few the values are."""
    writer = SummaryWriter(tmp_path, flush_secs=0.1, max_queue=1000)
    writer.add_scalar("a", 1.0, 0)
    deadline = time.monotonic() + 30
    while not scalars(tmp_path) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert scalars(tmp_path) == {"a": [(0, 1.0)]}
    writer.close()


def test_many_threads_log_and_no_point_is_lost(tmp_path: Path) -> None:
    def log(number: int) -> None:
        for step, value in POINTS * 20:
            writer.add_scalar(f"tag{number}", value, step)

    with SummaryWriter(tmp_path) as writer:
        threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert scalars(tmp_path) == {f"tag{number}": POINTS * 20 for number in range(4)}


def test_a_full_queue_writes_instead_of_dropping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOCAL_QUEUE_MAX_POINTS", 50)
    monkeypatch.setattr(limits, "LOCAL_QUEUE_MAX_BYTES", 4096)
    monkeypatch.setattr(threading.Thread, "start", _cannot_start)
    writer = SummaryWriter(tmp_path)
    for step, value in POINTS * 3:
        writer.add_scalar("loss", value, step)
        writer.add_text("note", "x" * 1000, step)
    assert len(writer._points) <= 51
    writer.close()
    assert scalars(tmp_path) == {"loss": POINTS * 3}
    assert sum(value.tag == "note" for event in events(tmp_path) for value in event.summary.value) == 300


def _cannot_start(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


# --- the ends ---------------------------------------------------------------------------------------------------------------


def test_logging_after_close_goes_on_in_a_new_file(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path, purge_step=0)
    writer.add_scalar("loss", 1.0, 0)
    writer.close()
    writer.close()
    writer.add_scalar("loss", 2.0, 1)
    writer.add_text("note", "after", 1)
    writer.close()
    writer.reopen()
    writer.reopen()
    writer.close()
    assert len(event_files(tmp_path)) == 3
    assert scalars(tmp_path) == {"loss": [(0, 1.0), (1, 2.0)]}
    purges = [event.step for event in events(tmp_path) if event.HasField("session_log")]
    assert len(purges) == 3, "only the first file may purge: the others would hide what it holds"


def test_close_ends_the_thread_and_lets_go_of_the_file(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 0)
    writer.close()
    assert set(threading.enumerate()) <= before
    assert not [fd for fd in os.listdir("/proc/self/fd") if _target(fd).startswith(str(tmp_path))]


def test_a_writer_that_is_dropped_writes_what_it_holds(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("loss", 1.0, 0)
    thread = next(thread for thread in threading.enumerate() if thread.name == "tbbridge-summary-writer")
    del writer
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()
    assert scalars(tmp_path) == {"loss": [(0, 1.0)]}


def test_the_end_of_a_program_loses_nothing(tmp_path: Path) -> None:
    program(
        "import sys; from tbbridge import SummaryWriter; w = SummaryWriter(sys.argv[1]); w.add_scalar('loss', 1.0, 0)", tmp_path
    )
    assert scalars(tmp_path) == {"loss": [(0, 1.0)]}


FORKED_UNDER_A_READER = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tbbridge import SummaryWriter
writer = SummaryWriter(sys.argv[1])
reader = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
for step in range(5):
    writer.add_scalar("loss", step, step)
    writer.flush()
    reader.Reload()
    if step < 3:
        child = os.fork()
        if child == 0:
            writer.add_scalar("child", 1.0, step)
            writer.close()
            os._exit(0)
        os.waitpid(child, 0)
        reader.Reload()
writer.close()
reader.Reload()
print([event.step for event in reader.Scalars("loss")], [event.step for event in reader.Scalars("child")])
"""


def test_a_live_reader_sees_what_is_logged_after_a_forked_child_logged(tmp_path: Path) -> None:
    assert program(FORKED_UNDER_A_READER, tmp_path) == "[0, 1, 2, 3, 4] [0, 1, 2]\n"
    assert len(event_files(tmp_path)) == 7


FORKED_AT_ONCE = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tbbridge import SummaryWriter
writer = SummaryWriter(sys.argv[1])
child = os.fork()
for step in range(100):
    writer.add_scalar("loss" if child else "child", step, step)
    writer.flush()
writer.close()
if child:
    os.waitpid(child, 0)
"""


def test_processes_that_log_by_turns_do_not_make_files_for_ever(tmp_path: Path) -> None:
    program(FORKED_AT_ONCE, tmp_path)
    assert scalars(tmp_path) == {"loss": POINTS, "child": POINTS}
    assert len(event_files(tmp_path)) <= 3


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tbbridge import SummaryWriter
writer = SummaryWriter(sys.argv[1], purge_step=0)
for step in range(100):
    writer.add_scalar("parent", step, step)
child = os.fork()
for step in range(100, 200):
    writer.add_scalar("child" if child == 0 else "parent", step, step)
writer.close()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_fork_in_the_middle_gives_the_child_a_file_of_its_own(tmp_path: Path) -> None:
    program(FORK, tmp_path)
    assert scalars(tmp_path) == {
        "parent": [(step, float(step)) for step in range(200)],
        "child": [(step, float(step)) for step in range(100, 200)],
    }
    in_files = [list(scalars_of(path)) for path in event_files(tmp_path)]
    assert in_files.count(["child"]) == 1
    assert all(len(tags) <= 1 for tags in in_files)
    assert len(in_files) <= 3, "the parent's second file, when the child was first"
    assert sum(event.HasField("session_log") for event in events(tmp_path)) == 3, "the child must not purge its parent's points"


def scalars_of(file: Path) -> dict[str, list[tuple[int, float]]]:
    folder = file.parent / f"alone-{file.name[-6:]}"
    folder.mkdir()
    os.link(file, folder / file.name)
    return scalars(folder)


# --- a disk that refuses ----------------------------------------------------------------------------------------------------


class Disk:
    """Writes go through it, and fail halfway while it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._write = disk.write_all
        monkeypatch.setattr(disk, "write_all", self.write_all)

    def write_all(self, fd: int, data: bytes, offset: int) -> None:
        if self.is_full:
            self._write(fd, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        self._write(fd, data, offset)


CALLS: dict[str, Callable[[SummaryWriter], None]] = {
    "add_scalar": lambda writer: writer.add_scalar("loss", 2.0, 1),
    "add_scalars": lambda writer: writer.add_scalars("many", {"a": 1.0}),
    "add_text": lambda writer: writer.add_text("note", "x"),
    "flush": SummaryWriter.flush,
    "close": SummaryWriter.close,
}


@pytest.mark.parametrize("call", CALLS)
def test_a_write_error_reaches_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    storage = Disk(monkeypatch)
    writer = SummaryWriter(tmp_path, flush_secs=0.1)
    writer.add_scalar("loss", 1.0, 0)
    storage.is_full = True
    with pytest.raises(WriteFailed, match=r"events.*No space left on device; free space"):
        writer.flush()
    with pytest.raises(OSError, match="No space left"):
        CALLS[call](writer)
    storage.is_full = False
    writer.close()


def test_what_waited_is_written_when_there_is_space_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the torn half of a record in the file becomes whole, with the same bytes."""
    storage = Disk(monkeypatch)
    writer = SummaryWriter(tmp_path)
    storage.is_full = True
    failed = 0
    for step, value in POINTS:
        try:
            writer.add_scalar("loss", value, step)
            writer.flush()
        except WriteFailed:
            failed += 1
    assert failed == len(POINTS)
    storage.is_full = False
    writer.flush()
    writer.add_scalar("loss", 100.0, 100)
    writer.close()
    assert scalars(tmp_path) == {"loss": [*POINTS, (100, 100.0)]}


def test_a_disk_that_stays_full_bounds_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOCAL_QUEUE_MAX_POINTS", 50)
    storage = Disk(monkeypatch)
    writer = SummaryWriter(tmp_path)
    storage.is_full = True
    for step, value in POINTS * 10:
        with contextlib.suppress(WriteFailed):
            writer.add_scalar("loss", value, step)
    assert len(writer._points) <= 51
    with pytest.raises(WriteFailed, match="closed, and what waited is lost"):
        writer.close()
    storage.is_full = False
    writer.add_scalar("loss", 7.0, 1)
    writer.close()
    assert scalars_of(event_files(tmp_path)[-1]) == {"loss": [(1, 7.0)]}


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        SummaryWriter(tmp_path / "file" / "run")


def test_a_sub_run_whose_folder_is_a_file_loses_only_its_own_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOCAL_QUEUE_MAX_POINTS", 50)
    (tmp_path / "loss").write_text("the user's")
    writer = SummaryWriter(tmp_path)
    for step, value in POINTS:
        with contextlib.suppress(WriteFailed):
            writer.add_scalars("loss", {"train": value}, step)
        with contextlib.suppress(WriteFailed):
            writer.add_scalar("acc", value, step)
    with pytest.raises(WriteFailed, match="loss"):
        writer.flush()
    assert scalars(tmp_path) == {"acc": POINTS}
    with contextlib.suppress(WriteFailed):
        writer.add_scalar("acc", 100.0, 100)
    with pytest.raises(WriteFailed, match=r"loss.*closed, and what waited is lost"):
        writer.close()
    assert scalars(tmp_path) == {"acc": [*POINTS, (100, 100.0)]}


def test_a_sub_run_is_written_when_its_folder_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "loss").write_text("the user's")
    writer = SummaryWriter(tmp_path)
    for step in range(2):
        with contextlib.suppress(WriteFailed):
            writer.add_scalars("loss", {"train": 1.0}, step)
        with pytest.raises(WriteFailed, match="loss"):
            writer.flush()
    (tmp_path / "loss").unlink()
    writer.close()
    assert scalars(tmp_path / "loss" / "train") == {"loss": [(0, 1.0), (1, 1.0)]}


def test_a_run_folder_deleted_under_a_writer_begins_anew(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path / "run")
    writer.add_scalar("loss", 1.0, 0)
    writer.flush()
    event_files(tmp_path / "run")[0].unlink()
    (tmp_path / "run").rmdir()
    writer.add_scalar("loss", 2.0, 1)
    writer.close()
    assert scalars(tmp_path / "run") == {"loss": [(1, 2.0)]}


# --- the user's mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.add_scalar("loss", [1.0, 2.0]), "log a number"),
        (lambda w: w.add_scalar("loss", torch.zeros(3)), "not one number"),
        (lambda w: w.add_scalar(3, 1.0), "the tag is an int"),
        (lambda w: w.add_scalar("loss", 1.0, "first"), "give a whole number"),
        (lambda w: w.add_scalar("loss", 1.0, 0, float("nan")), "finite"),
        (lambda w: w.add_scalars("loss", [1.0]), "give a dictionary"),
        (lambda w: w.add_text("note", 3), "give a str"),
        (lambda w: w.add_histogram("h", "text"), "array of numbers"),
        (lambda w: w.add_hparams({"lr": 1}, [1]), "give a dictionary"),
        (lambda w: w.add_summary(3), "give a Summary message"),
        (lambda w: w.add_onnx_graph(), "path of its file"),
    ],
)
def test_mistakes_are_told_at_the_call(tmp_path: Path, call: Callable[[SummaryWriter], None], message: str) -> None:
    with SummaryWriter(tmp_path, write_to_disk=False) as writer, pytest.raises(InvalidItem, match=message):
        call(writer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"logdir": 3}, "give a path or a URL"),
        ({"logdir": "runs", "run": "x"}, "write both as one path"),
        ({"run": "x"}, "set TBBRIDGE_URL or logdir"),
        ({"logdir": "s3://bucket/run"}, "no address of a bridge"),
        ({"logdir": "tbbridge://host/run", "run": "x"}, "give one of the two"),
        ({"logdir": "runs", "purge_step": "last"}, "whole number"),
    ],
)
def test_arguments_that_contradict_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TBBRIDGE_URL", raising=False)
    with pytest.raises(InvalidItem, match=message):
        SummaryWriter(**arguments)


def test_nan_in_a_histogram_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_histogram("h", [1.0, float("nan"), float("inf")], step)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "1 NaN and 1 infinite" in caplog.text
