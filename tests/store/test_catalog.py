"""Runs on disk: found, read, followed as they grow, and never outside the log folder."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from tbbridge import limits
from tbbridge.errors import InvalidQuery, NotFound, Stopping
from tbbridge.events import event_pb2 as pb
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.events.tfrecord import frame
from tbbridge.model import RunBatch, ScalarColumns, Text
from tbbridge.store import eventfiles
from tbbridge.store.catalog import Catalog

NAME = "events.out.tfevents.0000000001.bridge.1.0"


def points(tag: str, first: int, count: int) -> bytes:
    steps = np.arange(first, first + count)
    column = ScalarColumns(tag, steps.astype(np.float64), steps, 1000.0 + steps)
    return encode_run(RunBatch("r", (column,)), set())


def put(logdir, run, content, name=NAME, mode="wb"):
    folder = logdir / run
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open(mode) as file:
        file.write(content)
    return folder / name


START = encode_file_start(1000.0, session_start=True)


def test_folders_with_event_files_are_runs(tmp_path):
    put(tmp_path, "b/c", START + points("t", 0, 3))
    put(tmp_path, "a", START)
    put(tmp_path, ".", START + points("t", 5, 2))
    put(tmp_path, ".tbbridge", START + points("t", 0, 3))
    put(tmp_path, "notes", b"", name="readme.txt")
    runs = Catalog(tmp_path).runs()
    assert [(run.run, run.points, run.first_step, run.last_step) for run in runs] == [
        (".", 2, 5, 6),
        ("a", 0, None, None),
        ("b/c", 3, 0, 2),
    ]


def test_no_folder_is_no_runs(tmp_path):
    assert Catalog(tmp_path / "missing").runs() == []


def test_a_second_look_reads_only_what_is_new(tmp_path, monkeypatch):
    seen = []
    real = eventfiles.read_events
    monkeypatch.setattr(eventfiles, "read_events", lambda piece, *rest: seen.append(len(piece)) or real(piece, *rest))
    path = put(tmp_path, "r", START + points("t", 0, 100))
    catalog = Catalog(tmp_path)
    catalog.runs()
    assert seen == [path.stat().st_size]
    catalog.runs()
    assert len(seen) == 1
    more = points("t", 100, 10)
    put(tmp_path, "r", more, mode="ab")
    (run,) = catalog.runs()
    assert seen[1:] == [len(more)]
    assert (run.points, run.last_step) == (110, 109)


@pytest.mark.parametrize("keep", [1, 8, 12, 20, -1, -4])
def test_a_torn_tail_is_left_out_until_it_is_whole(tmp_path, keep):
    record = points("t", 3, 1)
    put(tmp_path, "r", START + points("t", 0, 3) + record[:keep])
    catalog = Catalog(tmp_path)
    assert catalog.run("r")[0].points == 3
    assert catalog.series("r", "t").steps.tolist() == [0, 1, 2]
    put(tmp_path, "r", record[keep:], mode="ab")
    assert catalog.run("r")[0].points == 4
    assert catalog.series("r", "t").steps.tolist() == [0, 1, 2, 3]


def test_behind_damage_nothing_is_read(tmp_path):
    good, bad = points("t", 0, 3), bytearray(points("t", 3, 3))
    bad[-2] ^= 1
    put(tmp_path, "r", START + good + bad + points("t", 9, 1))
    assert Catalog(tmp_path).series("r", "t").steps.tolist() == [0, 1, 2, 3, 4]


def test_a_file_that_was_replaced_or_cut_is_read_anew(tmp_path):
    path = put(tmp_path, "r", START + points("t", 0, 100))
    catalog = Catalog(tmp_path)
    assert catalog.run("r")[0].points == 100
    path.write_bytes(START + points("t", 0, 5))
    assert catalog.run("r")[0].points == 5
    other = put(tmp_path, "r", START + points("u", 0, 300), name="new")
    other.replace(path)
    info, tags = catalog.run("r")
    assert (info.points, [tag.tag for tag in tags]) == (300, ["u"])


def test_several_files_of_a_run_are_one_series_in_name_order(tmp_path):
    for number, first in ((2, 20), (1, 10), (3, 30)):
        put(tmp_path, "r", START + points("t", first, 2), name=f"events.out.tfevents.{number}")
    catalog = Catalog(tmp_path)
    assert catalog.series("r", "t").steps.tolist() == [10, 11, 20, 21, 30, 31]
    _, (tag,) = catalog.run("r")
    assert (tag.count, tag.first_step, tag.last_step, tag.first_wall_time) == (6, 10, 31, 1010.0)


def test_records_larger_than_a_window_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "READ_WINDOW_BYTES", 100)
    note = encode_run(RunBatch("r", (), (Text("note", "x" * 1000, 7, 1.0),)), set())
    put(tmp_path, "r", START + points("t", 0, 20) + note + points("t", 20, 20))
    catalog = Catalog(tmp_path)
    assert catalog.series("r", "t").steps.tolist() == list(range(40))
    assert dict(catalog.run("r")[0].tag_counts) == {"scalar": 1, "text": 1}


def test_a_length_that_no_record_can_have_ends_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "READ_RECORD_MAX_BYTES", 10_000)
    monkeypatch.setattr(limits, "READ_WINDOW_BYTES", 1000)
    huge = frame(pb.Event(wall_time=1.0, file_version="x" * 20_000).SerializeToString())
    put(tmp_path, "r", START + points("t", 0, 2) + huge + points("t", 2, 2))
    put(tmp_path, "s", START + points("t", 0, 2) + struct.pack("<Q", 2**63) + bytes(100))
    catalog = Catalog(tmp_path)
    assert [run.points for run in catalog.runs()] == [2, 2]


def test_more_tags_than_are_remembered_are_still_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CATALOG_MAX_TAGS", 5)
    for run in range(6):
        put(tmp_path, f"r{run}", START + points("a", 0, 2) + points("b", 0, 1))
    catalog = Catalog(tmp_path)
    for _ in range(2):
        assert [run.points for run in catalog.runs()] == [3] * 6
    assert len(catalog._indexes) == 1


def test_other_writers_files_are_read(tmp_path):
    with SummaryWriter(str(tmp_path / "x")) as writer:
        for step in range(50):
            writer.add_scalar("loss", step * 0.5, step, walltime=step)
        writer.add_histogram("w", np.arange(10), 3)
        writer.add_text("note", "hi", 4)
        writer.add_image("picture", np.zeros((3, 4, 4)), 5)
    catalog = Catalog(tmp_path)
    info, _ = catalog.run("x")
    assert dict(info.tag_counts) == {"scalar": 1, "histogram": 1, "text": 1, "image": 1}
    assert catalog.series("x", "loss").values.tolist() == [step * 0.5 for step in range(50)]


# --- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..", "../outside", "a/../../outside", "/etc", "", "a//b", "a\0b", ".tbbridge"])
def test_names_that_leave_the_folder_never_touch_the_disk(tmp_path, name):
    logdir = tmp_path / "runs"
    put(tmp_path, "outside", START + points("t", 0, 3))
    put(logdir, ".tbbridge", START + points("t", 0, 3))
    for ask in (lambda: Catalog(logdir).run(name), lambda: Catalog(logdir).series(name, "t")):
        with pytest.raises(InvalidQuery) as raised:
            ask()
        assert raised.value.errors[0].path == "run"


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    logdir = tmp_path / "runs"
    secret = put(tmp_path, "outside", START + points("secret", 0, 3))
    put(logdir, "mine", START + points("t", 0, 3))
    (logdir / "linked").symlink_to(tmp_path / "outside")
    (logdir / "mine" / "events.out.tfevents.9").symlink_to(secret)
    catalog = Catalog(logdir)
    assert [(run.run, run.points) for run in catalog.runs()] == [("mine", 3)]
    for name in ("linked", "linked/deeper"):
        with pytest.raises(NotFound, match="symbolic link"):
            catalog.series(name, "secret")


def test_unknown_names_are_answered_with_close_ones(tmp_path):
    put(tmp_path, "digits/lr=1e-3", START + points("loss/train", 0, 3))
    catalog = Catalog(tmp_path)
    with pytest.raises(NotFound, match="did you mean 'digits/lr=1e-3'"):
        catalog.run("digit/lr=1e-3")
    with pytest.raises(NotFound, match="did you mean 'loss/train'"):
        catalog.series("digits/lr=1e-3", "loss/tran")
    with pytest.raises(NotFound, match=r"there is no run 'zzz'$"):
        catalog.run("zzz")


def test_too_many_points_to_look_through_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "READ_SCAN_MAX_POINTS", 50)
    put(tmp_path, "r", START + points("t", 0, 100))
    catalog = Catalog(tmp_path)
    with pytest.raises(InvalidQuery, match="fewer steps"):
        catalog.series("r", "t")
    assert len(catalog.series("r", "t", min_step=60)) == 40


def test_a_stop_ends_reading_in_the_middle_of_a_file(tmp_path, monkeypatch):
    """A file of 10 GB would hold up the process's end for minutes: its threads are waited for."""
    path = put(tmp_path, "r", START + points("t", 0, 1000))
    monkeypatch.setattr(limits, "READ_WINDOW_BYTES", 1000)
    halt = eventfiles.Halt()
    with eventfiles.OpenFile(path, halt) as file:
        parts = file.chunks(0, {})
        assert next(parts)[1].scalars
        halt.call()
        with pytest.raises(Stopping):
            next(parts)


def test_nothing_is_read_after_a_stop(tmp_path):
    put(tmp_path, "r", START + points("t", 0, 10))
    catalog = Catalog(tmp_path)
    assert len(catalog.series("r", "t")) == 10
    catalog.stop()
    for ask in (catalog.runs, lambda: catalog.run("r"), lambda: catalog.series("r", "t")):
        with pytest.raises(Stopping):
            ask()
