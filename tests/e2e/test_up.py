"""`tbbridge up` and `tbbridge serve` as processes: what they print, how they stop, and what stands in their way."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import TBBRIDGE, Process, TensorBoard, address_in, environment, post, serve, until

ONE_POINT = {"runs": [{"run": "a", "scalars": [{"tag": "loss", "steps": [1], "values": [0.5]}]}]}


def up(logdir: Path, *flags: str) -> Process:
    return Process([TBBRIDGE, "up", "--logdir", str(logdir), "--port", "0", "--tensorboard-port", "0", *flags])


def children_of(pid: int) -> list[int]:
    """Process ids of all descendants."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listing.splitlines())}
    found = [pid]
    for one in found:
        found.extend(child for child, parent in parents.items() if parent == one)
    return found[1:]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie waits only for whoever adopted it, which in a container may be nobody.
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


@pytest.fixture(params=["true", "false"], ids=["data server", "Python reader"])
def both(request: pytest.FixtureRequest, logdir: Path) -> Iterator[tuple[Process, str, TensorBoard]]:
    """`tbbridge up` with each of TensorBoard's readers: the process, the bridge's address, TensorBoard."""
    with up(logdir, "--load-fast", request.param) as process:
        viewer = process.line(r"^TensorBoard +(http://\S+)")[1]
        bridge = process.line(r"^Bridge +(http://\S+)")[1]
        process.line("Ctrl-C stops both")
        yield process, bridge, TensorBoard(viewer)


def test_up_prints_both_addresses_and_a_curl_that_works_and_stops_both(both: tuple[Process, str, TensorBoard]) -> None:
    process, bridge, viewer = both
    curl = process.line(r"^ +(curl .*)$")[1]
    answer = subprocess.run(["bash", "-c", f"{curl} -sS --fail"], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert '"accepted":1' in answer.stdout.replace(" ", "")
    assert bridge in curl
    until(lambda: viewer.scalars("hello", "loss"), "TensorBoard shows the first point")
    assert [(step, value) for _, step, value in viewer.scalars("hello", "loss")] == [(1, 0.5)]
    children = children_of(process.process.pid)
    assert children
    assert process.end(signal.SIGTERM) == 0, process.output
    assert [pid for pid in children if alive(pid)] == []


def test_ctrl_c_stops_both(logdir: Path) -> None:
    with up(logdir) as process:
        process.line("Ctrl-C stops both")
        children = children_of(process.process.pid)
        assert process.end(signal.SIGINT) == 0, process.output
        assert "Traceback" not in process.output
        assert [pid for pid in children if alive(pid)] == []


def test_no_child_outlives_a_killed_parent(both: tuple[Process, str, TensorBoard]) -> None:
    process, _, _ = both
    children = children_of(process.process.pid)
    assert children
    process.end(signal.SIGKILL)
    until(lambda: not any(map(alive, children)), "TensorBoard ends with its parent")


def test_the_bridge_goes_on_without_a_tensorboard_that_died(logdir: Path) -> None:
    with up(logdir) as process:
        bridge = process.line(r"^Bridge +(http://\S+)")[1]
        process.line("Ctrl-C stops both")
        os.kill(children_of(process.process.pid)[0], signal.SIGKILL)
        process.line("TensorBoard was killed by signal 9")
        process.line("goes on without it.*tensorboard --logdir")
        assert post(f"{bridge}/api/v1/write", ONE_POINT)["accepted"] == 1
        assert process.end() == 0, process.output


def test_a_tensorboard_that_cannot_start_stops_both_and_shows_why(logdir: Path) -> None:
    with up(logdir, "--", "--no_such_flag") as process:
        assert process.wait() == 1
    assert "TensorBoard ended with exit code 2" in process.output
    assert "unrecognized arguments: --no_such_flag" in process.output
    assert "Traceback" not in process.output


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def refused(*arguments: str, **variables: str) -> str:
    """Run a command that must fail with exit code 1 and one line; returns the line."""
    done = subprocess.run([TBBRIDGE, *arguments], capture_output=True, text=True, timeout=60, env=environment(**variables))
    lines = [line for line in done.stderr.splitlines() if line.startswith("tbbridge: ")]
    assert (done.returncode, len(lines), "Traceback" in done.stderr) == (1, 1, False), done.stderr
    return lines[0]


@pytest.mark.parametrize("command", [("serve",), ("up", "--tensorboard-port", "0")], ids=["serve", "up"])
def test_a_taken_port_is_one_line(command: tuple[str, ...], logdir: Path, taken_port: int) -> None:
    line = refused(*command, "--logdir", str(logdir), "--port", str(taken_port))
    assert str(taken_port) in line
    assert "--port" in line


def test_a_taken_port_of_tensorboard_is_one_line(logdir: Path, taken_port: int) -> None:
    line = refused("up", "--logdir", str(logdir), "--port", "0", "--tensorboard-port", str(taken_port))
    assert f"TensorBoard's port {taken_port}" in line
    assert "--tensorboard-port" in line


def test_one_port_for_both_is_one_line(logdir: Path) -> None:
    line = refused("up", "--logdir", str(logdir), "--port", "7000", TBBRIDGE_TENSORBOARD_PORT="7000")
    assert "port 7000 is given to both" in line


def test_a_busy_log_folder_is_one_line(logdir: Path) -> None:
    with serve(logdir) as first:
        address_in(first)
        line = refused("serve", "--logdir", str(logdir), "--port", "0")
        assert str(logdir) in line
        assert post(f"{address_in(first)}/api/v1/write", ONE_POINT)["accepted"] == 1


def test_a_log_folder_that_is_a_file_is_one_line(logdir: Path) -> None:
    logdir.write_text("not a folder")
    assert str(logdir) in refused("serve", "--logdir", str(logdir), "--port", "0")


def test_a_log_folder_without_permission_is_one_line(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        forbidden = Path("/proc/1/tbbridge-runs")  # where even root may make nothing
    else:
        forbidden = tmp_path / "closed" / "runs"
        forbidden.parent.mkdir(mode=0o500)
    assert str(forbidden) in refused("serve", "--logdir", str(forbidden), "--port", "0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "--port", "seven"), "--port is 'seven'; give a whole number"),
        (("serve", "--queue-max-bytes", "1"), "--queue-max-bytes is 1; it is at least 1024"),
        (("up", "--load-fast", "maybe"), "'maybe' is none of auto, true, false"),
        (("up", "--tensorboard-port", "-1"), "'-1' is no port"),
    ],
)
def test_a_wrong_setting_is_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run([TBBRIDGE, *arguments], capture_output=True, text=True, timeout=60, env=environment())
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_come_from_variables_and_flags_win(tmp_path: Path) -> None:
    variables = environment(TBBRIDGE_LOGDIR=str(tmp_path / "from-variable"), TBBRIDGE_PORT="1")
    with Process([TBBRIDGE, "serve", "--port", "0"], env=variables) as process:
        address = address_in(process)
        assert not re.search(r":1$", address)
        assert (tmp_path / "from-variable").is_dir()
        assert process.end() == 0, process.output


def test_a_host_that_others_reach_is_warned_of_once_for_each_door(tmp_path: Path) -> None:
    with up(tmp_path, "--host", "0.0.0.0") as process:
        process.line("Ctrl-C stops both")
        process.end()
        assert len(re.findall(r"WARNING.* no tokens are set: whoever reaches port \d+", process.output)) == 1
        assert len(re.findall(r"WARNING.* TensorBoard asks nobody for a token", process.output)) == 1
    (tmp_path / "tokens").write_text("")
    with serve(tmp_path, "--host", "0.0.0.0", "--tokens-file", str(tmp_path / "tokens")) as process:
        process.line("tbbridge listens on")
        assert "tokens travel readable" in process.output
    with serve(tmp_path / "b") as process:
        process.line("tbbridge listens on")
        assert "WARNING" not in process.output
