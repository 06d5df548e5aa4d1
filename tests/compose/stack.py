"""What the tests of the containers ask of the engine: `docker`, and `docker compose` in either of its forms."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processes import ROOT, environment, get, until

PATIENCE_S = 120.0


class NoEngine(Exception):
    """There is no container engine here, or no compose; the message says what to do."""


def _run(command: list[str], variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, env=variables, text=True, timeout=600, **pipes)


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a docker command; its output is one text, errors included."""
    done = subprocess.run(
        ["docker", *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}"
    return done


def compose_command() -> list[str]:
    """`docker compose`, or the older `docker-compose`. Raises `NoEngine`."""
    if shutil.which("docker") is None:
        raise NoEngine("there is no `docker` here; install an engine with compose")
    answer = docker("info", "--format", "{{.ServerVersion}}", check=False)
    if answer.returncode:
        raise NoEngine(f"no container engine answers: {answer.stdout.strip()}; start one, or name it with DOCKER_HOST")
    if docker("compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        raise NoEngine("there is neither `docker compose` nor `docker-compose` here; install compose")
    return ["docker-compose"]


def free_port() -> int:
    """A port of loopback that nobody has. Chosen here, since a port that the engine chooses changes with each restart."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        return int(nobody.getsockname()[1])


class Stack:
    """compose.yaml as one project of its own, with volume and ports of its own."""

    def __init__(self, command: list[str], name: str, variables: Mapping[str, str], override: Path | None = None) -> None:
        self.name = f"tbbridge-test-{os.getpid()}-{name}"
        self.ports = {"bridge": free_port(), "tensorboard": free_port()}
        self.variables = {
            "TBBRIDGE_PUBLISH_PORT": str(self.ports["bridge"]),
            "TENSORBOARD_PUBLISH_PORT": str(self.ports["tensorboard"]),
            **variables,
        }
        files = ["--file", str(ROOT / "compose.yaml"), *(["--file", str(override)] if override else [])]
        self._command = [*command, "--project-name", self.name, "--project-directory", str(ROOT), *files]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['bridge']}"

    @property
    def tensorboard_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['tensorboard']}"

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a compose command."""
        done = _run([*self._command, *arguments], environment(**self.variables))
        assert not check or done.returncode == 0, f"compose {' '.join(arguments)}\n{done.stdout}"
        return done

    def up(self, *services: str) -> None:
        self.compose("up", "--detach", *services)

    def down(self) -> None:
        """Remove all of it, the volume too."""
        self.compose("down", "--volumes", "--timeout", "1")

    def container(self, service: str) -> str:
        """The container's id."""
        label = "label=com.docker.compose."
        found = docker("ps", "-aq", "--filter", f"{label}project={self.name}", "--filter", f"{label}service={service}").stdout
        (container,) = found.split()
        return container

    def state(self, service: str) -> dict[str, Any]:
        """What the engine knows of it."""
        return json.loads(docker("inspect", self.container(service)).stdout)[0]

    def log(self, service: str) -> str:
        return docker("logs", self.container(service)).stdout

    def execute(self, service: str, *command: str, user: str = "") -> str:
        """Run a command in the running container."""
        return docker("exec", *(["--user", user] if user else []), self.container(service), *command).stdout

    def until_answer(self, service: str = "bridge") -> None:
        """Wait until it answers from the host as it should."""
        asked = f"{self.url}/readyz" if service == "bridge" else f"{self.tensorboard_url}/data/environment"

        def answers() -> bool:
            try:
                get(asked)
            except OSError:  # nobody there yet; or the engine's proxy, with nobody behind it
                return False
            return True

        try:
            until(answers, f"{asked} answers", PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log(service)}") from None

    def until_health(self, service: str, wanted: str) -> str:
        """Wait for the health check to say `healthy` or `unhealthy`; returns its last line."""

        def asked() -> str | None:
            health = self.state(service)["State"]["Health"]
            found = [probe["Output"].strip() for probe in health["Log"] if (probe["ExitCode"] == 0) == (wanted == "healthy")]
            return (found[-1] or "nothing said") if health["Status"] == wanted and found else None

        try:
            return until(asked, f"{service} is {wanted}", PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.state(service)['State']}\n{self.log(service)}") from None

    def one_line(self, service: str, said: str) -> str:
        """The line of the log in which `said` stands; waits for it. A container that restarts may say it again each time."""

        def found() -> set[str]:
            return {line for line in self.log(service).splitlines() if said in line}

        lines = until(found, f"{said!r} in the log of {service}", PATIENCE_S)
        (line,) = lines
        return line

    def health_of_a_bridge_that_cannot_start(self) -> str:
        """What `tbbridge health` says in a container like the bridge's, while that one cannot start."""
        done = self.compose("run", "--rm", "-T", "--no-deps", "bridge", "health", check=False)
        assert done.returncode == 1, done.stdout
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("tbbridge: ")]
        return line
