"""Servers as processes of their own that can be watched: the bridge, the floors it is compared with, and anything else.

The floors run under the bridge's own HTTP server, loop and parser: a FastAPI route that does nothing, one that does nothing but
a write and its fdatasync, and an ASGI app that is nothing but its answer.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
PATIENCE_S = 60.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROCESS_CLOCK = 2  # Linux makes a clock's number out of a process's: clock_getcpuclockid(3); /proc counts in steps of 10 ms

NO_OP = """
import sys
import uvicorn
from fastapi import FastAPI

app = FastAPI()

@app.post("/no-op")
async def no_op() -> dict[str, int]:
    return {"accepted": 1}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
"""
# Its file is laid out beforehand, as the journal is, and written over once more when it is full.
SYNCED = """
import os
import sys
import uvicorn
from fastapi import FastAPI

FILE_BYTES, ENTRY_BYTES = 4 << 20, 70

app = FastAPI()
descriptor = os.open(os.path.join(sys.argv[2], "synced"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(descriptor, bytes(FILE_BYTES))
os.fsync(descriptor)
at = 0

@app.post("/no-op")
async def synced() -> dict[str, int]:
    global at
    os.pwrite(descriptor, b"x" * ENTRY_BYTES, at)
    os.fdatasync(descriptor)
    at = (at + ENTRY_BYTES) % (FILE_BYTES - ENTRY_BYTES)
    return {"accepted": 1}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
"""
BARE = """
import sys
import uvicorn

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"14")]

async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b'{"accepted":1}'})

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning", lifespan="off")
"""


class Server(NamedTuple):
    """A server that runs as a process of its own."""

    port: int
    process: subprocess.Popen[bytes]
    logdir: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def memory_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    @property
    def most_memory_bytes(self) -> int:
        """The most that it ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def cpu_seconds(self) -> float:
        """Processor time used by all of its threads."""
        return time.clock_gettime((~self.process.pid << 3) | _PROCESS_CLOCK)

    def metrics(self) -> dict[str, float]:
        """What a bridge's /metrics says now, by name and labels as they stand there."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(**more: str) -> dict[str, str]:
    """Ours, without settings of the bridge or of its clients: what is measured are the defaults."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("TBBRIDGE_")}, **more}


@contextmanager
def bridge(logdir: Path, *flags: str) -> Iterator[Server]:
    """`tbbridge serve` on a free port, from when it takes points until the end of the block."""
    port = free_port()
    command = [sys.executable, "-m", "tbbridge.cli", "serve", "--logdir", str(logdir), "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning", *flags], stdout=subprocess.PIPE, env=clean_environment())
    try:
        assert process.stdout is not None
        if not process.stdout.readline():  # the line that says where it listens
            raise RuntimeError("the bridge ended at once; its log above says why")
        yield Server(port, process, logdir)
    finally:
        stop(process)
        process.stdout.close()  # type: ignore[union-attr] # it is a pipe


@contextmanager
def floor(source: str, logdir: Path) -> Iterator[Server]:
    """One of the floors above."""
    port = free_port()
    with running([sys.executable, "-c", source, str(port), str(logdir)], f"http://{HOST}:{port}") as process:
        yield Server(port, process, logdir)


@contextmanager
def running(
    command: Sequence[str],
    url: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    patience_s: float = PATIENCE_S,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from when `url` answers anything until the end of the block. Its output goes nowhere."""
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=nowhere, stderr=nowhere, env=clean_environment(**(env or {})), cwd=cwd
        )
        try:
            _until_answers(process, url, command[0], patience_s)
            yield process
        finally:
            stop(process)


def _until_answers(process: subprocess.Popen[bytes], url: str, name: str, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{Path(name).name} ended at once, with code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{Path(name).name} did not answer within {patience_s:g} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it, politely first."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
