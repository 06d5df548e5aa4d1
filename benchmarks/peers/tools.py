"""Tools that log a training, each in a process with an environment of its own, asked for one round after the other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.servers import clean_environment

DRIVER = Path(__file__).with_name("driver.py")
# One thread for the training's arithmetic, so that a tool's own thread finds the second core free, with every tool.
_QUIET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONWARNINGS": "ignore",
}


def without_places(text: str) -> str:
    """What a tool said, without addresses and folders, which are this machine's affair: results are published."""
    return re.sub(r"\w+://\S+|(?<![\w.])/[\w.-]+/\S*", "...", text).strip()[:200]


class Tool:
    """A process that runs the driver for one tool."""

    def __init__(self, name: str, python: str, address: str, errors: Path, environment: dict[str, str]) -> None:
        self.name = name
        self._errors = errors
        with errors.open("w") as file:
            self._process = subprocess.Popen(
                [python, str(DRIVER), name, address],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=clean_environment(**_QUIET, **environment),
            )

    def ask(self, **what: Any) -> dict[str, Any]:
        """The driver's answer; raises RuntimeError with the tool's own words if it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = [text for text in self._errors.read_text().splitlines() if text.strip()]
            raise RuntimeError(f"it failed: {without_places(said[-1]) if said else 'it said nothing'}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(30)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def tool(
    name: str, python: str = sys.executable, address: str = "", environment: dict[str, str] | None = None
) -> Iterator[Tool]:
    """The tool until the end of the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        started = Tool(name, python, address, Path(folder) / "errors", {**(environment or {}), "HOME": folder})
        try:
            yield started
        finally:
            started.end()


class Rounds:
    """Rounds of the training loop with one tool, numbered."""

    def __init__(self, tool: Tool, limit_s: float) -> None:
        self._tool = tool
        self._limit_s = limit_s
        self._count = 0

    def work(self, tags: int, steps: int) -> Callable[[], dict[str, Any]]:
        def once() -> dict[str, Any]:
            self._count += 1
            return self._tool.ask(work="loop", tags=tags, steps=steps, limit_s=self._limit_s, name=f"run-{self._count}")

        return once
