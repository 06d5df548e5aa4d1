"""What goes wrong around containers: each gives one clear line, in the log and in the health check, and nothing is lost."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
from pathlib import Path

import pytest
from conftest import Starting
from processes import TBBRIDGE, environment, get, post
from stack import Stack, docker, free_port

TOKEN = "right-" + "t" * 32
WRONG = "wrong-" + "w" * 32

# The health check as it is, only more often, and a volume of which the end is soon reached. The image's uid owns it.
SMALL = """
services:
  bridge:
    healthcheck: {interval: 1s, retries: 2, start_period: 1s}
  tensorboard:
    healthcheck: {interval: 1s}
volumes:
  runs:
    driver_opts: {type: tmpfs, device: tmpfs, o: "size=24m,uid=10001,gid=10001"}
"""


def a_point(step: int) -> dict[str, object]:
    return {
        "writer": "w",
        "seq": step + 1,
        "runs": [{"run": "a", "scalars": [{"tag": "t", "steps": [step], "values": [step]}]}],
    }


def steps(url: str) -> list[int]:
    return list(get(f"{url}/api/v1/scalars", run="a", tag="t")["steps"])


def in_volume(project: Stack, command: str) -> None:
    """A shell command by root in the project's volume, whatever runs there."""
    volume = f"{project.name}_runs:/data"
    docker("run", "--rm", "--user", "0:0", "--entrypoint", "sh", "--volume", volume, "tbbridge", "-c", command)


def test_a_volume_of_another_user(stack: Starting) -> None:
    project = stack("foreign")
    project.up("bridge")
    project.until_answer()
    post(f"{project.url}/api/v1/write", a_point(0))
    project.compose("stop", "bridge")
    in_volume(project, "chown -R 4321:4321 /data && chmod -R go-w /data")
    project.up("bridge")
    line = project.one_line("bridge", "tbbridge: ")
    assert "log folder /data/runs cannot be used" in line
    assert "let uid 10001, as which the bridge runs, write there" in line
    said = project.health_of_a_bridge_that_cannot_start()
    assert "/data/runs (drwxr-xr-x, of uid 4321) is not readable and writable for this user (uid 10001)" in said
    in_volume(project, "chown -R 10001:10001 /data")
    project.until_answer()  # the engine starts it again and again, and then it can
    assert steps(project.url) == [0]


def test_a_full_volume(stack: Starting, tmp_path: Path) -> None:
    override = tmp_path / "small.yaml"
    override.write_text(SMALL)
    project = stack("full", override, TBBRIDGE_SEGMENT_BYTES="1MiB")
    project.up()  # TensorBoard too: it holds the volume, which is only memory, while the bridge is away
    project.until_answer()
    post(f"{project.url}/api/v1/write", a_point(0))
    project.execute("bridge", "sh", "-c", "cat /dev/zero > /data/ballast 2>/dev/null || true")
    step = 1
    refused = None
    while refused is None and step < 3000:
        try:
            body = a_point(step)
            body["runs"].append({"run": "b", "summaries": [{"kind": "text", "tag": "t", "step": step, "text": "x" * 100_000}]})
            post(f"{project.url}/api/v1/write", body)
            step += 1
        except urllib.error.HTTPError as error:
            with error:
                refused = error.code, error.read().decode()
    assert refused is not None
    assert refused[0] == 507, refused
    said = project.until_health("bridge", "unhealthy")
    assert "HTTP 503" in said
    assert "the disk is full" in said
    assert len(said.splitlines()) == 1
    assert "disk is full" in project.one_line("bridge", "ERROR")
    project.execute("bridge", "rm", "/data/ballast")
    project.until_health("bridge", "healthy")
    assert project.state("bridge")["RestartCount"] == 0
    post(f"{project.url}/api/v1/write", a_point(step))
    assert steps(project.url) == list(range(step + 1))


def test_a_port_that_another_program_has(stack: Starting) -> None:
    project = stack("port")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        project.ports["bridge"] = taken.getsockname()[1]
        project.variables["TBBRIDGE_PUBLISH_PORT"] = str(project.ports["bridge"])
        done = project.compose("up", "--detach", "bridge", check=False)
        assert done.returncode != 0
        assert str(project.ports["bridge"]) in done.stdout
        assert "address already in use" in done.stdout or "already allocated" in done.stdout
    project.ports["bridge"] = free_port()
    project.variables["TBBRIDGE_PUBLISH_PORT"] = str(project.ports["bridge"])
    project.up("bridge")
    project.until_answer()
    # Inside, where somebody put two bridges in one network: the second says so, and the first goes on.
    second = docker("run", "--rm", "--network", f"container:{project.container('bridge')}", "tbbridge", check=False)
    assert second.returncode == 1
    (line,) = second.stdout.splitlines()
    assert line.startswith("tbbridge: port 6007 on 0.0.0.0 is taken by another program")
    post(f"{project.url}/api/v1/write", a_point(0))
    assert steps(project.url) == [0]


def health_on_the_host(url: str, token: str) -> subprocess.CompletedProcess[str]:
    variables = environment(TBBRIDGE_TOKEN=token)
    return subprocess.run([TBBRIDGE, "health", "--url", url], capture_output=True, text=True, timeout=60, env=variables)


def test_a_wrong_token(stack: Starting) -> None:
    project = stack("token", TBBRIDGE_TOKENS=f"write,read:{TOKEN}")
    project.up("bridge")
    project.until_answer()
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        post(f"{project.url}/api/v1/write", a_point(0))
    refused.value.close()
    assert health_on_the_host(project.url, TOKEN).returncode == 0
    for _ in range(3):
        done = health_on_the_host(project.url, WRONG)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "this token is not known here" in done.stderr
    assert "asks for a token" in project.one_line("bridge", "refused a POST")  # once a minute; the first stands for all
    assert WRONG not in project.log("bridge")
    assert "no tokens are set" not in project.log("bridge")


def test_tokens_that_are_none(stack: Starting) -> None:
    project = stack("tokens", TBBRIDGE_TOKENS="write:short")
    project.up("bridge")
    assert "item 1 of TBBRIDGE_TOKENS is no 'scopes:token'" in project.one_line("bridge", "tbbridge: ")
    assert "item 1 of TBBRIDGE_TOKENS" in project.health_of_a_bridge_that_cannot_start()
