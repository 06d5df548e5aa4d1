"""How a log folder is cut into batches: which run a file becomes, where windows end, and what a file says only once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbbridge import limits
from tbbridge.commands.import_files import Cutter, Memory, SourceFile, Stopped, TooLong, Window, find_files, windows
from tbbridge.commands.import_progress import Progress, Records
from tbbridge.events import event_pb2 as pb
from tbbridge.events.tfrecord import frame
from tbbridge.model import RawValue, run_name

NAME = "events.out.tfevents.1"


def scalar(step: int, tag: str = "loss", wall_time: float = 1.0) -> bytes:
    event = pb.Event(wall_time=wall_time, step=step)
    event.summary.value.add(tag=tag, simple_value=step)
    return frame(event.SerializeToString())


def text(step: int, *, described: bool) -> bytes:
    event = pb.Event(wall_time=1.0, step=step)
    value = event.summary.value.add(tag="note")
    value.tensor.dtype = pb.DT_STRING
    value.tensor.string_val.append(b"hello")
    if described:
        value.metadata.plugin_data.plugin_name = "text"
    return frame(event.SerializeToString())


def start(step: int) -> bytes:
    session = pb.SessionLog(status=pb.SessionLog.START)
    return frame(pb.Event(wall_time=1.0, step=step, session_log=session).SerializeToString())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMPORT_WINDOW_BYTES", 1000)


def ends(path: Path, *cuts: int) -> list[int]:
    return [part.end for part in windows(path, cuts) if isinstance(part, Window)]


def steps(path: Path, *cuts: int) -> list[int]:
    found = [part.chunk.scalars["loss"].steps.tolist() for part in windows(path, cuts) if isinstance(part, Window)]
    return [step for some in found for step in some]


def test_windows_end_in_the_same_places_wherever_an_import_was_cut_before(path: Path) -> None:
    """Else a repeat would make other batches under the same numbers, and points would come twice or never."""
    records = [scalar(step) for step in range(200)]
    path.write_bytes(b"".join(records))
    whole = ends(path)
    assert len(whole) > 5
    for count in (1, 7, 22, 23, 24, 25, 26, 199):
        cut = len(b"".join(records[:count]))
        assert set(ends(path, cut)) == {*whole, cut}
        assert steps(path, cut) == list(range(200))


def test_a_file_that_grew_is_cut_where_it_ended_then(path: Path) -> None:
    path.write_bytes(b"".join(map(scalar, range(30))))
    before = ends(path)
    with path.open("ab") as file:
        file.write(b"".join(map(scalar, range(30, 60))))
    assert ends(path, before[-1])[: len(before)] == before


@pytest.mark.parametrize("length", [900, 1000, 1001, 5000])
def test_a_record_longer_than_a_window_is_read_whole(path: Path, length: int) -> None:
    long = pb.Event(wall_time=1.0, step=1, file_version="x" * length)
    path.write_bytes(scalar(0) * 20 + frame(long.SerializeToString()) + scalar(1) * 20)
    assert steps(path) == [0] * 20 + [1] * 20
    assert ends(path)[-1] == path.stat().st_size


@pytest.mark.parametrize("filler", range(980, 1004))
def test_a_record_whose_head_lies_across_a_boundary_is_read(path: Path, filler: int) -> None:
    event = pb.Event(wall_time=1.0, file_version="")
    event.file_version = "x" * (filler - len(frame(event.SerializeToString())) - 4)
    path.write_bytes(frame(event.SerializeToString()) + scalar(1) + scalar(2))
    assert steps_of_all(path) == [1, 2]


def steps_of_all(path: Path) -> list[int]:
    parts = [part for part in windows(path) if isinstance(part, Window)]
    return [step for part in parts for series in part.chunk.scalars.values() for step in series.steps.tolist()]


def test_a_record_that_does_not_fit_memory_is_left_out_and_the_rest_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMPORT_RECORD_MAX_BYTES", 2000)
    long = frame(pb.Event(wall_time=1.0, file_version="x" * 3000).SerializeToString())
    path.write_bytes(scalar(0) + long + scalar(1))
    parts = list(windows(path))
    assert [part for part in parts if isinstance(part, TooLong)] == [TooLong(len(scalar(0)), len(scalar(0)) + len(long))]
    assert steps_of_all(path) == [0, 1]


@pytest.mark.parametrize(
    ("tail", "damage"),
    [(b"", None), (scalar(9)[:-1], ""), (b"\x05", ""), (b"garbage, and much of it", "length-crc"), (b"\0" * 40, "length-crc")],
)
def test_the_end_of_a_file_is_told(path: Path, tail: bytes, damage: str | None) -> None:
    whole = b"".join(map(scalar, range(100)))
    path.write_bytes(whole + tail)
    *parts, last = windows(path)
    if damage is None:
        assert isinstance(last, Window)
    else:
        assert last == Stopped(len(whole), len(whole) + len(tail), damage)
        assert sum(part.chunk.records for part in parts if isinstance(part, Window)) == 100


def test_a_restart_begins_a_window(path: Path) -> None:
    """What stands before it is purged by it, what stands behind it is not."""
    path.write_bytes(start(0) + scalar(1) + scalar(2) + start(2) + scalar(2))
    restarted = [part for part in windows(path) if isinstance(part, Window) and part.restart]
    assert [(part.restart.step, part.chunk.scalars["loss"].steps.tolist()) for part in restarted if part.restart] == [
        (0, [1, 2]),
        (2, [2]),
    ]


# --- batches ----------------------------------------------------------------------------------------------------------


def cutter(path: Path) -> Cutter:
    return Cutter(SourceFile(path, run_name("run"), path.stat().st_size), Memory())


def test_what_a_file_says_of_a_tag_once_goes_with_each_value(path: Path) -> None:
    """A bridge that starts again, or begins a new file, needs it again; readers never show a tensor without it."""
    path.write_bytes(text(1, described=True) + b"".join(text(step, described=False) for step in range(2, 40)))
    made = cutter(path)
    summaries = []
    for number, part in enumerate(windows(path)):
        assert isinstance(part, Window)
        if number == 0:
            made.learn(part)
        else:
            summaries += [one for batch in made.batches(part, purges=False) for one in batch.summaries]
    assert len(summaries) > 10
    assert all(isinstance(one, RawValue) and one.plugin_name == "text" for one in summaries)


def test_a_restart_becomes_a_purge(path: Path) -> None:
    path.write_bytes(start(7))
    (part,) = windows(path)
    assert isinstance(part, Window)
    (batch,) = cutter(path).batches(part, purges=True)
    assert (batch.purge_step, batch.points) == (7, 0)
    assert cutter(path).batches(part, purges=False) == []


def test_what_cannot_be_sent_is_left_out_and_named(path: Path) -> None:
    path.write_bytes(scalar(1, wall_time=np.nan) + scalar(2) + scalar(1, tag="") + scalar(1, tag="x" * 2000))
    made = cutter(path)
    batches = [batch for part in windows(path) if isinstance(part, Window) for batch in made.batches(part, purges=False)]
    assert [(column.tag, column.values.tolist()) for batch in batches for column in batch.scalars] == [("loss", [2.0])]
    assert sorted(one.values for one in made.left_out) == [1, 1, 1]
    assert all(str(path) in one.place for one in made.left_out)


def test_many_large_values_become_several_batches(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMPORT_REQUEST_BYTES", 300)
    path.write_bytes(b"".join(text(step, described=True) for step in range(15)) + scalar(1))
    (part,) = windows(path)
    assert isinstance(part, Window)
    batches = cutter(path).batches(part, purges=False)
    assert len(batches) > 1
    assert [len(batch.scalars) for batch in batches] == [1] + [0] * (len(batches) - 1)
    assert [one.step for batch in batches for one in batch.summaries] == list(range(15))


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "prefix", "run"),
    [("", "", "logs"), ("", "old", "old"), ("a/b", "", "a/b"), ("a/b", "old/2024", "old/2024/a/b")],
)
def test_a_folder_is_a_run(tmp_path: Path, place: str, prefix: str, run: str) -> None:
    folder = tmp_path / "logs"
    (folder / place).mkdir(parents=True)
    (folder / place / NAME).write_bytes(b"1")
    assert [(file.run, file.size) for file in find_files(folder, prefix).files] == [(run, 1)]


def test_files_of_a_run_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for run in ("b", "a", "a/c"):
        for name in (NAME + "0", NAME, "events.out.tfevents.0"):
            (tmp_path / run).mkdir(parents=True, exist_ok=True)
            (tmp_path / run / name).write_bytes(b"")
    found = [(file.run, file.path.name[20:]) for file in find_files(tmp_path).files]
    assert found == [(run, name) for run in ("a", "a/c", "b") for name in ("0", "1", "10")]


def test_what_is_no_run_is_left_out_and_named(tmp_path: Path) -> None:
    for folder in ("ok", "bad\nname", ".tbbridge", "embeddings.tbbridge"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / NAME).write_bytes(b"")
    (tmp_path / "ok" / "tfevents.link").symlink_to(tmp_path / "ok" / NAME)
    found = find_files(tmp_path)
    assert [(file.run, file.path.name) for file in found.files] == [("ok", NAME)]
    assert sorted(one.place for one in found.left_out) == [str(tmp_path / "bad\nname"), str(tmp_path / "embeddings.tbbridge")]


# --- progress ---------------------------------------------------------------------------------------------------------


def test_progress_is_kept_by_key(tmp_path: Path) -> None:
    records = Records(tmp_path / "not" / "there")
    records.save("one", Progress(1, 2, 3, 4))
    assert records.load("one") == Progress(1, 2, 3, 4)
    assert records.load("two") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"version": 1, "key": "one", "done": "1"}', b"\xff"])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    records = Records(tmp_path)
    records.save("one", Progress())
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert records.load("one") is None


def test_an_import_goes_on_where_no_record_can_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    records = Records(tmp_path / "file")
    for _ in range(2):
        records.save("one", Progress())
    assert len(caplog.records) == 1
