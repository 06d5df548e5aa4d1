"""Runs deleted, renamed, replaced and rid of a tag while TensorBoard watches: both readers show it, and nothing stale."""

from __future__ import annotations

import contextlib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import TensorBoard, address_in, get, post, serve, tensorboard, until

from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.model import RunBatch, ScalarColumns, run_name, tag_name

# Two reload intervals of the TensorBoards here, and a little for a busy machine.
VEIL_S = 3.0

# With its data server, and with its Python reader; both have to show what is expected.
Boards = tuple[TensorBoard, TensorBoard]
Story = tuple[str, Boards]


@contextlib.contextmanager
def watching(logdir: Path) -> Iterator[Boards]:
    with tensorboard(logdir, "true") as data_server, tensorboard(logdir, "false") as python_reader:
        yield data_server, python_reader


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A bridge, and two TensorBoards that watched its folder from the beginning."""
    logdir = tmp_path_factory.mktemp("shown") / "runs"
    logdir.mkdir()
    with serve(logdir, "--veil-s", str(VEIL_S)) as process, watching(logdir) as boards:
        yield address_in(process), boards
        assert process.end() == 0, process.output
        assert "Traceback" not in process.output


def write(bridge: str, run: str, **tags: list[float]) -> None:
    columns = [{"tag": tag, "values": values} for tag, values in tags.items()]
    post(f"{bridge}/api/v1/write?ack=written", {"runs": [{"run": run, "scalars": columns}]})


def send(bridge: str, method: str, path: str, body: bytes | None = None, **query: object) -> bytes:
    url = f"{bridge}{path}?{urllib.parse.urlencode(query)}"
    headers = {"Content-Type": "application/zip"} if body else {}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=60) as answer:
        data: bytes = answer.read()
        return data


def values(board: TensorBoard, run: str, tag: str) -> list[tuple[int, float]]:
    return [(step, value) for _, step, value in board.scalars(run, tag)]


def tags(board: TensorBoard, run: str) -> set[str]:
    known: dict[str, Any] = board.ask("plugin/scalars/tags") or {}
    return set(known.get(run, {}))


def shows(boards: Boards, run: str, **expected: list[float]) -> None:
    """Wait until both show exactly these tags of the run with these values, steps counted from 0."""
    wanted = {tag: list(enumerate(numbers)) for tag, numbers in expected.items()}

    def found() -> bool:
        return all(
            tags(board, run) == set(wanted) and all(values(board, run, tag) == some for tag, some in wanted.items())
            for board in boards
        )

    until(found, f"{run} shows {wanted}")


def gone(boards: Boards, run: str) -> None:
    until(lambda: not any(run in board.runs() for board in boards), f"{run} is gone")


def test_a_deleted_run_that_gets_points_again_starts_afresh(story: Story) -> None:
    bridge, boards = story
    write(bridge, "d", loss=[1, 2, 3, 4], other=[5])
    write(bridge, "d/below", loss=[1, 2])
    shows(boards, "d", loss=[1, 2, 3, 4], other=[5])
    shows(boards, "d/below", loss=[1, 2])
    send(bridge, "DELETE", "/api/v1/runs", run="d")
    write(bridge, "d", loss=[9, 8])
    write(bridge, "d/below", loss=[3])
    assert get(f"{bridge}/api/v1/scalars", run="d", tag="loss")["values"] == [9, 8], "our own readers see it at once"
    shows(boards, "d", loss=[9, 8])
    shows(boards, "d/below", loss=[1, 2, 3])
    write(bridge, "d", loss=[7])
    shows(boards, "d", loss=[9, 8, 7])


def test_a_run_begun_below_a_deleted_one_does_not_keep_it_alive(story: Story) -> None:
    bridge, boards = story
    write(bridge, "b", loss=[1, 2, 3])
    write(bridge, "moved", loss=[5])
    shows(boards, "b", loss=[1, 2, 3])
    shows(boards, "moved", loss=[5])
    send(bridge, "DELETE", "/api/v1/runs", run="b")
    write(bridge, "b/new", loss=[7])
    post(f"{bridge}/api/v1/runs/rename", {"run": "moved", "to": "b/moved"})
    shows(boards, "b/new", loss=[7])
    shows(boards, "b/moved", loss=[5])
    gone(boards, "b")
    write(bridge, "b", loss=[9])
    shows(boards, "b", loss=[9])


def test_a_deleted_tag_goes_and_the_others_live_on(story: Story) -> None:
    bridge, boards = story
    write(bridge, "t", loss=[1, 2, 3], wrong=[4, 5])
    shows(boards, "t", loss=[1, 2, 3], wrong=[4, 5])
    send(bridge, "DELETE", "/api/v1/runs", run="t", tag="wrong")
    shows(boards, "t", loss=[1, 2, 3])
    write(bridge, "t", loss=[4], wrong=[6])
    shows(boards, "t", loss=[1, 2, 3, 4], wrong=[6])


def test_a_renamed_run_moves_and_its_old_name_can_be_used_again(story: Story) -> None:
    bridge, boards = story
    write(bridge, "old", loss=[1, 2, 3])
    shows(boards, "old", loss=[1, 2, 3])
    post(f"{bridge}/api/v1/runs/rename", {"run": "old", "to": "new"})
    write(bridge, "new", loss=[4])
    shows(boards, "new", loss=[1, 2, 3, 4])
    gone(boards, "old")
    write(bridge, "old", loss=[5])
    shows(boards, "old", loss=[5])


def test_archive_delete_restore_gives_the_same_bytes_and_the_run_again(story: Story, tmp_path: Path) -> None:
    bridge, boards = story
    write(bridge, "z", loss=[1, 2, 3])
    shows(boards, "z", loss=[1, 2, 3])
    logdir = Path(get(f"{bridge}/health")["tensorboard"]["logdir"])
    before = {path.name: path.read_bytes() for path in (logdir / "z").iterdir()}
    archive = send(bridge, "GET", "/api/v1/archive", run="z")
    write(bridge, "z", loss=[4])  # which the archive does not have
    send(bridge, "DELETE", "/api/v1/runs", run="z")
    send(bridge, "PUT", "/api/v1/archive", archive, run="z")
    until(lambda: all((logdir / "z" / name).exists() for name in before), "the run is in its place again")
    assert {path.name: path.read_bytes() for path in (logdir / "z").iterdir()} == before
    write(bridge, "z", later=[5])
    shows(boards, "z", loss=[1, 2, 3], later=[5])
    send(bridge, "PUT", "/api/v1/archive", archive, run="copy")
    shows(boards, "copy", loss=[1, 2, 3])
    write(bridge, "copy", mine=[5])
    shows(boards, "copy", loss=[1, 2, 3], mine=[5])
    send(bridge, "PUT", "/api/v1/archive", archive, run="copy", replace="true")
    shows(boards, "copy", loss=[1, 2, 3])


def test_a_bridge_stopped_right_after_a_change_leaves_nothing_stale(tmp_path: Path) -> None:
    logdir = tmp_path / "runs"
    logdir.mkdir()
    with watching(logdir) as boards:
        with serve(logdir, "--veil-s", str(VEIL_S)) as process:
            bridge = address_in(process)
            write(bridge, "d", loss=[1, 2, 3], other=[4])
            write(bridge, "t", loss=[1, 2], typo=[9])
            shows(boards, "d", loss=[1, 2, 3], other=[4])
            shows(boards, "t", loss=[1, 2], typo=[9])
            send(bridge, "DELETE", "/api/v1/runs", run="d")
            write(bridge, "d", loss=[7])
            send(bridge, "DELETE", "/api/v1/runs", run="t", tag="typo")
            assert process.end() == 0, process.output
        shows(boards, "d", loss=[7])
        shows(boards, "t", loss=[1, 2])
        with serve(logdir, "--veil-s", str(VEIL_S)) as process:
            bridge = address_in(process)
            write(bridge, "d", loss=[8])
            write(bridge, "t", loss=[3])
            shows(boards, "d", loss=[7, 8])
            shows(boards, "t", loss=[1, 2, 3])


def test_a_run_removed_while_it_is_read_for_the_first_time_does_not_end_the_reading_of_all_others(tmp_path: Path) -> None:
    """A folder that vanishes then ends TensorBoard's thread that reads them (2.21, Python reader), whatever comes later."""
    logdir = tmp_path / "runs"
    logdir.mkdir()
    with serve(logdir) as process, tensorboard(logdir, "false") as board:
        bridge = address_in(process)
        write(bridge, "before", loss=[1])
        shows((board, board), "before", loss=[1])
        for number in range(2):
            for run in (f"deleted{number}", f"renamed{number}"):
                long_run(tmp_path / run).rename(logdir / run)
                until(lambda run=run: run in board.runs(), "it is being read")  # type: ignore[misc]
                if run.startswith("deleted"):
                    send(bridge, "DELETE", "/api/v1/runs", run=run)
                else:
                    post(f"{bridge}/api/v1/runs/rename", {"run": run, "to": f"new{number}"})
            write(bridge, f"after{number}", loss=[2])
            shows((board, board), f"after{number}", loss=[2])
        left = {"before", *(f"{name}{number}" for name in ("after", "new") for number in range(2))}
        until(lambda: set(board.runs()) == left, "what was removed is gone")
        assert not board.traceback


def long_run(folder: Path) -> Path:
    """A run that the Python reader takes half a second for, and whose size lets the bridge expect ten times that."""
    folder.mkdir()
    steps = np.arange(10_000)
    column = ScalarColumns(tag_name("loss"), steps.astype(np.float64), steps, 1.7e9 + steps.astype(np.float64))
    start = encode_file_start(1.7e9, session_start=True)
    points = encode_run(RunBatch(run_name("long"), (column,)), set())
    (folder / "events.out.tfevents.1700000000.other.0").write_bytes(start + points)
    (folder / "events.out.tfevents.1700000001.other.1").write_bytes(start + bytes(2_000_000))  # what a crash leaves: no record
    return folder
