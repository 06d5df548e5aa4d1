"""`tbbridge watch` and a real bridge: no point is missing, none comes twice, through kill -9, a new name and a run's end."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from processes import PATIENCE_S, TBBRIDGE, Process, address_in, environment, get, post, serve, until

from tbbridge.commands.watch import Watching


def watch(url: str, *arguments: str) -> Process:
    return Process([TBBRIDGE, "watch", *arguments, "--url", url])


def write(url: str, run: str, steps: range, tag: str = "loss", **more: object) -> None:
    column = {"tag": tag, "steps": [*steps], "values": [step / 4 for step in steps]}
    post(f"{url}/api/v1/write", {"runs": [{"run": run, "scalars": [column], **more}]})


def steps_of(process: Process, tag: str = "loss") -> list[int]:
    rows = [line.split("\t") for line in process.lines if "\t" in line]
    assert all(float(value) == int(step) / 4 for name, step, value, _ in rows if name == tag)
    return [int(step) for name, step, *_ in rows if name == tag]


def listeners(url: str) -> int:
    import urllib.request

    with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    return int(float(next(line.split()[1] for line in text.splitlines() if line.startswith("tbbridge_live_listeners "))))


@pytest.fixture
def watched(bridge: str) -> Iterator[tuple[str, Process]]:
    """A bridge, and a process that waits for the run r/1 there."""
    with watch(bridge, "r/1") as process:
        process.line("there is no run 'r/1' yet")
        yield bridge, process


def test_each_point_is_a_line_once_and_in_order_through_kill_9(logdir: Path) -> None:
    """What was acknowledged while the listener was away, in its last moment and after the restart, is there too."""
    with serve(logdir) as first:
        url = address_in(first)
        port = urllib.parse.urlsplit(url).port
        assert port
        write(url, "r", range(5))
        with watch(url, "r") as process:
            until(lambda: listeners(url), "the listener is there")
            write(url, "r", range(5, 100))
            for step in range(100, 140):
                write(url, "r", range(step, step + 1))
            first.process.send_signal(signal.SIGKILL)
            first.wait()
            with serve(logdir, port=port) as second:
                assert address_in(second) == url
                for step in range(140, 180):
                    write(url, "r", range(step, step + 1))
                write(url, "r", range(200, 210), "late")  # a tag that begins while nobody may be listening
                until(lambda: listeners(url), "the listener is back")
                write(url, "r", range(180, 200))
                until(lambda: steps_of(process)[-1:] == [199] and len(steps_of(process, "late")) == 10, "all is printed")
                assert steps_of(process) == [*range(5, 200)]
                assert steps_of(process, "late") == [*range(200, 210)]
                process.line("the bridge is away, and is waited for")
                assert second.end() == 0


def test_a_run_is_followed_under_its_new_name_to_its_end(watched: tuple[str, Process]) -> None:
    url, _ = watched
    with watch(url, "r/1", "--tag", "loss", "--until-end") as process:
        process.line("there is no run 'r/1' yet")
        write(url, "r/1", range(3), status="running")
        write(url, "r/1", range(3), "other")
        process.line("the run 'r/1' is running")
        post(f"{url}/api/v1/runs/rename", {"run": "r", "to": "s"})
        process.line("the run is called 's/1' now")
        until(lambda: listeners(url) == 2, "it listens for the new name")
        write(url, "s/1", range(3, 6), status="failed")
        assert process.wait() == 1  # failed
        assert steps_of(process) == [*range(6)]
        assert steps_of(process, "other") == []
        assert process.lines[-1] == "tbbridge: the run 's/1' is failed"
    done = subprocess.run(
        [TBBRIDGE, "watch", "s/1", "--until-end", "--url", url], capture_output=True, timeout=60, env=environment()
    )
    assert done.returncode == 1  # it had failed before
    assert get(f"{url}/api/v1/runs")["runs"][0]["status"] == "failed"


class Kept:
    """A view of the points that are shown, as a table has them."""

    points_wanted = 100

    def __init__(self) -> None:
        self.shown: dict[str, list[int]] = {}
        self.purges: list[int] = []

    def add(self, tag: str, points: Sequence[tuple[int, float, float]]) -> None:
        self.shown.setdefault(tag, []).extend(step for step, _, _ in points)

    def forget(self, tag: str | None) -> None:
        if tag is None:
            self.shown.clear()

    def purged(self, step: int) -> None:
        self.purges.append(step)

    def begin(self, run: str) -> None: ...

    def status(self, status: str) -> None: ...

    def notice(self, text: str) -> None: ...

    def tick(self, health: Mapping[str, Any]) -> None: ...


def test_a_training_that_goes_on_from_an_earlier_step_hides_what_was_shown(bridge: str) -> None:
    """As lines it is said, since lines stay; a table is read anew."""
    write(bridge, "r", range(20))
    write(bridge, "r", range(20), "other")
    table = Kept()
    watching = threading.Thread(target=Watching(bridge, "r", (), until_end=True).run, args=(table,))
    watching.start()
    with watch(bridge, "r", "--until-end") as lines:
        until(lambda: listeners(bridge) == 2, "both listen")
        write(bridge, "r", range(10, 12), purge_step=10)
        until(lambda: table.purges, "the table was told")
        write(bridge, "r", range(12, 13), status="finished")
        assert lines.wait() == 0
        lines.line("the run 'r' goes on from step 10; what it held from there on is void")
        assert steps_of(lines) == [10, 11, 12]
    watching.join(PATIENCE_S)
    assert table.purges == [10]
    assert table.shown == {"loss": [*range(13)], "other": [*range(10)]}


def test_a_bridge_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with watch("http://127.0.0.1:1", "r") as process:
        assert process.wait() == 1
        assert len(process.lines) == 1
        assert process.lines[0].startswith("tbbridge: no answer from http://127.0.0.1:1")


def test_on_a_terminal_there_is_a_table_that_moves(bridge: str) -> None:
    write(bridge, "digits/lr=1e-3", range(64), status="running")
    master, slave = pty.openpty()
    command = [TBBRIDGE, "watch", "digits/lr=1e-3", "--url", bridge]
    env = environment(TERM="xterm", COLUMNS="100", LINES="20", PYTHONIOENCODING="utf-8")
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    seen = b""

    def shows(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + PATIENCE_S
        while text.encode() not in seen:
            assert time.monotonic() < deadline, (text, seen[-2000:])
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 65536)

    try:
        shows("▁▁▂▂")
        shows("running")
        seen = b""
        write(bridge, "digits/lr=1e-3", range(4000, 4001))
        shows("1,000")  # 4000 / 4
        shows("4,000")
        seen = b""
        post(f"{bridge}/api/v1/runs/rename", {"run": "digits", "to": "numbers"})
        shows("numbers/lr=1e-3")
    finally:
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE_S / 2
        with contextlib.suppress(OSError):  # a terminal without a process ends so
            while time.monotonic() < deadline:  # what it draws at last has to be taken, or it would wait for that
                if select.select([master], [], [], 0.2)[0]:
                    seen = (seen + os.read(master, 65536))[-4000:]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        code = process.poll()
        process.kill()
        process.wait()
        os.close(master)
    assert code == 130, seen
