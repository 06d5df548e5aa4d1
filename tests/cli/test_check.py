"""`tbbridge check`: what it says of whole, torn and damaged files, and its exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

from tbbridge import cli
from tbbridge.events.tfrecord import frame


def event(**fields: object) -> bytes:
    return frame(Event(wall_time=1.5e9, **fields).SerializeToString())


def text() -> bytes:
    value = Summary.Value(tag="note", metadata=SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text")))
    value.tensor.dtype = 7
    value.tensor.string_val.append(b"hello")
    return event(summary=Summary(value=[value]))


START = event(file_version="brain.Event:2")
POINT = event(step=1, summary=Summary(value=[Summary.Value(tag="loss", simple_value=0.5)]))
WHOLE = START + POINT + POINT + text()
LAST = len(START + POINT + POINT)


def flipped(at: int) -> bytes:
    return WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :]


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        pytest.param(WHOLE, 0, "4 records with 2 scalars, 1 text; whole", id="whole"),
        pytest.param(START, 0, "1 records with no values; whole", id="only a file version"),
        pytest.param(b"", 0, "empty", id="no byte"),
        pytest.param(WHOLE[:-1], 0, f"3 records with 2 scalars; torn tail at byte {LAST}", id="last byte missing"),
        pytest.param(WHOLE[: LAST + 3], 0, f"torn tail at byte {LAST}, 3 bytes of a record", id="torn in the length"),
        pytest.param(flipped(LAST), 1, f"DAMAGED at byte {LAST}: a record's length", id="a bit of a length"),
        pytest.param(flipped(LAST + 20), 1, f"DAMAGED at byte {LAST}: a record's content does not", id="a bit of a payload"),
        pytest.param(flipped(0), 1, "0 records with no values; DAMAGED at byte 0", id="the first bit"),
        pytest.param(WHOLE + bytes(64), 1, f"DAMAGED at byte {len(WHOLE)}", id="zeros behind the end"),
        pytest.param(
            START + frame(b"\xff\xff"), 1, f"DAMAGED at byte {len(START)}: a record's content is no event", id="no event"
        ),
    ],
)
def test_a_file_is_described_and_judged(
    content: bytes, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.out.tfevents.1.x"
    path.write_bytes(content)
    assert cli.main(["check", str(path)]) == code
    out, err = capsys.readouterr()
    assert out.startswith(f"{path}: ")
    assert said in out
    assert err == ""


def test_a_folder_is_walked_in_order_and_one_damaged_file_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (("b/events.out.tfevents.1", WHOLE), ("a/x.tfevents", flipped(0)), ("a/notes.txt", b"no events")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    assert cli.main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{tmp_path}/a/x.tfevents", f"{tmp_path}/b/events.out.tfevents.1"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda path: None, "cannot be read: No such file", id="no such file"),
        pytest.param(lambda path: path.mkdir(), "there are no event files below", id="empty folder"),
    ],
)
def test_nothing_to_read_is_one_line_and_exit_code_1(
    make: Callable[[Path], object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "place"
    make(path)
    assert cli.main(["check", str(path)]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert str(path) in err
    assert said in err
