"""`tbbridge send`, `demo` and `check` as a shell script runs them, against a real bridge."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from processes import TBBRIDGE, environment, get


def run(*arguments: str, url: str = "", **options: str) -> subprocess.CompletedProcess[str]:
    variables = environment(TBBRIDGE_URL=url, **options) if url else environment(**options)
    return subprocess.run([TBBRIDGE, *arguments], capture_output=True, text=True, timeout=60, env=variables)


def test_send_stores_all_points_at_the_step_and_is_silent(bridge: str) -> None:
    done = run("send", "nightly/eval", "loss=0.25", "accuracy=1e-3", "a=b=2", "--step", "-7", "--url", bridge)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for tag, value in (("loss", 0.25), ("accuracy", pytest.approx(1e-3)), ("a=b", 2.0)):
        stored = get(f"{bridge}/api/v1/scalars", run="nightly/eval", tag=tag)
        assert (stored["steps"], stored["values"]) == ([-7], [value])


def test_send_without_a_step_goes_on_from_the_last_one(bridge: str) -> None:
    for arguments in (("loss=1", "--step", "41"), ("loss=nan",), ("loss=inf",), ("loss=-inf",)):
        assert run("send", "counted", *arguments, url=bridge).returncode == 0
    stored = get(f"{bridge}/api/v1/scalars", run="counted", tag="loss")
    assert stored["steps"] == [41, 42, 43, 44]
    assert stored["values"] == [1.0, "NaN", "Infinity", "-Infinity"]


@pytest.mark.parametrize("command", [("send", "run", "loss=1", "--timeout", "0.5"), ("demo",)], ids=["send", "demo"])
def test_nobody_there_is_one_line_and_exit_code_1(command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    done = run(*command, "--url", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"no answer from http://127.0.0.1:{port}" in done.stderr
    assert "tbbridge up" in done.stderr


def test_send_to_something_else_says_so(bridge: str) -> None:
    done = run("send", "run", "loss=1", "--url", f"{bridge}/elsewhere")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "HTTP 404" in done.stderr


def test_demo_streams_a_run_that_is_there_afterwards(bridge: str) -> None:
    done = run("demo", "--seconds", "0.5", url=bridge)
    assert (done.returncode, done.stderr) == (0, "")
    assert bridge in done.stdout
    assert "sent 10 steps" in done.stdout
    (name,) = [run["run"] for run in get(f"{bridge}/api/v1/runs")["runs"]]
    assert name.startswith("demo/")
    assert get(f"{bridge}/api/v1/scalars", run=name, tag="loss")["steps"] == list(range(10))


def test_check_finds_what_the_bridge_wrote_in_order(bridge: str, logdir: Path) -> None:
    assert run("send", "checked", "loss=1", "accuracy=0.5", url=bridge).returncode == 0
    get(f"{bridge}/api/v1/scalars", run="checked", tag="loss")  # which waits for the event files
    done = run("check", str(logdir))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 scalar" in done.stdout
