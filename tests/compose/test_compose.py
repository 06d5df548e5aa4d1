"""`docker compose up`, for real: built, sent to from the host, seen in TensorBoard, killed, and nothing is lost."""

from __future__ import annotations

import json
import threading
import time

import pytest
from conftest import Starting
from processes import TensorBoard, get, until
from stack import Stack, docker

import tbbridge

POINTS = 600  # fewer than TensorBoard's sample of 1,000, so that it shows each


@pytest.fixture(scope="module")
def running(lasting_stack: Starting) -> Stack:
    project = lasting_stack("up")
    project.up()
    return project


def test_both_get_healthy_and_say_so(running: Stack) -> None:
    running.until_answer()
    version = get(f"{running.url}/api/v1/version")["version"]
    said = running.until_health("bridge", "healthy")
    assert said == f"tbbridge {version} at http://127.0.0.1:6007 takes points"
    running.until_health("tensorboard", "healthy")


def test_killed_while_it_takes_points_it_comes_back_and_nothing_is_lost(running: Stack) -> None:
    board = TensorBoard(running.tensorboard_url)
    running.until_answer()
    running.until_answer("tensorboard")
    half = threading.Event()

    def log() -> None:
        with tbbridge.Client(running.url, flush_interval_s=0.02) as client:
            run = client.run("killed")
            for step in range(POINTS):
                run.add_scalar("loss", step / 2, step=step)
                if step == POINTS // 2:
                    client.flush()
                    half.set()
                if step > POINTS // 2:
                    time.sleep(0.01)  # so that the kill falls among them
            client.flush(timeout_s=60)

    sender = threading.Thread(target=log)
    sender.start()
    assert half.wait(60)
    before = running.state("bridge")
    # Not `docker kill`, after which the engine leaves a container dead, as if somebody had stopped it.
    kill = "import os; [os.kill(int(p), 9) for p in os.listdir('/proc') if p.isdigit() and p not in ('1', str(os.getpid()))"
    kill += " and b'serve' in open(f'/proc/{p}/cmdline', 'rb').read().split(b'\\0')]"
    docker("exec", running.container("bridge"), "python", "-c", kill, check=False)  # it dies with what it kills
    assert sender.is_alive(), "the kill fell behind the last point"
    until(lambda: running.state("bridge")["RestartCount"] == before["RestartCount"] + 1, "the engine starts it again")
    sender.join(90)
    assert not sender.is_alive()
    running.until_answer()
    series = get(f"{running.url}/api/v1/scalars", run="killed", tag="loss")
    assert series["steps"] == list(range(POINTS))

    def shown() -> bool:
        return [(step, value) for _, step, value in board.scalars("killed", "loss")] == [(n, n / 2) for n in range(POINTS)]

    until(shown, "TensorBoard shows every point once")
    running.until_health("bridge", "healthy")


def test_down_and_up_again_keeps_the_runs(running: Stack) -> None:
    with tbbridge.Client(running.url) as client:
        client.run("kept").add_scalar("loss", 0.5, step=7)
        client.flush(timeout_s=60)
    running.compose("down")
    running.up()
    running.until_answer()
    assert get(f"{running.url}/api/v1/scalars", run="kept", tag="loss")["steps"] == [7]
    board = TensorBoard(running.tensorboard_url)
    running.until_answer("tensorboard")
    until(lambda: board.scalars("kept", "loss"), "TensorBoard shows it")


@pytest.mark.parametrize("service", ["bridge", "tensorboard"])
def test_what_a_container_may_do(running: Stack, service: str) -> None:
    state = running.state(service)
    host = state["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["PidsLimit"] > 0
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]} == {"nofile": 16384}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert {port["HostIp"] for ports in host["PortBindings"].values() for port in ports} == {"127.0.0.1"}
    seen = json.loads(running.execute(service, "python", "-c", LOOK))
    assert seen["uid"] == 10001
    assert int(seen["CapEff"], 16) == 0
    assert seen["NoNewPrivs"] == "1"
    assert seen["writable"] == ([] if service == "tensorboard" else ["/data/runs"])
    assert seen["tools"] == []


LOOK = """
import importlib.util, json, os, shutil
status = dict(line.strip().split(":", 1) for line in open("/proc/self/status") if ":" in line)
status = {name: value.strip() for name, value in status.items()}
print(json.dumps({
    "uid": os.getuid(), "CapEff": status["CapEff"], "NoNewPrivs": status["NoNewPrivs"],
    "writable": [path for path in ("/", "/data/runs", "/opt", "/etc", "/usr/local") if os.access(path, os.W_OK)],
    "tools": [tool for tool in ("cc", "gcc", "c++", "ld", "make", "git") if shutil.which(tool)]
             + [module for module in ("pip", "hatchling", "wheel") if importlib.util.find_spec(module)],
}))
"""


def test_a_stop_is_quick_and_clean_with_the_bridge_as_the_first_process(command: list[str]) -> None:
    # Without compose's init: the kernel keeps from process 1 each signal for which it has no handler.
    container = docker("run", "--detach", "--read-only", "--cap-drop", "ALL", "tbbridge").stdout.strip()
    try:
        until(lambda: "listens on" in docker("logs", container).stdout, "it listens")
        docker("exec", container, "tbbridge", "send", "stopped", "loss=1")
        docker("stop", "--time", "30", container)
        state = json.loads(docker("inspect", container).stdout)[0]["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
        assert "Finished server process [1]" in docker("logs", container).stdout
    finally:
        docker("rm", "--force", "--volumes", container)
