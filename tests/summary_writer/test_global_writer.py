"""One writer for a whole program: the steps are counted over threads and processes, and everything is in one file."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from event_folders import event_files, events, scalars

from tbbridge import GlobalSummaryWriter, InvalidItem


def test_steps_are_counted_for_each_tag_and_kind(tmp_path: Path) -> None:
    writer = GlobalSummaryWriter(str(tmp_path))
    for value in range(3):
        writer.add_scalar("a", value)
    writer.add_scalar("b", 1, walltime=5.0)
    writer.add_text("a/text", "x")
    writer.add_text("a/text", "y")
    writer.add_image("picture", np.zeros((3, 2, 2)))
    writer.close()
    writer.close()
    assert scalars(tmp_path) == {"a": [(0, 0.0), (1, 1.0), (2, 2.0)], "b": [(0, 1.0)]}
    others = [(v.tag, event.step) for event in events(tmp_path) for v in event.summary.value if v.tag in ("a/text", "picture")]
    assert others == [("a/text", 0), ("a/text", 1), ("picture", 0)]
    with pytest.raises(RuntimeError, match="is closed"):
        writer.add_scalar("a", 1)


def test_threads_share_the_count(tmp_path: Path) -> None:
    writer = GlobalSummaryWriter(str(tmp_path))
    threads = [threading.Thread(target=lambda: [writer.add_scalar("a", 1.0) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert scalars(tmp_path) == {"a": [(step, 1.0) for step in range(800)]}


FORKED = """
import multiprocessing, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tbbridge import GlobalSummaryWriter
writer = GlobalSummaryWriter(sys.argv[1])

def log(worker):
    for _ in range(50):
        writer.add_scalar("shared", worker)
    writer.add_text(f"from {worker}", "x" * 100_000)
    writer.close()  # the owner's to do: nothing happens

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(log, range(6))
    writer.add_scalar("shared", 6)
    {close}
"""


@pytest.mark.parametrize("close", ["writer.close()", ""], ids=["closed", "left to the end of the program"])
def test_forked_processes_share_the_count_and_the_file(tmp_path: Path, close: str) -> None:
    command = [sys.executable, "-c", FORKED.replace("{close}", close), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    points = scalars(tmp_path)["shared"]
    assert [step for step, _ in points] == list(range(301))
    assert sorted(value for _, value in points) == sorted([float(worker) for worker in range(6)] * 50 + [6.0])
    assert sum(v.tag.startswith("from ") for event in events(tmp_path) for v in event.summary.value) == 6
    assert len(event_files(tmp_path)) == 1


SPAWNED = """
import multiprocessing, sys
from tbbridge import GlobalSummaryWriter

def log(writer, value):
    writer.add_scalar("shared", value)
    writer.close()

if __name__ == "__main__":
    writer = GlobalSummaryWriter(sys.argv[1])
    for value in range(2):
        child = multiprocessing.get_context("spawn").Process(target=log, args=(writer, value))
        child.start()
        child.join()
    writer.close()
"""


def test_spawned_processes_get_it_as_an_argument(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SPAWNED)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "run")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert scalars(tmp_path / "run") == {"shared": [(0, 0.0), (1, 1.0)]}


def test_a_child_of_a_dead_owner_is_told(tmp_path: Path) -> None:
    source = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tbbridge import GlobalSummaryWriter
writer = GlobalSummaryWriter(sys.argv[1])
told, tell = os.pipe()
if os.fork():
    os._exit(0)
while os.getppid() != 1:
    pass
try:
    for _ in range(10_000):
        writer.add_scalar("a", 1.0)
except RuntimeError as error:
    print("told:", error)
"""
    ended = subprocess.run([sys.executable, "-c", source, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "told: the process that owns the global writer" in ended.stdout


KILLED = """
import os, signal, sys, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tbbridge import GlobalSummaryWriter
from tbbridge.summary_writer import global_writer
global_writer._SEND_WAIT_S = global_writer._CLOSE_WAIT_S = 0.5
writer = GlobalSummaryWriter(sys.argv[1])
writer.add_scalar("a", 1.0)
with writer._lock:  # the owner is slow: the pipe fills up
    child = os.fork()
    if child == 0:
        while True:
            writer.add_text("long", "x" * 200_000)
    time.sleep(0.5)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
writer.add_scalar("a", 2.0)
another = os.fork()
if another == 0:
    try:
        writer.add_scalar("a", 3.0)
    except RuntimeError as error:
        print("told:", error, flush=True)
    os._exit(0)
os.waitpid(another, 0)
start = time.monotonic()
{close}
print("closed after", time.monotonic() - start)
"""


@pytest.mark.parametrize("close", ["writer.close()", ""], ids=["closed", "left to the end of the program"])
def test_a_child_killed_while_it_sends_does_not_hold_up_the_others(tmp_path: Path, close: str) -> None:
    command = [sys.executable, "-c", KILLED.replace("{close}", close), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    assert "told: the way to the global writer" in ended.stdout
    assert float(ended.stdout.split("closed after")[1]) < 5
    assert "was killed, or is stuck, while it sent" in ended.stderr
    assert scalars(tmp_path) == {"a": [(0, 1.0), (1, 2.0)]}


def test_every_module_gets_the_same_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TBBRIDGE_URL", raising=False)
    writer = GlobalSummaryWriter.getSummaryWriter()
    assert GlobalSummaryWriter.getSummaryWriter() is writer
    writer.add_scalar("a", 1.0)
    folder = Path(writer.file_writer.get_logdir())
    writer.close()
    assert scalars(folder) == {"a": [(0, 1.0)]}
    another = GlobalSummaryWriter.getSummaryWriter()
    assert another is not writer
    another.close()


def test_mistakes_are_told_at_the_call(tmp_path: Path) -> None:
    writer = GlobalSummaryWriter(str(tmp_path), write_to_disk=False)
    with pytest.raises(InvalidItem, match="log a number"):
        writer.add_scalar("a", "text")
    with pytest.raises(InvalidItem, match="give a str"):
        writer.add_text("a", 3)
    writer.close()
