"""`tbbridge doctor`: says what is wrong with a log folder by file and byte, and what to do; or that nothing is.

And it changes nothing: every test compares the folder before and after.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import TBBRIDGE

from tbbridge.cli import main
from tbbridge.model import Batch, LogRecord, RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.pipeline.acknowledged import NAME as MARK
from tbbridge.pipeline.acknowledged import read_acknowledged
from tbbridge.pipeline.door import Ack, DeleteRun
from tbbridge.pipeline.inspection import obstacles
from tbbridge.pipeline.journal import list_segments
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings


def batch(run: str, step: int) -> Batch:
    column = ScalarColumns(tag_name("loss"), np.array([0.5]), np.array([step]))
    return Batch((RunBatch(run_name(run), (column,), logs=(LogRecord("hello"),)),), "w", step)


async def open_pipeline(logdir: Path) -> Pipeline:
    """Its veils are there as long as a test looks, and a stop does not wait for them."""
    return await Pipeline.open(PipelineSettings(logdir=logdir, segment_bytes=8192, veil_s=60.0, close_timeout_s=0.1))


async def write(pipeline: Pipeline) -> None:
    for step in range(1, 5):
        await pipeline.submit(batch("a" if step % 2 else "b/c", step), ack=Ack.WRITTEN)


@pytest.fixture
async def killed(tmp_path: Path) -> Path:
    """A log folder as SIGKILL leaves it: four batches in the journal and in their event files, no checkpoint behind them."""
    pipeline = await open_pipeline(tmp_path / "live")
    await write(pipeline)
    shutil.copytree(tmp_path / "live", tmp_path / "runs")
    await pipeline.close()
    return tmp_path / "runs"


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def doctor(logdir: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object], list[dict[str, object]]]:
    """Exit code, all it says, and the findings that are not ok."""
    before = contents(logdir)
    code = main(["doctor", str(logdir), "--json"])
    assert contents(logdir) == before, "it only reads"
    said = json.loads(capsys.readouterr().out)
    assert said["healthy"] == (code == 0)
    return code, said, [finding for finding in said["findings"] if finding["level"] != "ok"]


def last_segment(logdir: Path) -> Path:
    return list_segments(logdir / ".tbbridge")[-1][1]


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(bytes(data))


def used(logdir: Path) -> int:
    noted = read_acknowledged(logdir / ".tbbridge")
    assert noted is not None
    return noted.length


async def test_a_folder_after_a_kill_is_healthy_and_what_a_start_replays_is_said(
    killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, findings = doctor(killed, capsys)
    assert (code, findings, said["running"]) == (0, [], False)
    messages = " | ".join(finding["message"] for finding in said["findings"])  # type: ignore[index,attr-defined]
    assert "a start replays 4 batches with 8 values" in messages
    assert "2 files" in messages, "the logs"
    pipeline = await open_pipeline(killed)
    assert pipeline.stats.replayed_batches == 4
    await pipeline.close()


async def test_a_bridge_that_runs_is_named_and_not_disturbed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = await open_pipeline(tmp_path / "runs")
    await write(pipeline)
    code, said, findings = doctor(tmp_path / "runs", capsys)
    assert (code, findings, said["owner"]) == (0, [], str(os.getpid()))
    await pipeline.submit(batch("a", 9), ack=Ack.WRITTEN)
    await pipeline.close()


def flip_last(logdir: Path) -> None:
    flip(last_segment(logdir), used(logdir) - 20)


def flip_first(logdir: Path) -> None:
    flip(last_segment(logdir), used(logdir) // 3)


def cut(logdir: Path) -> None:
    os.truncate(last_segment(logdir), used(logdir) - 20)


def remove_segment(logdir: Path) -> None:
    last_segment(logdir).unlink()


def without_mark(logdir: Path) -> None:
    (logdir / ".tbbridge" / MARK).unlink()
    flip_tail(logdir)


def flip_tail(logdir: Path) -> None:
    data = last_segment(logdir).read_bytes().rstrip(b"\0")
    flip(last_segment(logdir), len(data) - 20)


def lengthen(logdir: Path) -> None:
    with next((logdir / "a").iterdir()).open("ab") as file:
        file.write(b"somebody else")


def spoil_checkpoint(logdir: Path) -> None:
    newest = max((logdir / ".tbbridge").glob("checkpoint-*"))
    flip(newest, newest.stat().st_size // 2)


@pytest.mark.parametrize(
    ("damage", "subject", "with_offset"),
    [
        (flip_last, "journal", True),
        (flip_first, "journal", True),
        (cut, "journal", True),
        (remove_segment, "journal", True),
        (without_mark, "event files", True),
        (lengthen, "event files", True),
        (spoil_checkpoint, "checkpoint", False),
    ],
)
async def test_damage_is_a_problem_with_file_offset_and_remedy(
    killed: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], subject: str, with_offset: bool
) -> None:
    damage(killed)
    code, _, findings = doctor(killed, capsys)
    assert code == 1
    problems = [finding for finding in findings if finding["level"] == "problem"]
    assert {finding["subject"] for finding in problems} == {subject}
    for problem in problems:
        assert str(killed) in str(problem["file"])
        assert (problem["offset"] is not None) == with_offset
        assert problem["remedy"]


def by_link(path: Path) -> None:
    """`path` is moved out of the log folder, and a link left that leads there."""
    moved = next(above for above in path.parents if above.name == "runs").with_name("elsewhere")
    path.rename(moved)
    path.symlink_to(moved)


def by_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def by_file(path: Path) -> None:
    shutil.rmtree(path)
    path.touch()


def by_garbage(path: Path) -> None:
    path.write_text("{")


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("", by_link),
        ("", by_file),
        ("lock", by_folder),
        ("lock", by_link),
        ("acknowledged", by_folder),
        ("acknowledged", by_link),
        ("changes-done", by_folder),
        ("groups.json", by_folder),
        ("groups.json", by_garbage),
    ],
)
async def test_what_keeps_a_bridge_from_starting_is_a_problem(
    killed: Path, capsys: pytest.CaptureFixture[str], name: str, harm: Callable[[Path], None]
) -> None:
    path = killed / ".tbbridge" / name
    harm(path)
    code, _, findings = doctor(killed, capsys)
    assert code == 1
    assert [finding["file"] for finding in findings] == [str(path)]
    assert all(finding["remedy"] for finding in findings)
    assert [finding.file for finding in obstacles(killed)] == [str(path)]
    serve = [TBBRIDGE, "serve", "--logdir", str(killed), "--port", "0"]
    refused = await asyncio.to_thread(subprocess.run, serve, capture_output=True, text=True, timeout=60)
    assert refused.returncode in (1, 2)
    assert str(path) in refused.stderr


@pytest.mark.parametrize("name", ["a", "b", "b/c"])
@pytest.mark.parametrize("harm", [by_link, by_file])
async def test_a_link_or_a_file_in_the_place_of_a_runs_folder_is_a_problem_and_no_deletion(
    killed: Path, capsys: pytest.CaptureFixture[str], name: str, harm: Callable[[Path], None]
) -> None:
    harm(killed / name)
    code, _, findings = doctor(killed, capsys)
    assert code == 1
    (problem,) = findings
    assert (problem["level"], problem["subject"]) == ("problem", "event files")
    assert str(killed / name) in str(problem["message"])
    assert problem["remedy"]


def tear(logdir: Path) -> None:
    segment = last_segment(logdir)
    data = segment.read_bytes()
    end = used(logdir)
    segment.write_bytes(data[:end] + data[end // 2 : end - 20] + data[end:])


def delete_run(logdir: Path) -> None:
    shutil.rmtree(logdir / "a")


def shorten(logdir: Path) -> None:
    path = next((logdir / "a").iterdir())
    os.truncate(path, path.stat().st_size - 5)


def leave_staged(logdir: Path) -> None:
    folder = logdir / ".tbbridge" / "staged" / "0123"
    folder.mkdir(parents=True)
    (folder / "events.out.tf~vents.1").write_bytes(b"x")


def leave_damaged(logdir: Path) -> None:
    (logdir / ".tbbridge" / "00000001.journal.damaged").write_bytes(b"x")


@pytest.mark.parametrize(
    ("happening", "subject"),
    [
        (tear, "journal"),
        (delete_run, "event files"),
        (shorten, "event files"),
        (leave_staged, "staged"),
        (leave_damaged, "damage"),
    ],
)
async def test_what_the_next_start_settles_by_itself_is_a_note(
    killed: Path, capsys: pytest.CaptureFixture[str], happening: Callable[[Path], None], subject: str
) -> None:
    happening(killed)
    code, _, findings = doctor(killed, capsys)
    assert code == 0
    assert [(finding["level"], finding["subject"]) for finding in findings] == [("note", subject)]
    assert findings[0]["remedy"]


async def test_a_veil_that_a_kill_left_is_noted_with_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = await open_pipeline(tmp_path / "live")
    await write(pipeline)
    await pipeline.change(DeleteRun(run_name("a")))
    await pipeline.submit(batch("a", 9), ack=Ack.WRITTEN)
    shutil.copytree(tmp_path / "live", tmp_path / "runs")
    await pipeline.close()
    code, _, findings = doctor(tmp_path / "runs", capsys)
    assert code == 0
    assert [finding["subject"] for finding in findings] == ["veils"]
    assert "'a'" in str(findings[0]["message"])


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_a_bridge_is_told_apart_from_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], exists: bool
) -> None:
    logdir = tmp_path / "runs"
    if exists:
        logdir.mkdir()
    code, _, findings = doctor(logdir, capsys)
    assert code == (0 if exists else 1)
    assert [finding["subject"] for finding in findings] == ["folder"]


async def test_people_get_lines_with_what_to_do(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip_last(killed)
    assert main(["doctor", str(killed)]) == 1
    lines = capsys.readouterr().out.splitlines()
    [problem] = [place for place, line in enumerate(lines) if "PROBLEM" in line]
    assert "damaged at byte" in lines[problem]
    assert "-> " in lines[problem + 1]
    assert lines[-1] == "1 problem"


async def test_a_start_while_somebody_looks_is_not_refused(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To know if the lock is held, it is shared for an instant, in which a bridge may want to take it."""
    fd = os.open(killed / ".tbbridge" / "lock", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    monkeypatch.setattr("tbbridge.pipeline.lock.time.sleep", lambda _: fcntl.flock(fd, fcntl.LOCK_UN))
    await (await open_pipeline(killed)).close()
    os.close(fd)
