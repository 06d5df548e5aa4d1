"""Real processes for the tests: the bridge, stock TensorBoard, and the questions asked of them over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))
TBBRIDGE = str(SCRIPTS / "tbbridge")
# What a process may take on a busy machine before the test gives up. Never a sleep: everything returns as soon as it can.
PATIENCE_S = 60.0


def environment(**more: str) -> dict[str, str]:
    """This process's environment without any TBBRIDGE_* of the developer's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TBBRIDGE_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def until(ask: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first answer of `ask` that is not empty or false; fails with `what` if there is none in time."""
    deadline = time.monotonic() + patience_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience_s:g} seconds: {what}")
        time.sleep(0.05)


class Process:
    """A process whose output is kept, line by line, and which is gone when the test ends."""

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env=dict(env) if env is not None else environment(),
        )
        self.lines: list[str] = []
        self.news = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                with self.news:
                    self.lines.append(line.rstrip("\n"))
                    self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def line(self, pattern: str, patience_s: float = PATIENCE_S) -> re.Match[str]:
        """The first line of output in which `pattern` is found; waits for it."""

        def found() -> re.Match[str] | None:
            return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

        with self.news:
            self.news.wait_for(lambda: found() or self.ended, patience_s)
        match = found()
        assert match is not None, f"no line with {pattern!r} in:\n{self.output}"
        return match

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        code = self.process.wait(patience_s)
        self.reader.join(patience_s)
        return code

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(how)
        return self.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(PATIENCE_S)


def serve(logdir: Path, *flags: str, port: int = 0) -> Process:
    """`tbbridge serve` over `logdir`; `address_in` says where it listens once it does."""
    return Process([TBBRIDGE, "serve", "--logdir", str(logdir), "--port", str(port), *flags])


def address_in(process: Process) -> str:
    return process.line(r"(http://[0-9.]+:\d+)")[1]


def get(url: str, **query: object) -> Any:
    """The JSON at `url`."""
    with urllib.request.urlopen(url + ("?" + urllib.parse.urlencode(query) if query else ""), timeout=30) as answer:
        return json.load(answer)


def post(url: str, body: object) -> Any:
    """Post JSON, return JSON; an error answer is an HTTPError."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class TensorBoard:
    """Stock TensorBoard over HTTP. With 100,000 samples a series it returns every point instead of a choice of them."""

    def __init__(self, address: str, process: Process | None = None) -> None:
        self.address = address
        self._process = process

    @property
    def traceback(self) -> str:
        """The last one that it printed: an exception ends its thread that reloads, and from then on it shows nothing new."""
        lines = self._process.lines if self._process else []
        starts = [number for number, line in enumerate(lines) if "Traceback" in line]
        return "\n".join(lines[starts[-1] - 1 :][:40]) if starts else ""

    def ask(self, path: str, **query: object) -> Any:
        """The JSON of one of its endpoints, or None while it does not know the run or tag."""
        try:
            return get(f"{self.address}/data/{path}", **query)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (400, 404):
                    return None
                raise

    def raw(self, path: str, **query: object) -> tuple[str, bytes]:
        """Content type and bytes of one of its endpoints: pictures, sound, tensors, text."""
        with urllib.request.urlopen(
            f"{self.address}/data/{path}?{urllib.parse.urlencode(query, doseq=True)}", timeout=30
        ) as answer:
            return answer.headers["Content-Type"], answer.read()

    def post_form(self, path: str, **fields: object) -> Any:
        """The JSON answer to a form, as its pages send them."""
        form = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"{self.address}/data/{path}", form, timeout=30) as answer:
            return json.load(answer)

    def post_json(self, path: str, body: object) -> Any:
        """The JSON answer to JSON, as the HParams page asks."""
        return post(f"{self.address}/data/{path}", body)

    def runs(self) -> list[str]:
        return list(self.ask("runs"))

    def scalars(self, run: str, tag: str) -> list[tuple[float, int, float]]:
        """(wall_time, step, value) of every point; none while it does not know the series."""
        answer = self.ask("plugin/scalars/scalars", run=run, tag=tag) or []
        return [(wall_time, step, float(value)) for wall_time, step, value in answer]


@contextlib.contextmanager
def tensorboard(logdir: Path, load_fast: str) -> Iterator[TensorBoard]:
    """Stock TensorBoard over `logdir`, with its data server ('true') or its Python reader ('false')."""
    flags = ["--logdir", str(logdir), "--host", "127.0.0.1", "--port", "0", "--reload_interval", "1"]
    flags += ["--load_fast", load_fast, "--samples_per_plugin", "scalars=100000,text=100,histograms=500"]
    with Process([sys.executable, "-m", "tensorboard.main", *flags]) as process:
        address = process.line(r"TensorBoard \S+ at (http://[0-9.]+:\d+)")[1]
        yield TensorBoard(address, process)
        process.end()
